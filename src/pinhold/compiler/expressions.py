"""Expressions specialised: constants written in and computed with, calls of one expression put in."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pinhold.compiler.environment import Environment
from pinhold.compiler.nodes import constant, pure, value
from pinhold.compiler.source import Kernel, is_kernel
from pinhold.compiler.subset import OutsideSubset

COMPUTED: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class Callees(Protocol):
    """What is asked about other functions.  kernels: all that there are, by name."""

    kernels: Mapping[str, Kernel]

    def put_in(self, name: str, args: Sequence[ast.expr]) -> ast.expr | None:
        """The expression that a call comes to, its arguments in their places, or None where the call has to stay."""


class Expressions:
    """caller: the function whose expressions they are."""

    def __init__(self, caller: str, environment: Environment, callees: Callees) -> None:
        self.caller = caller
        self.known = environment
        self.callees = callees

    def fold(self, node: ast.expr) -> ast.expr:
        """The expression where the environment is now; what was given is left as it is."""
        match node:
            case ast.Constant():
                return node
            case ast.Name():
                return self.known.name(node)
            case ast.Attribute():
                return self.known.field(node)
            case ast.Subscript():
                return self.element(node)
            case ast.Tuple():
                return ast.Tuple([self.fold(part) for part in node.elts], node.ctx)
            case ast.BinOp():
                return computed(ast.BinOp(self.fold(node.left), node.op, self.fold(node.right)))
            case ast.UnaryOp():
                return self.unary(node)
            case ast.Compare():
                return self.comparison(node)
            case ast.BoolOp():
                return self.truth(node)
            case ast.IfExp():
                return self.choice(node)
            case ast.Call(func=ast.Name()):
                return self.call(node)
            case _:
                raise OutsideSubset(f"{self.caller}: {ast.unparse(node)}")

    def element(self, node: ast.Subscript) -> ast.expr:
        """An element of an array, or one half of a pair."""
        if isinstance(node.value, ast.Call):
            return self.half(node.value, node.slice)
        whole, index = self.fold(node.value), self.fold(node.slice)
        everywhere = self.known.facts.everywhere
        if isinstance(whole, ast.Attribute) and whole.attr in everywhere and pure(index):
            return ast.Constant(everywhere[whole.attr])
        return ast.Subscript(whole, index, ast.Load())

    def half(self, call: ast.Call, which: ast.expr) -> ast.expr:
        """One half of the pair that a call gives; where a pair is put in its place, that half, if the other is not
        wanted for what it does."""
        pair = self.fold(call)
        if not isinstance(pair, ast.Tuple):
            return ast.Subscript(pair, which, ast.Load())
        if pure(pair.elts[1 - value(which)]):
            wanted: ast.expr = pair.elts[value(which)]
            return wanted
        return ast.Subscript(ast.Call(call.func, [self.fold(arg) for arg in call.args], []), which, ast.Load())

    def place(self, node: ast.Subscript) -> ast.Subscript:
        """An element that is stored to."""
        return ast.Subscript(self.fold(node.value), self.fold(node.slice), ast.Store())

    def unary(self, node: ast.UnaryOp) -> ast.expr:
        operand = self.fold(node.operand)
        if not constant(operand):
            return ast.UnaryOp(node.op, operand)
        match node.op:
            case ast.Not():
                return ast.Constant(not value(operand))
            case ast.USub():
                return ast.Constant(-value(operand))
            case ast.Invert():
                return ast.Constant(~value(operand))
            case _:
                raise OutsideSubset(f"{self.caller}: {ast.unparse(node)}")

    def comparison(self, node: ast.Compare) -> ast.expr:
        left, others = self.fold(node.left), [self.fold(other) for other in node.comparators]
        if len(others) == 1 and constant(left):
            match node.ops[0], others[0]:
                case (ast.In() | ast.NotIn()) as op, ast.Tuple(elts=among) if all(map(constant, among)):
                    return ast.Constant((value(left) in map(value, among)) == isinstance(op, ast.In))
                case op, ast.Constant(other):
                    return ast.Constant(COMPUTED[type(op)](value(left), other))
        return ast.Compare(left, node.ops, others)

    def truth(self, node: ast.BoolOp) -> ast.expr:
        """`and` or `or`, of which the subset lets nothing but the truth be asked for."""
        decides = isinstance(node.op, ast.Or)
        kept: list[ast.expr] = []
        for operand in node.values:
            new = self.fold(operand)
            if not constant(new):
                kept.append(new)
            elif bool(value(new)) == decides:
                kept.append(ast.Constant(decides))
                break
        if not kept:
            return ast.Constant(not decides)
        if constant(kept[-1]) and all(pure(k) for k in kept):
            return kept[-1]
        return kept[0] if len(kept) == 1 else ast.BoolOp(node.op, kept)

    def choice(self, node: ast.IfExp) -> ast.expr:
        test = self.fold(node.test)
        if constant(test):
            return self.fold(node.body if value(test) else node.orelse)
        return ast.IfExp(test, self.fold(node.body), self.fold(node.orelse))

    def call(self, node: ast.Call) -> ast.expr:
        assert isinstance(node.func, ast.Name)
        name, args = node.func.id, [self.fold(arg) for arg in node.args]
        if is_kernel(self.known.module.get(name)):
            put = self.callees.put_in(name, args)
            return ast.Call(node.func, args, []) if put is None else self.again(put)
        if name == "len" and isinstance(args[0], ast.Attribute) and self.known.is_array(args[0]):
            return ast.Constant(self.known.facts.sizes[args[0].attr])
        if name in ("min", "max") and all(map(constant, args)):
            return ast.Constant((min if name == "min" else max)(map(value, args)))
        return ast.Call(node.func, args, [])

    def again(self, put: ast.expr) -> ast.expr:
        """An expression that was put in, with what its arguments bring.

        Its names are this function's, and have been looked up: none is to be looked up again, but for what it calls.
        """
        return Expressions(self.caller, Environment(self.known.facts, self.callees.kernels, {}), self.callees).fold(put)


def computed(node: ast.BinOp) -> ast.expr:
    """The number that an operation gives, if it is known, and is one: what never runs may divide by zero."""
    if constant(node.left) and constant(node.right):
        try:
            return ast.Constant(COMPUTED[type(node.op)](value(node.left), value(node.right)))
        except (ArithmeticError, ValueError):
            return node
    return node
