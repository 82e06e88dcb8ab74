"""The specification specialised for one scope: partial evaluation of the `@kernel` functions, as Python source.

What a scope fixes (geometry, configuration, which operations and kinds of memory there are) is written into the
functions, constants are followed through them, decided branches go, functions that are one expression are put where
they are called, and what can no longer be reached is left out.  A function that the scope says cannot be entered
becomes a trap, which raises a flag: leaving out too much is noticed and never a wrong answer.  What comes out are plain
functions again, with the names, the arguments and the effect of those of `mm/`.

A function that is not of the subset (subset.py) is refused: OutsideSubset.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pinhold.compiler.environment import Environment
from pinhold.compiler.facts import Facts
from pinhold.compiler.inlining import Node, substituted
from pinhold.compiler.nodes import called, pure
from pinhold.compiler.record import place_of
from pinhold.compiler.source import Kernel, bare, changes, definition, kernels, scope
from pinhold.compiler.statements import Statements
from pinhold.compiler.subset import check
from pinhold.compiler.unread import without_unread

ZEROS = {"int": "0", "bool": "False", "tuple[int, int]": "(0, 0)", "None": "None"}
"""What a trap gives, by the function's annotation."""


class Specialiser:
    """Collects specialised functions, callees first.

    done: name -> specialised.  gone: the calls, with their arguments, that something else was put in the place of.
    """

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.kernels: Mapping[str, Kernel] = kernels()
        self.done: dict[str, ast.FunctionDef] = {}
        self.gone: list[ast.Call] = []

    def function(self, function: Kernel) -> ast.FunctionDef:
        """The function, specialised, and before it what it calls.  Raises OutsideSubset."""
        name = function.__name__
        if name not in self.done:
            self.done[name] = self.trap(function) if name in self.facts.absent else self.transform(function)
        return self.done[name]

    def transform(self, function: Kernel) -> ast.FunctionDef:
        check(function)
        new = bare(function)
        passed = {p: v for (name, p), v in self.facts.parameters.items() if name == new.name}
        while True:
            before = ast.dump(new)
            environment = Environment(self.facts, scope(function), passed)
            new.body = without_unread(Statements(new.name, environment, self).block(new.body)) or [ast.Pass()]
            # what a loop no longer changes keeps its value in it: that can decide more
            if not any(isinstance(n, (ast.For, ast.While)) for n in ast.walk(new)) or ast.dump(new) == before:
                return new

    def trap(self, function: Kernel) -> ast.FunctionDef:
        """A stand-in with the function's arguments that says which it is (record.py) and returns zeros."""
        new = bare(function)
        returns = definition(function).returns
        assert returns is not None
        new.body = ast.parse(
            f"m.left_out[0] = {place_of(self.facts, new.name)}\nreturn {ZEROS[ast.unparse(returns)]}"
        ).body
        return new

    # --- what the functions that are being specialised ask about those that they call ---

    def put_in(self, name: str, args: Sequence[ast.expr]) -> ast.expr | None:
        expression = None if name in self.facts.absent else self.result(name)
        put = None if expression is None else self.substituted(name, expression, args)
        if put is None:
            self.function(self.kernels[name])
        return put

    def put_statement(self, name: str, args: Sequence[ast.expr]) -> ast.stmt | None:
        body = [] if name in self.facts.absent else self.function(self.kernels[name]).body
        match body:
            case [ast.Assign() | ast.AugAssign() as store] if pure(store.value):
                return self.substituted(name, store, args)
            case _:
                return None

    def substituted(self, name: str, node: Node, args: Sequence[ast.expr]) -> Node | None:
        changing = any(changes(self.kernels[other]) for other in called(node) if other in self.kernels)
        put = substituted(node, parameters(self.kernels[name]), args, changing)
        if put is not None:
            self.gone.append(ast.Call(ast.Name(name, ast.Load()), list(args), []))
        return put

    def result(self, name: str) -> ast.expr | None:
        """The expression that a function of the facts, or of one expression, stands for; None for all others."""
        if name in self.facts.results:
            given = self.facts.results[name]
            return ast.Name(given, ast.Load()) if isinstance(given, str) else ast.Constant(given)
        match self.function(self.kernels[name]).body:
            case [ast.Pass() | ast.Return(value=None)]:
                return ast.Constant(None)
            case [ast.Return(ast.expr() as expression)]:
                return expression
            case _:
                return None

    def reachable(self, entries: Iterable[Kernel]) -> Iterator[ast.FunctionDef]:
        """The functions that the entries still call, callees first."""
        wanted: set[str] = set()
        waiting = [f.__name__ for f in entries]
        while waiting:
            name = waiting.pop()
            if name not in wanted:
                wanted.add(name)
                waiting += [other for other in called(self.done[name]) if other in self.done]
        return (ast.fix_missing_locations(d) for name, d in self.done.items() if name in wanted)


def parameters(function: Kernel) -> list[str]:
    return [arg.arg for arg in definition(function).args.args]


def specialise(entries: Iterable[Kernel], facts: Facts) -> str:
    """Source text of the entries and of all that they reach, callees first.  Raises OutsideSubset."""
    specialiser = Specialiser(facts)
    entries = list(entries)
    for function in entries:
        specialiser.function(function)
    return "\n\n\n".join(map(ast.unparse, specialiser.reachable(entries))) + "\n"
