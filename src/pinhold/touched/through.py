"""Which functions of the kernel a scenario goes through, by the model's own run of it.

What the kernel does up to the first function that a patch changes is what it did before: a scenario that goes through
none of them does the same with the patch and without.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from types import FunctionType

from pinhold.mm.kernel import Function
from pinhold.scenario.steps import Action, Scenario
from pinhold.targets.base import Broken, CannotDo, Livelock
from pinhold.targets.model.target import ModelTarget
from pinhold.touched.names import Means, known

_NOTE = "_pinhold_entered"
_AS_WRITTEN = "_pinhold_as_written_{}"


@contextmanager
def entered(functions: Collection[Function]) -> Iterator[set[Function]]:
    """While it lasts, which of these functions of mm/ are entered, in this process; whoever looks may clear the set.

    A function stays the same object and has other code, as in compiler/patch.py, so that all who call it note it.
    """
    seen: set[Function] = set()
    with ExitStack() as undo:
        for function in functions:
            assert isinstance(function, FunctionType)
            name = _AS_WRITTEN.format(function.__name__)
            scope = function.__globals__
            scope[name] = FunctionType(function.__code__, scope, function.__name__)
            scope[f"{_NOTE}_{function.__name__}"] = partial(seen.add, function)
            undo.callback(scope.pop, name)
            undo.callback(scope.pop, f"{_NOTE}_{function.__name__}")
            undo.callback(partial(setattr, function, "__code__", function.__code__))
            function.__code__ = _noting(function.__name__).__code__
        yield seen


def _noting(name: str) -> FunctionType:
    """Says that the function of this name is entered, and enters it."""
    made: dict[str, FunctionType] = {}
    exec(f"def noting(*given):\n    {_NOTE}_{name}()\n    return {_AS_WRITTEN.format(name)}(*given)\n", made)
    return made["noting"]


def through(model: ModelTarget, scenario: Scenario, names: Collection[str]) -> frozenset[str]:
    """Which of these functions of the kernel, all of them known, the scenario goes through on the model.

    Each action is done whatever the ones before came to: a kernel with a patch may get further than the model.
    """
    means: Mapping[str, Means] = {name: known()[name] for name in names}
    actions = tuple(step for step in scenario.steps if isinstance(step, Action))
    decided: set[str] = set()
    functions = {function for each in means.values() for function in each.functions}
    with entered(functions) as seen, model.open(replace(scenario, steps=actions)) as session:
        for action in actions:
            try:
                decided.update(decision.site for decision in session.do(action).decisions)
            except Livelock as endless:
                decided.update(decision.site for decision in endless.decisions)
                break
            except Broken:
                break
            except (CannotDo, LookupError):
                continue
    return frozenset(name for name, each in means.items() if each.functions & seen or each.sites & decided)
