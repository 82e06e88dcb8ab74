"""Scenario to text: the inverse of parse."""

from __future__ import annotations

from pinhold.scenario.step import Range, Scenario, Step


def format_scenario(scenario: Scenario) -> str:
    """The canonical text, ending in a newline; parse() of it gives an equal scenario."""
    raise NotImplementedError


def format_step(step: Step) -> str:
    """One step as its line, without newline."""
    raise NotImplementedError


def format_range(range: Range) -> str:
    """A range as a scenario writes it: x, x[3], x[1:5], x[1:], x[:5]."""
    raise NotImplementedError
