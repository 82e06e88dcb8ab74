"""Comparing two targets is comparing two lists of observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pinhold.scenario.observation import Observation


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where two runs differ.

    index: of the observation; where: "P x[0]", "pin p[0]" or "" for the step itself; field: of the view ("state",
    "frame", "byte", ...), "errno" or "length"; left, right: both values in words.
    """

    index: int
    where: str
    field: str
    left: str
    right: str

    def words(self, left: str = "left", right: str = "right", step: str | None = None) -> str:
        """One sentence; left and right name the targets, step is the step's text."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Comparison:
    """difference: the first one or None; compared: how many fields both sides saw (0: nothing was compared)."""

    difference: Difference | None
    compared: int


def compare(a: Sequence[Observation], b: Sequence[Observation]) -> Comparison:
    """Compare field by field up to the first difference; None fields are passed over."""
    raise NotImplementedError


def first_difference(a: Sequence[Observation], b: Sequence[Observation]) -> Difference | None:
    """The first difference between two runs of one scenario, or None."""
    return compare(a, b).difference
