"""The specification specialised for one scope: partial evaluation of the `@kernel` functions, as Python source.

What a scope fixes (geometry, configuration, which operations and kinds of memory there are) is written into the
functions, constants are followed through them, decided branches go, functions that are one expression are put where
they are called, and what can no longer be reached is left out.  A function that the scope says cannot be entered
becomes a trap, which raises a flag: leaving out too much is noticed and never a wrong answer.  What comes out are plain
functions again, with the names, the arguments and the effect of those of `mm/`.
"""

from __future__ import annotations

import ast
import copy
import inspect
import operator
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pinhold.compiler.facts import Facts
from pinhold.mm.kernel import REGISTRY
from pinhold.mm.limits import LEFT_OUT

Kernel = Callable[..., Any]
Node = TypeVar("Node", ast.expr, ast.stmt)

OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
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
PURE = (ast.Name, ast.Constant, ast.Attribute, ast.Subscript, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp)


class Specialiser:
    """Collects specialised functions, callees first."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.known: dict[str, Kernel] = {f.__name__: f for f in REGISTRY}
        self.done: dict[str, ast.FunctionDef] = {}
        self.used: dict[str, None] = {}

    def function(self, function: Kernel) -> ast.FunctionDef:
        """The function, specialised, and before it what it calls."""
        name = function.__name__
        if name not in self.done:
            self.done[name] = self.trap(function) if name in self.facts.absent else self.transform(function)
        return self.done[name]

    def transform(self, function: Kernel) -> ast.FunctionDef:
        definition = parsed(function)
        passed = {p: v for (name, p), v in self.facts.parameters.items() if name == definition.name}
        visitor = _Fold(self, inspect.unwrap(function).__globals__, passed)
        definition.body = without_unread(visitor.block(without_docstring(definition.body))) or [ast.Pass()]
        return definition

    def trap(self, function: Kernel) -> ast.FunctionDef:
        """A stand-in with the function's arguments that raises the flag and returns zeros."""
        definition = parsed(function)
        zero = {"tuple[int, int]": "(0, 0)", "bool": "False", "None": "None"}.get(annotation(function), "0")
        definition.body = ast.parse(f"m.trapped[0] = {LEFT_OUT}\nreturn {zero}").body
        return definition

    def result(self, name: str) -> ast.expr | None:
        """The expression that a function of the facts, or of one expression, stands for; None for all others."""
        if name in self.facts.results:
            return ast.parse(self.facts.results[name], mode="eval").body
        body = self.function(self.known[name]).body
        if isinstance(body[0], ast.Pass):
            return ast.Constant(None)
        if len(body) == 1 and isinstance(body[0], ast.Return) and body[0].value is not None:
            return body[0].value
        return None

    def reachable(self, entries: Iterable[Kernel]) -> Iterator[ast.FunctionDef]:
        """The functions that the entries still call, callees first."""
        wanted: set[str] = set()
        waiting = [f.__name__ for f in entries]
        while waiting:
            name = waiting.pop()
            if name in wanted:
                continue
            wanted.add(name)
            calls = (node.func for node in ast.walk(self.done[name]) if isinstance(node, ast.Call))
            waiting += [f.id for f in calls if isinstance(f, ast.Name) and f.id in self.done]
        return (ast.fix_missing_locations(d) for name, d in self.done.items() if name in wanted)


def specialise(entries: Iterable[Kernel], facts: Facts) -> str:
    """Source text of the entries and of all that they reach, callees first."""
    specialiser = Specialiser(facts)
    entries = list(entries)
    for function in entries:
        specialiser.function(function)
    return "\n\n\n".join(map(ast.unparse, specialiser.reachable(entries))) + "\n"


def parsed(function: Kernel) -> ast.FunctionDef:
    """The function's definition without decorators and annotations."""
    definition = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.decorator_list = []
    definition.returns = None
    for arg in definition.args.args:
        arg.annotation = None
    return definition


def annotation(function: Kernel) -> str:
    return str(function.__annotations__.get("return", "int"))


