"""What a scope settles without saying so: fields that never get another value, parameters that every call gives the
same one.

Found in the specialised functions themselves.  A field that is alike everywhere at first, and to which nothing but
that value is stored, keeps it; a parameter for which every call has the same constant is that constant.  Written into
the functions, each such fact can decide branches and so lead to others: it is looked for again until nothing is found.
What is found in one round holds because the facts of the round before do.

A settled field is no part of what tells states apart: a search keeps it in the constant part of its record.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pinhold.compiler.cache import worked_out
from pinhold.compiler.facts import Facts
from pinhold.compiler.nodes import constant, stored_field, value
from pinhold.compiler.source import Kernel
from pinhold.compiler.specialise import Specialiser
from pinhold.mm.state import Layout, fields

KEPT_NAMES = {"": (), "page": (-1, 0), "swap": (0,), "entry": (0,), "token": (0,)}
"""What a field's values are the number of -> those that no renaming changes; "": it changes none."""

NOTHING_ADDED = (ast.Add, ast.Sub, ast.BitOr, ast.BitXor)

Definitions = list[ast.FunctionDef]


def settled(entries: Sequence[Kernel], changing: Kernel, facts: Facts) -> Facts:
    """The facts, and what they settle for these functions.  changing: of them the one that changes a state, but for
    renaming."""
    names = {name: f.names for name, f in fields()}
    first = {n: v for n, v in facts.first.items() if not names.get(n) or v in KEPT_NAMES.get(names[n], ())}
    while True:
        specialiser = Specialiser(facts)
        for function in entries:
            specialiser.function(function)
        changed = set(changed_fields(list(specialiser.reachable([changing])), first))
        everywhere = {name: v for name, v in first.items() if name not in changed} | dict(facts.everywhere)
        found = passed(list(specialiser.reachable(entries)), specialiser.gone, {entry.__name__ for entry in entries})
        parameters = found | dict(facts.parameters)  # what is put in where it was called is called no more
        if everywhere == facts.everywhere and parameters == facts.parameters:
            return facts
        facts = replace(facts, everywhere=everywhere, parameters=parameters)


def settled_fields(entries: Sequence[Kernel], changing: Kernel, facts: Facts, layout: Layout) -> frozenset[str]:
    """The fields that keep their value, remembered for the next process.  layout: of all fields."""

    def told() -> str:
        return " ".join(settled(entries, changing, facts).everywhere)

    names = worked_out("settled fields", entries, facts, layout, told)
    return frozenset(names.split())


def changed_fields(definitions: Definitions, first: Mapping[str, int]) -> Iterator[str]:
    """The fields to which something else is stored than what is there at first."""
    for node in (n for definition in definitions for n in ast.walk(definition)):
        if isinstance(node, ast.Assign):
            name = stored_field(node.targets[0])
            if name is not None and not (stored_field(node.value) == name or is_(node.value, first.get(name))):
                yield name
        elif isinstance(node, ast.AugAssign):
            name = stored_field(node.target)
            if name is not None and not (isinstance(node.op, NOTHING_ADDED) and is_(node.value, 0)):
                yield name


def is_(node: ast.expr, number: int | None) -> bool:
    return constant(node) and number is not None and bool(value(node) == number)


def passed(definitions: Definitions, gone: Iterable[ast.Call], entries: Collection[str]) -> dict[tuple[str, str], Any]:
    """The parameters that are the same constant in every call; those of the entries are called from outside, too.

    gone: calls in whose places something was put.  They count: the next round puts in what their function has become.
    """
    parameters = {d.name: [a.arg for a in d.args.args] for d in definitions}
    given: dict[tuple[str, str], set[str]] = {}
    values: dict[str, Any] = {}
    left = (n for definition in definitions for n in ast.walk(definition))
    for node in (*left, *gone):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in parameters:
            for name, arg in zip(parameters[node.func.id], node.args, strict=True):
                text = ast.unparse(arg)
                given.setdefault((node.func.id, name), set()).add(text if constant(arg) else "")
                values[text] = value(arg) if constant(arg) else None
    return {
        place: values[min(texts)]
        for place, texts in given.items()
        if len(texts) == 1 and "" not in texts and place[0] not in entries
    }
