"""Scenario to text: the inverse of parse."""

from __future__ import annotations

from pinhold.scenario.ranges import encode_range
from pinhold.scenario.small import Small
from pinhold.scenario.small_line import SMALL
from pinhold.scenario.steps import Range, Scenario, Step
from pinhold.scenario.steps.table import show_step
from pinhold.scenario.tokens import quote

_WIDEST_COLUMN = 8
"""Verbs longer than this (clear_softdirty) stick out instead of widening the column of all lines."""


def format_scenario(scenario: Scenario) -> str:
    """The canonical text, ending in a newline; parse() of it gives an equal scenario."""
    lines = [show_step(step) for step in scenario.steps]
    if scenario.watch:
        lines.insert(0, ["watch", *map(format_range, scenario.watch)])
    if scenario.small is not None:
        lines.insert(0, format_small(scenario.small).split())
    if scenario.observe:
        lines.insert(0, ["observe"])
    for verb, text in (("xfail", scenario.xfail), ("vm_only", scenario.vm_only)):
        if text is not None:
            lines.insert(0, [verb, quote(text)])
    width = max((len(words[0]) for words in lines if len(words[0]) <= _WIDEST_COLUMN), default=0)
    body = [f"{words[0]:<{width}} {' '.join(words[1:])}".rstrip() for words in lines]
    return "\n".join([f"scenario {scenario.title}", *body]) + "\n"


def format_step(step: Step) -> str:
    """One step as its line, without newline."""
    return " ".join(show_step(step))


def format_small(small: Small) -> str:
    """The line that says which small machine a scenario is for."""
    return " ".join(SMALL.show(small) or [])


def format_range(range: Range) -> str:
    """A range as a scenario writes it: x, x[3], x[1:5], x[1:], x[:5]."""
    return encode_range(range)