def without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    described = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return body[1:] if described and isinstance(first.value.value, str) else body  # type: ignore[attr-defined]


def constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def value(node: ast.expr) -> Any:
    assert isinstance(node, ast.Constant)
    return node.value


def pure(node: ast.expr) -> bool:
    """Whether an expression calls nothing."""
    return all(
        isinstance(n, (*PURE, ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop))
        for n in ast.walk(node)
    )


def assigned(statements: Iterable[ast.stmt]) -> set[str]:
    """The local names that the statements give a value."""
    nodes = (n for statement in statements for n in ast.walk(statement))
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def without_unread(body: list[ast.stmt]) -> list[ast.stmt]:
    """A function's statements without assignments to local names that nothing reads."""
    while True:
        nodes = [n for statement in body for n in ast.walk(statement)]
        read = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        read |= {n.target.id for n in nodes if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)}
        unread = assigned(body) - read
        left = _Drop(unread).block(body) if unread else body
        if assigned(left) - read == unread:
            return left
        body = left


class _Drop(ast.NodeTransformer):
    def __init__(self, names: Collection[str]) -> None:
        self.names = names

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        out = (self.visit(statement) for statement in body)
        return [statement for statement in out if statement is not None]

    def visit_Assign(self, node: ast.Assign) -> ast.stmt | None:
        target = node.targets[0]
        return None if isinstance(target, ast.Name) and target.id in self.names and pure(node.value) else node

    def visit_If(self, node: ast.If) -> ast.stmt | None:
        body, orelse = self.block(node.body), self.block(node.orelse)
        if not body and not orelse and pure(node.test):
            return None
        return ast.If(node.test, body or [ast.Pass()], orelse)

    def visit_While(self, node: ast.While) -> ast.stmt:
        return ast.While(node.test, self.block(node.body) or [ast.Pass()], [])

    def visit_For(self, node: ast.For) -> ast.stmt:
        return ast.For(node.target, node.iter, self.block(node.body) or [ast.Pass()], [])


