"""The source of a `@kernel` function: its definition as a tree, and what the names in it mean."""

from __future__ import annotations

import ast
import copy
import inspect
import os
import textwrap
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pinhold.compiler.nodes import called
from pinhold.mm.kernel import REGISTRY

Kernel = Callable[..., Any]


@cache
def definition(function: Kernel) -> ast.FunctionDef:
    """As it was written, with its lines' numbers in the file.  Not to be changed."""
    code = inspect.unwrap(function).__code__
    found = _written(code.co_filename).get((code.co_name, code.co_firstlineno))
    return found or _made(function)


@cache
def _written(path: str) -> Mapping[tuple[str, int], ast.FunctionDef]:
    """The functions of a file, by name and first line: read once, as a search looks at all of them when it starts."""
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {(node.name, min([node.lineno, *(d.lineno for d in node.decorator_list)])): node for node in found}


def _made(function: Kernel) -> ast.FunctionDef:
    """Of a function whose text is in no file (mm/generated.py), or not at a module's top."""
    lines, first = inspect.getsourcelines(function)
    (found,) = ast.parse(textwrap.dedent("".join(lines))).body
    assert isinstance(found, ast.FunctionDef)
    ast.increment_lineno(found, first - 1)
    return found


def bare(function: Kernel) -> ast.FunctionDef:
    """A copy to be changed: without decorators, annotations and docstring."""
    found = copy.deepcopy(definition(function))
    found.decorator_list = []
    found.returns = None
    for arg in found.args.args:
        arg.annotation = None
    if ast.get_docstring(found) is not None:
        found.body = found.body[1:]
    return found


def scope(function: Kernel) -> Mapping[str, Any]:
    """What the names that are not its own mean in a function."""
    names: dict[str, Any] = inspect.unwrap(function).__globals__
    return names


def place(function: Kernel, node: ast.AST) -> str:
    """File and line."""
    return f"{inspect.getfile(function)}:{getattr(node, 'lineno', definition(function).lineno)}"


def is_kernel(meant: object) -> bool:
    """Whether what a name means is a `@kernel` function."""
    return callable(meant) and meant in REGISTRY


def kernels() -> dict[str, Kernel]:
    """Every `@kernel` function that has been imported, by its name."""
    return {f.__name__: f for f in REGISTRY}


@cache
def callees(function: Kernel) -> frozenset[Kernel]:
    """The `@kernel` functions that a function calls."""
    meant = scope(function)
    return frozenset(meant[name] for name in called(definition(function)) if is_kernel(meant.get(name)))


def reached(function: Kernel) -> frozenset[Kernel]:
    """What a function calls, and what that calls."""
    found: set[Kernel] = set()
    waiting = [*callees(function)]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += callees(one)
    return frozenset(found)


@cache
def changes(function: Kernel) -> bool:
    """Whether the function, or one that it calls, stores to the record."""
    return any(map(stored_fields, {function, *reached(function)}))


@cache
def stored_fields(function: Kernel) -> frozenset[str]:
    """The arrays of the record that the function itself stores to; with one under another name all that it reads."""
    nodes = list(ast.walk(definition(function)))
    targets = [n.value for n in nodes if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store)]
    if any(isinstance(target, ast.Name) for target in targets):
        targets += [n for n in nodes if isinstance(n, ast.Attribute)]
    return frozenset(target.attr for target in targets if isinstance(target, ast.Attribute))
