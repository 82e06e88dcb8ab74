"""The subset of Python that specialisation and lowering know, as a checker: all else is refused, by file and line.

A function of the subset
- takes the record as `m`, if it takes it, and integers; it gives an integer, a truth value, a pair of integers or
  nothing, as annotated.  No defaults, no keywords, no decorator but `@kernel`;
- consists of assignments, `if`, `while`, `for`, `return`, `pass`, `break`, `continue` and expressions that call
  something.  No `else` of a loop; one target an assignment.  `for` goes through a `range` or a written tuple of
  integers;
- has local names that are either integers or truth values throughout, and none that means something in its module;
- may give a whole array of the record a local name: once, and not within a branch or a loop;
- computes with `+ - * // % << >> & | ^ ~` of integers, comparisons, `in` a written tuple, `not`, `and`, `or`, `a if c
  else b`, `len` of an array, `min` and `max` of integers.  A truth value may be computed with and compared, as 0 or 1,
  but is no integer otherwise.  `and` and `or` of integers stand only where nothing but their truth is asked for;
- calls other `@kernel` functions, by position, itself neither directly nor indirectly.  A pair is given two names,
  given on, or one of its halves is taken;
- does not depend on the order in which an element is found and the value to be stored in it is computed: the index of
  a store calls nothing that changes the record, and does not read it where computing the value changes it.

Assumed and not noticed here: numbers stay within 64 bits, indices within their arrays (a checked machine traps both),
a local name has a value when it is read, and loops end.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cache
from typing import NoReturn

from pinhold.compiler.nodes import BUILTINS, called, reads
from pinhold.compiler.source import Kernel, changes, definition, is_kernel, place, reached, scope
from pinhold.mm.state import Field, State, fields


class OutsideSubset(Exception):
    """A function is not of the subset; the message begins with file and line."""


class Kind(Enum):
    """What an expression gives."""

    INTEGER = "an integer"
    TRUTH = "a truth value"
    PAIR = "a pair"
    NOTHING = "nothing"
    ARRAY = "an array of the record"


RESULTS = {"int": Kind.INTEGER, "bool": Kind.TRUTH, "tuple[int, int]": Kind.PAIR, "None": Kind.NOTHING}
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.LShift, ast.RShift)
BITWISE = (ast.BitAnd, ast.BitOr, ast.BitXor)
ORDERS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)


@cache
def check(function: Kernel) -> None:
    """Raises OutsideSubset where the function is not of the subset."""
    _Checker(function).function()


@cache
def fields_of(record: type[State]) -> Mapping[str, Field]:
    return dict(fields(record=record))


class _Checker:
    def __init__(self, function: Kernel) -> None:
        self.kernel = function
        self.definition = definition(function)
        self.scope = scope(function)
        self.fields: Mapping[str, Field] = {}
        self.locals: dict[str, Kind] = {}
        self.result = Kind.NOTHING

    def refuse(self, node: ast.AST, why: str) -> NoReturn:
        raise OutsideSubset(f"{place(self.kernel, node)}: {self.definition.name}: {why}")

    # --- the function ---

    def function(self) -> None:
        self.signature()
        body = self.definition.body
        described = ast.get_docstring(self.definition) is not None
        self.block(body[1:] if described else body, top=True)
        if self.kernel in reached(self.kernel):
            self.refuse(self.definition, "it calls itself")

    def signature(self) -> None:
        a = self.definition.args
        if a.defaults or a.kwonlyargs or a.vararg or a.kwarg or a.posonlyargs:
            self.refuse(self.definition, "it has default, keyword or variable arguments")
        for index, arg in enumerate(a.args):
            declared = "" if arg.annotation is None else ast.unparse(arg.annotation)
            if index == 0 and arg.arg == "m":
                self.fields = self.record(arg, declared)
                continue
            if declared != "int":
                self.refuse(arg, f"{arg.arg} is not declared as int")
            self.name(arg, arg.arg, Kind.INTEGER)
        returns = "" if self.definition.returns is None else ast.unparse(self.definition.returns)
        if returns not in RESULTS:
            self.refuse(self.definition, f"it gives none of {', '.join(RESULTS)}")
        self.result = RESULTS[returns]

    def record(self, arg: ast.arg, declared: str) -> Mapping[str, Field]:
        record = self.scope.get(declared, State if declared == State.__name__ else None)
        if not (isinstance(record, type) and issubclass(record, State)):
            self.refuse(arg, "m is not declared as State")
        return fields_of(record)  # type: ignore[arg-type]  # mypy: a class had no hash

    def name(self, node: ast.AST, name: str, kind: Kind) -> None:
        """A local name gets a value of that kind."""
        if name in self.scope or name in (*BUILTINS, "m"):
            self.refuse(node, f"{name} means something else in {self.kernel.__module__}")
        if self.locals.setdefault(name, kind) is not kind:
            self.refuse(node, f"{name} is {self.locals[name].value} elsewhere, and {kind.value} here")

    # --- statements ---

    def block(self, body: Iterable[ast.stmt], top: bool = False) -> None:
        for statement in body:
            self.statement(statement, top)

    def statement(self, node: ast.stmt, top: bool) -> None:
        match node:
            case ast.Pass() | ast.Break() | ast.Continue():
                pass
            case ast.Expr(ast.BoolOp()) if called(node.value):
                self.truth(node.value)
            case ast.Expr() if called(node.value):
                self.kind(node.value)
            case ast.Return():
                self.returned(node)
            case ast.If():
                self.truth(node.test)
                self.block(node.body)
                self.block(node.orelse)
            case ast.While(orelse=[]):
                self.truth(node.test)
                self.block(node.body)
            case ast.For(target=ast.Name(name), orelse=[]):
                self.turns(node.iter)
                self.name(node, name, Kind.INTEGER)
                self.block(node.body)
            case ast.While() | ast.For():
                self.refuse(node, "a loop with an else, or over more than one name")
            case ast.Assign(targets=[target]):
                self.assign(target, node.value, top)
            case ast.Assign():
                self.refuse(node, "more than one target of an assignment")
            case ast.AugAssign(target=ast.Name(name)):
                self.operation(node.op, node.target, node.value)
                self.name(node, name, Kind.INTEGER)
            case ast.AugAssign(target=ast.Subscript() as target):
                self.operation(node.op, target, node.value)
                self.store(target, node.value)
            case _:
                self.refuse(node, f"{type(node).__name__} is no statement of the subset")

    def returned(self, node: ast.Return) -> None:
        match node.value:
            case None:
                given = Kind.NOTHING
            case ast.Tuple(elts=[first, second]):
                self.integer(first)
                self.integer(second)
                given = Kind.PAIR
            case _:
                given = self.kind(node.value)
        if given is not self.result:
            self.refuse(node, f"it gives {given.value} here, and is said to give {self.result.value}")

    def turns(self, node: ast.expr) -> None:
        """What a `for` goes through."""
        match node:
            case ast.Call(func=ast.Name("range"), args=args, keywords=[]) if 1 <= len(args) <= 3:
                self.integers(args)
            case ast.Tuple():
                self.integers(node.elts)
            case _:
                self.refuse(node, "a loop over something else than a range or a tuple")

    def assign(self, target: ast.expr, value: ast.expr, top: bool) -> None:
        match target, value:
            case ast.Name(name), _:
                kind = self.kind(value)
                if kind is Kind.ARRAY and (not top or name in self.locals):
                    self.refuse(target, f"{name} is to name an array, in a branch or a loop, or a second time")
                if kind in (Kind.PAIR, Kind.NOTHING):
                    self.refuse(value, f"{kind.value} under one name")
                if self.locals.get(name) is Kind.ARRAY:
                    self.refuse(target, f"{name} names an array already")
                self.name(target, name, kind)
            case ast.Tuple(elts=[ast.Name(first), ast.Name(second)]), _ if first != second:
                if isinstance(value, ast.Tuple) and len(value.elts) == 2:
                    self.integers(value.elts)
                elif self.kind(value) is not Kind.PAIR:
                    self.refuse(value, "no pair for two names")
                self.name(target, first, Kind.INTEGER)
                self.name(target, second, Kind.INTEGER)
            case ast.Subscript(), _:
                self.integer(value)
                self.store(target, value)
            case _:
                self.refuse(target, "a target that is neither a name, nor two, nor an element of the record")

    def store(self, target: ast.Subscript, value: ast.expr) -> None:
        """A store to an element: found first by the one, last by the other, which must not matter."""
        self.element(target)
        if self.changing(target.slice):
            self.refuse(target, "the index of a store changes the record")
        if self.changing(value) and reads(target.slice):
            self.refuse(target, "the index of a store reads the record, which the stored value changes")

    def changing(self, node: ast.expr) -> bool:
        """Whether computing it stores to the record."""
        meant = map(self.scope.get, called(node))
        return any(changes(function) for function in meant if is_kernel(function))

    # --- expressions ---

    def integers(self, nodes: Iterable[ast.expr]) -> None:
        for node in nodes:
            self.integer(node)

    def integer(self, node: ast.expr) -> None:
        if (kind := self.kind(node)) is not Kind.INTEGER:
            self.refuse(node, f"{ast.unparse(node)} is {kind.value} where an integer is wanted")

    def counted(self, node: ast.expr) -> Kind:
        """A number, or a truth value that counts 0 or 1."""
        if (kind := self.kind(node)) not in (Kind.INTEGER, Kind.TRUTH):
            self.refuse(node, f"{ast.unparse(node)} is {kind.value} where a number is wanted")
        return kind

    def truth(self, node: ast.expr) -> None:
        """An expression of which nothing but its truth is asked for."""
        match node:
            case ast.BoolOp():
                for operand in node.values:
                    self.truth(operand)
            case ast.UnaryOp(op=ast.Not()):
                self.truth(node.operand)
            case _:
                if (kind := self.kind(node)) not in (Kind.INTEGER, Kind.TRUTH):
                    self.refuse(node, f"{ast.unparse(node)} is {kind.value} where a truth value is wanted")

    def kind(self, node: ast.expr) -> Kind:
        match node:
            case ast.Constant():
                return self.constant(node, node.value)
            case ast.Name(name):
                return self.known_name(node, name)
            case ast.Attribute(ast.Name("m"), name):
                if name not in self.fields:
                    self.refuse(node, f"{name} is no field of the record")
                return Kind.ARRAY if self.fields[name].dim else Kind.INTEGER
            case ast.Subscript(ast.Call() as pair, ast.Constant(0 | 1)) if self.call(pair) is Kind.PAIR:
                return Kind.INTEGER
            case ast.Subscript():
                self.element(node)
                return Kind.INTEGER
            case ast.BinOp():
                self.operation(node.op, node.left, node.right)
                return Kind.INTEGER
            case ast.UnaryOp(op=ast.Not()):
                self.truth(node.operand)
                return Kind.TRUTH
            case ast.UnaryOp(op=ast.USub() | ast.Invert()):
                self.integer(node.operand)
                return Kind.INTEGER
            case ast.Compare():
                return self.comparison(node)
            case ast.BoolOp():
                for operand in node.values:
                    if self.kind(operand) is not Kind.TRUTH:
                        self.refuse(operand, f"{ast.unparse(operand)}: the value of `and` or `or` of no truth values")
                return Kind.TRUTH
            case ast.IfExp():
                self.truth(node.test)
                one, other = self.kind(node.body), self.kind(node.orelse)
                if one is not other or one not in (Kind.INTEGER, Kind.TRUTH):
                    self.refuse(node, f"{one.value} or {other.value}")
                return one
            case ast.Call():
                return self.call(node)
            case _:
                self.refuse(node, f"{type(node).__name__} is no expression of the subset")

    def constant(self, node: ast.AST, value: object) -> Kind:
        if isinstance(value, bool):
            return Kind.TRUTH
        if isinstance(value, int):
            return Kind.INTEGER
        self.refuse(node, f"{value!r} is no integer")

    def known_name(self, node: ast.AST, name: str) -> Kind:
        if name in self.locals:
            return self.locals[name]
        if name not in self.scope:
            self.refuse(node, f"{name} has no value")
        return self.constant(node, self.scope[name])

    def element(self, node: ast.Subscript) -> None:
        if self.kind(node.value) is not Kind.ARRAY:
            self.refuse(node, f"{ast.unparse(node.value)} is no array of the record")
        self.integer(node.slice)

    def operation(self, operator: ast.operator, left: ast.expr, right: ast.expr) -> None:
        """An operation of two numbers; one of them, in arithmetic both, may be a truth value, which counts 0 or 1."""
        if not isinstance(operator, (*ARITHMETIC, *BITWISE)):
            self.refuse(left, f"{type(operator).__name__} is no operation of the subset")
        kinds = {self.counted(left), self.counted(right)}
        if isinstance(operator, BITWISE) and kinds == {Kind.TRUTH}:
            self.refuse(left, "bits of two truth values")

    def comparison(self, node: ast.Compare) -> Kind:
        self.counted(node.left)
        for operator, other in zip(node.ops, node.comparators, strict=True):
            match operator, other:
                case ((ast.In() | ast.NotIn()), ast.Tuple()) if len(node.ops) == 1:
                    self.integers(other.elts)
                case _ if isinstance(operator, ORDERS):
                    self.counted(other)
                case _:
                    self.refuse(node, f"{ast.unparse(node)} is no comparison of the subset")
        return Kind.TRUTH

    def call(self, node: ast.Call) -> Kind:
        if node.keywords or not isinstance(node.func, ast.Name):
            self.refuse(node, f"{ast.unparse(node)} does not call a function by its name and by position")
        name = node.func.id
        function = self.scope.get(name)
        if function is None and name in BUILTINS:
            return self.builtin(name, node)
        if not is_kernel(function):
            self.refuse(node, f"calls {name}, which is no @kernel function")
        meant = definition(function)
        args, names = list(node.args), [a.arg for a in meant.args.args]
        if len(args) != len(names):
            self.refuse(node, f"{name} takes {len(names)} arguments")
        if names[:1] == ["m"]:
            if not (isinstance(args[0], ast.Name) and args[0].id == "m" and self.fields):
                self.refuse(node, f"{name} is called with something else than the record")
            args = args[1:]
        self.integers(args)
        returns = "" if meant.returns is None else ast.unparse(meant.returns)
        if returns not in RESULTS:
            self.refuse(node, f"{name} does not say what it gives")
        return RESULTS[returns]

    def builtin(self, name: str, node: ast.Call) -> Kind:
        if name == "len":
            if len(node.args) != 1 or self.kind(node.args[0]) is not Kind.ARRAY:
                self.refuse(node, "len of something else than an array of the record")
        elif name == "range" or len(node.args) < 2:
            self.refuse(node, f"{ast.unparse(node)} is no number")
        else:
            self.integers(node.args)
        return Kind.INTEGER
