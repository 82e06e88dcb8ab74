"""Assignments that nothing reads taken out of a function."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from pinhold.compiler.nodes import assigned, pure


def without_unread(body: list[ast.stmt]) -> list[ast.stmt]:
    """A function's statements without assignments to local names that nothing reads, and what is empty without them."""
    while True:
        nodes = [n for statement in body for n in ast.walk(statement)]
        read = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        # x += 1 reads x, though ast calls that x stored to
        read |= {n.target.id for n in nodes if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)}
        left = list(dropped(body, assigned(body) - read))
        if sum(1 for statement in left for _ in ast.walk(statement)) == len(nodes):
            return left
        body = left  # what was dropped reads nothing any more


def dropped(body: list[ast.stmt], names: Collection[str]) -> Iterator[ast.stmt]:
    """The statements without the assignments to these names."""
    for node in body:
        match node:
            case ast.Pass():  # stands where a block has become empty
                pass
            case ast.Assign(targets=[ast.Name(name)], value=value) if name in names and pure(value):
                pass
            case ast.If():
                inner, orelse = list(dropped(node.body, names)), list(dropped(node.orelse, names))
                if inner or orelse:
                    yield ast.If(node.test, inner or [ast.Pass()], orelse)
                elif not pure(node.test):
                    yield ast.Expr(node.test)
            case ast.While():
                yield ast.While(node.test, list(dropped(node.body, names)) or [ast.Pass()], [])
            case ast.For():
                yield ast.For(node.target, node.iter, list(dropped(node.body, names)) or [ast.Pass()], [])
            case _:
                yield node
