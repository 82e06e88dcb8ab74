"""Statements specialised: constants followed from one to the next, decided branches and turns of loops gone."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Protocol

from pinhold.compiler.environment import Environment
from pinhold.compiler.expressions import Callees, Expressions, computed
from pinhold.compiler.nodes import assigned, constant, leaves, pure, stored_field, value
from pinhold.compiler.subset import OutsideSubset


class StatementCallees(Callees, Protocol):
    """What is asked about functions that are called for their effect."""

    def put_statement(self, name: str, args: Sequence[ast.expr]) -> ast.stmt | None:
        """The one store that a call comes to, its arguments in their places, or None where the call has to stay."""


class Statements:
    """caller: the function whose statements they are."""

    def __init__(self, caller: str, environment: Environment, callees: StatementCallees) -> None:
        self.known = environment
        self.callees = callees
        self.expressions = Expressions(caller, environment, callees)

    def fold(self, node: ast.expr) -> ast.expr:
        return self.expressions.fold(node)

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """The statements, specialised, up to the first that always leaves."""
        out: list[ast.stmt] = []
        for statement in body:
            out += self.statement(statement)
            if leaves(out):
                break
        return out

    def statement(self, node: ast.stmt) -> Iterator[ast.stmt]:
        match node:
            case ast.Pass():
                pass
            case ast.Break() | ast.Continue():
                yield node
            case ast.Return():
                yield ast.Return(None if node.value is None else self.fold(node.value))
            case ast.Expr():
                yield from self.effect(node)
            case ast.If():
                yield from self.branches(node)
            case ast.While(orelse=[]):
                yield from self.loop(node)
            case ast.For(orelse=[]):
                yield from self.turns(node)
            case ast.Assign(targets=[ast.Subscript() as target]):
                new = self.fold(node.value)
                yield from self.store(ast.Assign([self.expressions.place(target)], new))
            case ast.Assign(targets=[ast.Tuple() as targets]):
                yield from self.pair(targets, self.fold(node.value))
            case ast.Assign(targets=[ast.Name() as target]):
                yield from self.assign(target, self.fold(node.value))
            case ast.AugAssign(target=ast.Subscript() as target):
                new = self.fold(node.value)
                yield from self.store(ast.AugAssign(self.expressions.place(target), node.op, new))
            case ast.AugAssign(target=ast.Name() as target):
                yield from self.change(target, node.op, self.fold(node.value))
            case _:
                raise OutsideSubset(f"{self.expressions.caller}: {ast.unparse(node)}")

    def branches(self, node: ast.If) -> Iterator[ast.stmt]:
        test = self.fold(node.test)
        if constant(test):
            yield from self.block(node.body if value(test) else node.orelse)
            return
        before = dict(self.known.values)
        body, after_body = self.block(node.body), self.known.values
        self.known.values = before
        orelse = self.block(node.orelse)
        if leaves(orelse):
            self.known.values = after_body
        elif not leaves(body):
            self.known.meet(after_body)
        if body or orelse:
            yield ast.If(test, body or [ast.Pass()], orelse)
        elif not pure(test):
            yield ast.Expr(test)

    def loop(self, node: ast.While) -> Iterator[ast.stmt]:
        first = self.fold(node.test)
        if constant(first) and not value(first):
            return
        changed = assigned(node.body)
        self.known.forget(changed)  # a later turn finds them changed
        yield ast.While(self.fold(node.test), self.block(node.body) or [ast.Pass()], [])
        self.known.forget(changed)

    def turns(self, node: ast.For) -> Iterator[ast.stmt]:
        over = self.fold(node.iter)
        if isinstance(over, ast.Call) and all(map(constant, over.args)):
            turns = range(*map(value, over.args))
            jumps = any(isinstance(n, (ast.Break, ast.Continue)) for n in ast.walk(node))
            if not turns:
                return
            if len(turns) == 1 and not jumps:
                assert isinstance(node.target, ast.Name)
                yield from self.assign(node.target, ast.Constant(turns[0]))
                yield from self.block(node.body)
                return
        changed = assigned([node])
        self.known.forget(changed)
        yield ast.For(node.target, over, self.block(node.body) or [ast.Pass()], [])
        self.known.forget(changed)

    def assign(self, target: ast.Name, new: ast.expr) -> Iterator[ast.stmt]:
        if isinstance(new, ast.Attribute) and self.known.is_array(new):
            self.known.arrays[target.id] = new
            return
        self.known.give(target.id, new)
        yield ast.Assign([target], new)

    def pair(self, targets: ast.Tuple, new: ast.expr) -> Iterator[ast.stmt]:
        """Two names at once.  One after the other where a constant is among the values, and it last: the other value
        may read the name that the constant is for."""
        self.known.forget(assigned([ast.Assign([targets], new)]))
        if not isinstance(new, ast.Tuple) or not any(map(constant, new.elts)):
            yield ast.Assign([targets], new)
            return
        for target, part in sorted(zip(targets.elts, new.elts, strict=True), key=lambda both: constant(both[1])):
            assert isinstance(target, ast.Name)
            yield from self.assign(target, part)

    def change(self, target: ast.Name, op: ast.operator, new: ast.expr) -> Iterator[ast.stmt]:
        if target.id not in self.known.values:
            yield ast.AugAssign(target, op, new)
            return
        yield from self.assign(target, computed(ast.BinOp(ast.Constant(self.known.values[target.id]), op, new)))

    def store(self, node: ast.Assign | ast.AugAssign) -> Iterator[ast.stmt]:
        """A store to the record; what is the same everywhere and stays so needs none."""
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if not (stored_field(target) in self.known.facts.everywhere and pure(target) and pure(node.value)):
            yield node

    def effect(self, node: ast.Expr) -> Iterator[ast.stmt]:
        """A call whose value nobody wants."""
        new = self.fold(node.value)
        if pure(new):
            return
        put = None
        if isinstance(new, ast.Call) and isinstance(new.func, ast.Name):
            put = self.callees.put_statement(new.func.id, new.args)
        yield ast.Expr(new) if put is None else put