class _Fold(ast.NodeTransformer):
    """Writes constants in, follows them from statement to statement, folds expressions, and drops what is decided.

    values: what the local names are known to be where the visit has come to.
    """

    def __init__(self, specialiser: Specialiser, scope: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        self.specialiser = specialiser
        self.facts = specialiser.facts
        self.scope = scope
        self.aliases: dict[str, ast.expr] = {}
        self.values = dict(values)

    # --- statements ---

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """The statements, specialised, up to the first that always leaves."""
        out: list[ast.stmt] = []
        for statement in body:
            new = self.visit(statement)
            out += new if isinstance(new, list) else [new]
            if out and leaves(out[-1]):
                break
        return out

    def forget(self, names: Iterable[str]) -> None:
        for name in names:
            self.values.pop(name, None)

    def visit_If(self, node: ast.If) -> ast.stmt | list[ast.stmt]:
        test = self.visit(node.test)
        if constant(test):
            return self.block(node.body if value(test) else node.orelse)
        before = dict(self.values)
        body, after = self.block(node.body), self.values
        self.values = before
        orelse = self.block(node.orelse)
        if orelse and leaves(orelse[-1]):
            self.values = after
        elif not (body and leaves(body[-1])):
            both = self.values.items() & after.items()
            self.values = {name: known for name, known in self.values.items() if (name, known) in both}
        if not body and not orelse:
            return [] if pure(test) else [ast.Expr(test)]
        return ast.If(test, body or [ast.Pass()], orelse)

    def visit_While(self, node: ast.While) -> ast.stmt | list[ast.stmt]:
        first = self.visit(copy.deepcopy(node.test))
        if constant(first) and not value(first):
            return []
        self.forget(assigned(node.body))
        loop = ast.While(self.visit(node.test), self.block(node.body) or [ast.Pass()], [])
        self.forget(assigned(node.body))
        return loop

    def visit_For(self, node: ast.For) -> ast.stmt | list[ast.stmt]:
        over = self.visit(node.iter)
        if isinstance(over, ast.Call) and over.args and all(constant(a) for a in over.args):
            turns = range(*(value(a) for a in over.args))
            jumps = any(isinstance(n, (ast.Break, ast.Continue)) for n in ast.walk(node))
            if len(turns) == 0 or (len(turns) == 1 and not jumps):
                first = [self.known(ast.Assign([node.target], ast.Constant(turn))) for turn in turns]
                return [*first, *self.block(node.body)] if first else []
        self.forget(assigned([node]))
        body = self.block(node.body)
        self.forget(assigned([node]))
        return ast.For(node.target, over, body or [ast.Pass()], [])

    def visit_Assign(self, node: ast.Assign) -> ast.stmt | list[ast.stmt]:
        new, target = self.visit(node.value), node.targets[0]
        if isinstance(new, ast.Attribute) and new.attr in self.facts.sizes and isinstance(target, ast.Name):
            self.aliases[target.id] = new  # a whole array of the record
            return []
        if isinstance(target, ast.Subscript):
            return self.store(ast.Assign([self.visit(target)], new))
        self.forget(assigned([node]))
        if isinstance(target, ast.Tuple) and isinstance(new, ast.Tuple):
            if sum(not constant(part) for part in new.elts) > 1:
                return ast.Assign([target], new)
            pairs = sorted(zip(target.elts, new.elts, strict=True), key=lambda pair: constant(pair[1]))
            return [self.known(ast.Assign([name], part)) for name, part in pairs]
        return self.known(ast.Assign([target], new))

    def known(self, assign: ast.Assign) -> ast.Assign:
        """Remembers what is assigned, if it is a constant."""
        if constant(assign.value) and isinstance(assign.targets[0], ast.Name):
            self.values[assign.targets[0].id] = value(assign.value)
        return assign

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt | list[ast.stmt]:
        new = self.visit(node.value)
        if not isinstance(node.target, ast.Name):
            return self.store(ast.AugAssign(self.visit(node.target), node.op, new))
        name = node.target.id
        if name in self.values and constant(new):
            result = OPERATORS[type(node.op)](self.values[name], value(new))
            return self.known(ast.Assign([node.target], ast.Constant(result)))
        if name in self.values:
            before = ast.Constant(self.values.pop(name))
            return ast.Assign([node.target], ast.BinOp(before, node.op, new))
        return ast.AugAssign(node.target, node.op, new)

    def store(self, statement: ast.Assign | ast.AugAssign) -> ast.stmt | list[ast.stmt]:
        """A store to the record; what is the same everywhere and stays so needs none."""
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        needless = stored_field(target) in self.facts.everywhere and pure(target) and pure(statement.value)
        return [] if needless else statement

    def visit_Expr(self, node: ast.Expr) -> ast.stmt | list[ast.stmt]:
        expression = self.visit(node.value)
        if pure(expression):
            return []
        if isinstance(expression, ast.Call):
            statement = self.statement(expression)
            if statement is not None:
                return statement
        return ast.Expr(expression)

    def statement(self, call: ast.Call) -> ast.stmt | None:
        """The one store that a function called for its effect comes to, or None."""
        assert isinstance(call.func, ast.Name)
        definition = self.specialiser.done.get(call.func.id)
        if definition is None or len(definition.body) != 1 or call.func.id in self.facts.absent:
            return None
        store = definition.body[0]
        if not isinstance(store, (ast.Assign, ast.AugAssign)) or not pure(store.value):
            return None
        return substituted(store, [a.arg for a in definition.args.args], call.args)

    # --- expressions ---

    def visit_Name(self, node: ast.Name) -> ast.expr:
        known = self.scope.get(node.id)
        if isinstance(node.ctx, ast.Load) and node.id in self.values:
            return ast.Constant(self.values[node.id])
        if isinstance(node.ctx, ast.Load) and node.id in self.aliases:
            return self.aliases[node.id]
        if isinstance(node.ctx, ast.Load) and isinstance(known, int) and node.id not in ("True", "False"):
            return ast.Constant(known)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id == "m" and node.attr in self.facts.constants:
            return ast.Constant(self.facts.constants[node.attr])
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        index = self.visit(node.slice)
        known = isinstance(node.value, ast.Attribute) and node.value.attr in self.facts.everywhere
        if known and isinstance(node.ctx, ast.Load) and pure(index):
            return ast.Constant(self.facts.everywhere[node.value.attr])  # type: ignore[attr-defined]
        return ast.Subscript(self.visit(node.value), index, node.ctx)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        left, right = self.visit(node.left), self.visit(node.right)
        if constant(left) and constant(right):
            return ast.Constant(OPERATORS[type(node.op)](value(left), value(right)))
        return ast.BinOp(left, node.op, right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        operand = self.visit(node.operand)
        if constant(operand):
            if isinstance(node.op, ast.Not):
                return ast.Constant(not value(operand))
            return ast.Constant(-value(operand) if isinstance(node.op, ast.USub) else ~value(operand))
        return ast.UnaryOp(node.op, operand)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        left = self.visit(node.left)
        right = [self.visit(c) for c in node.comparators]
        if len(right) == 1 and constant(left) and constant(right[0]):
            return ast.Constant(OPERATORS[type(node.ops[0])](value(left), value(right[0])))
        return ast.Compare(left, node.ops, right)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        decides = isinstance(node.op, ast.Or)
        kept: list[ast.expr] = []
        for operand in node.values:
            new = self.visit(operand)
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

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        test = self.visit(node.test)
        if constant(test):
            chosen: ast.expr = self.visit(node.body if value(test) else node.orelse)
            return chosen
        return ast.IfExp(test, self.visit(node.body), self.visit(node.orelse))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        args = [self.visit(a) for a in node.args]
        if name == "len" and isinstance(args[0], ast.Attribute) and args[0].attr in self.facts.sizes:
            return ast.Constant(self.facts.sizes[args[0].attr])
        callee = self.specialiser.known.get(name)
        if callee is None or self.scope.get(name) is not callee:
            if name in ("min", "max") and all(constant(a) for a in args):
                return ast.Constant(min(map(value, args)) if name == "min" else max(map(value, args)))
            return ast.Call(node.func, args, [])
        if name not in self.facts.results:
            self.specialiser.function(self.specialiser.known[name])
        if name not in self.facts.absent:
            expression = self.specialiser.result(name)
            if expression is not None:
                put = substituted(expression, list(inspect.signature(self.specialiser.known[name]).parameters), args)
                if put is not None:
                    return self.again(put)
        self.specialiser.function(self.specialiser.known[name])
        return ast.Call(node.func, args, [])

    def again(self, node: ast.expr) -> ast.expr:
        """An expression that was put in, folded with what is known here; its names are values, not this module's."""
        folded: ast.expr = _Fold(self.specialiser, self.callables(), {}).visit(node)
        return folded

    def callables(self) -> dict[str, Any]:
        return dict(self.specialiser.known)


def stored_field(target: ast.expr) -> str | None:
    """The array of the record that a store to `target` changes."""
    if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Attribute):
        return target.value.attr
    return None


def leaves(statement: ast.stmt) -> bool:
    """Whether nothing after the statement is reached."""
    if isinstance(statement, ast.If):
        both = statement.body and statement.orelse
        return bool(both) and leaves(statement.body[-1]) and leaves(statement.orelse[-1])
    return isinstance(statement, (ast.Return, ast.Break, ast.Continue))


class _Put(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node)


def substituted(node: Node, names: list[str], args: list[ast.expr]) -> Node | None:
    """The node with arguments for names; None where an argument would be evaluated twice, or out of order."""
    uses = [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
    for name, arg in zip(names, args, strict=True):
        if not pure(arg):
            return None
        if not isinstance(arg, (ast.Name, ast.Constant)) and uses.count(name) > 1:
            return None
    changed: Node = _Put(dict(zip(names, args, strict=True))).visit(copy.deepcopy(node))
    return changed
