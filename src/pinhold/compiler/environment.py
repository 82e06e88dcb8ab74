"""What is known where a function is being specialised: of its local names, its module's and the record's fields."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from pinhold.compiler.facts import Facts
from pinhold.compiler.nodes import constant, value

Values = dict[str, Any]


class Environment:
    """values: local names -> what each is known to be at this place.  arrays: local names -> the array of the record
    that each stands for, for good: the subset lets none of them be given twice, or in a branch."""

    def __init__(self, facts: Facts, module: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        self.facts = facts
        self.module = module
        self.values: Values = dict(values)
        self.arrays: dict[str, ast.Attribute] = {}

    def give(self, name: str, new: ast.expr) -> None:
        """The name has this value from here on."""
        self.forget([name])
        if constant(new):
            self.values[name] = value(new)

    def forget(self, names: Iterable[str]) -> None:
        for name in names:
            self.values.pop(name, None)

    def meet(self, other: Values) -> None:
        """Behind two branches: what both leave alike is known.  1 and True are not alike, to numba."""
        self.values = {
            name: known
            for name, known in self.values.items()
            if name in other and other[name] == known and type(other[name]) is type(known)
        }

    def name(self, node: ast.Name) -> ast.expr:
        """What a name that is read stands for: its constant, its array, or itself."""
        if node.id in self.values:
            return ast.Constant(self.values[node.id])
        if node.id in self.arrays:
            return self.arrays[node.id]
        known = self.module.get(node.id)
        return ast.Constant(known) if isinstance(known, int) else node

    def field(self, node: ast.Attribute) -> ast.expr:
        """A scalar of the record, or a whole array."""
        return ast.Constant(self.facts.constants[node.attr]) if node.attr in self.facts.constants else node

    def is_array(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Attribute) and node.attr in self.facts.sizes
