"""Questions about pieces of a function's tree."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

BUILTINS = ("len", "min", "max", "range")
"""What is called that is no `@kernel` function."""

CALL_NOTHING = (
    ast.Name,
    ast.Constant,
    ast.Attribute,
    ast.Subscript,
    ast.BinOp,
    ast.UnaryOp,
    ast.Compare,
    ast.BoolOp,
    ast.IfExp,
    ast.Tuple,
    ast.expr_context,
    ast.operator,
    ast.unaryop,
    ast.cmpop,
    ast.boolop,
)


def constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def value(node: ast.expr) -> Any:
    assert isinstance(node, ast.Constant)
    return node.value


def called(node: ast.AST) -> list[str]:
    """The names of the functions that are called in it."""
    return [n.func.id for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]


def pure(node: ast.expr) -> bool:
    """Whether an expression calls no `@kernel` function, and is as well left out where its value is not wanted."""
    return all(isinstance(n, (*CALL_NOTHING, ast.Call)) for n in ast.walk(node)) and set(called(node)) <= set(BUILTINS)


def reads(node: ast.expr) -> bool:
    """Whether an expression reads elements of the record, itself or in what it calls."""
    return any(isinstance(n, (ast.Subscript, ast.Call)) for n in ast.walk(node))


def assigned(statements: Iterable[ast.stmt]) -> set[str]:
    """The local names that the statements give a value."""
    nodes = (n for statement in statements for n in ast.walk(statement))
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def stored_field(target: ast.expr) -> str | None:
    """The array of the record that a store to `target` changes, or that `target` reads an element of."""
    if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Attribute):
        return target.value.attr
    return None


def leaves(body: list[ast.stmt]) -> bool:
    """Whether nothing behind these statements is reached."""
    match body[-1:]:
        case [ast.Return() | ast.Break() | ast.Continue()]:
            return True
        case [ast.If(body=one, orelse=other)]:
            return leaves(one) and leaves(other)
        case _:
            return False
