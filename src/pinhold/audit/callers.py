"""Alternatives, told apart by what callers pass: a condition on a parameter is true or false in each caller.

`if (write) flags |= FOLL_WRITE` in a function is decided where every caller passes true, and split where some do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from pinhold.audit import conditions
from pinhold.audit.reach import condition_of, conditions_of, guards_of
from pinhold.audit.syntax import bare, line, text
from pinhold.audit.unit import Call, Function, Unit
from pinhold.audit.values import FALSE, TRUE, Alternative, Condition, Step, Value, bounded

if TYPE_CHECKING:
    from tree_sitter import Node

DEEPEST = 6
MOST = 40
"""Callers of callers; and callers of a function that are told apart."""

_WORD = re.compile(r"(?<![\w.>])[A-Za-z_]\w*(?!\w|\s*(?:->|\.|\[|\())")
CONSTANTS = {
    "true": "1", "false": "0", "NULL": "0", "READ": "0", "WRITE": "1", "ITER_DEST": "0", "ITER_SOURCE": "1",
    "DMA_BIDIRECTIONAL": "0", "DMA_TO_DEVICE": "1", "DMA_FROM_DEVICE": "2", "DMA_NONE": "3",
}  # fmt: skip
"""What the kernel's own constants are, whose values no release has changed."""


class Asked(Protocol):
    """Who knows the callers in a tree: evaluate.Evaluator."""

    def callers(self, function: Function) -> list[Call]: ...
    def open(self, function: Function) -> str: ...
    def at(self, path: str) -> list[Unit]: ...
    def truths(self, unit: Unit, node: Node, use: Node) -> set[bool]: ...


def told_apart(tree: Asked, function: Function | None, found: Value) -> Value:
    """The alternatives of a call in a function, caller by caller where conditions depend on what those pass."""
    if function is None or len({one.flags for one in found}) < 2:
        return found
    return bounded(each for one in found for each in _settled(tree, function, one, 0))


def _settled(tree: Asked, function: Function, one: Alternative, level: int) -> list[Alternative]:
    mine = [c for c in one.when if c.function == function.name and parameters_in(function, c.text)]
    if level >= DEEPEST:
        return [one]
    given = _on_the_way(tree, one, level)
    if not mine:
        inner = given.function if given is not None else None
        return [one] if inner is None else _settled(tree, inner, one, level + 1)
    calls = [given] if given is not None else tree.callers(function)
    if len(calls) > MOST:
        return [one]
    made: list[Alternative] = []
    decided = False
    for call in calls:
        if call.function is None or call.function is function:
            continue
        passed = _as_passed(tree, function, call, one, mine)
        decided = decided or passed is None or passed.when != one.when
        if passed is None:
            continue
        if given is None:
            step = Step(call.function.name, call.unit.path, call.line)
            passed = replace(passed, path=(step, *passed.path))
        made += _settled(tree, call.function, passed, level + 1)
    if not decided:
        return [one]
    return [*made, one] if given is None and tree.open(function) else made


def _on_the_way(tree: Asked, one: Alternative, level: int) -> Call | None:
    """The call by which a function was come to, where flags came that way."""
    if level >= len(one.path):
        return None
    step = one.path[-1 - level]
    calls = (call for unit in tree.at(step.path) for call in unit.by_line.get(step.line, ()))
    return next((call for call in calls if call.function and call.function.name == step.function), None)


def parameters_in(function: Function, words: str) -> list[int]:
    """The parameters that an expression names and that the function never changes."""
    found = []
    for name in dict.fromkeys(_WORD.findall(words)):
        number = function.parameter(name)
        if number is not None and not function.changes(name):
            found.append(number)
    return found


def _as_passed(
    tree: Asked, function: Function, call: Call, one: Alternative, mine: Sequence[Condition]
) -> Alternative | None:
    """The alternative where this caller calls; None where it is none there."""
    when: list[Condition] = []
    here = [*conditions_of(call.node, call.function), *guards_of(call.node, call.function)]
    for condition in one.when:
        new = _translated(tree, function, call, condition) if condition in mine else condition
        if new.never or new.negated() in here:
            return None
        if not new.always and new not in here:
            when.append(new)
    return replace(one, when=()).also(when)


def _translated(tree: Asked, function: Function, call: Call, condition: Condition) -> Condition:
    """A condition of a function in the words of its caller, or decided."""
    numbers = parameters_in(function, condition.text)
    if any(number >= len(call.arguments) for number in numbers):
        return condition
    known = dict(CONSTANTS)
    for number in numbers:
        argument = call.arguments[number]
        value = _number(tree, call, argument)
        if value is not None:
            known[function.parameters[number].name] = str(value)
    found = conditions.number(condition.text, call.unit.release, known, always=True)
    if found is not None:
        return Condition("", TRUE if found else FALSE, condition.holds)
    (number, *more) = numbers
    if not more and condition.text == function.parameters[number].name:
        outer = condition_of(call.arguments[number], call.function)
        return outer if condition.holds else outer.negated()
    return condition


def _number(tree: Asked, call: Call, argument: Node) -> int | None:
    """What is passed, where that is a constant or a variable that can be but one."""
    words = CONSTANTS.get(text(bare(argument)), line(argument))
    found = conditions.number(words, call.unit.release, call.unit.macros, always=True)
    if found is not None:
        return found
    name = text(bare(argument))
    if call.function is not None and call.function.parameter(name) is not None:
        return None
    truths = tree.truths(call.unit, argument, call.node)
    return int(truths.pop()) if len(truths) == 1 else None
