"""Masks: differences that are known and explained, behind which the comparison goes on.

A mask is the last resort: a rule that is missing belongs in mm/, an outcome that nobody decides in allowed.py, and a
defect of a kernel in docs/findings.md.  Each names one step, one field, one kind of page, both values, the releases and
the place in the source; what differs in anything else is told.  What a mask passes over is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pinhold.mm.releases import split
from pinhold.scenario.compare import Difference
from pinhold.scenario.steps import Step


@dataclass(frozen=True, slots=True)
class Mask:
    """step: by its words, such as "madvise"; field, kind, left, right: as of compare.Difference, left being the real
    kernel's; releases: series, such as "6.1"; source: the place in the kernel, with the commit; why: one sentence."""

    name: str
    step: str
    field: str
    kind: str | None
    left: str
    right: str
    releases: tuple[str, ...]
    source: str
    why: str

    def covers(self, step: Step, difference: Difference, series: str) -> bool:
        d = difference
        here = (step.forms[0].verbs, d.field, d.kind, d.left, d.right)
        return series in self.releases and here == (self.step, self.field, self.kind, self.left, self.right)


MASKS: tuple[Mask, ...] = ()
"""All of them.  There are to be ten at most."""


class Masking:
    """The masks of one run on a release.  What a mask has passed over may stay so, and is passed over again."""

    def __init__(self, release: str, masks: Sequence[Mask] | None = None) -> None:
        self._series, _ = split(release)
        self._masks = [mask for mask in (MASKS if masks is None else masks) if self._series in mask.releases]
        self._known: dict[tuple[str, str, str, str], str] = {}

    def left(self, step: Step, differences: Iterable[Difference], masked: Counter[str]) -> Iterator[Difference]:
        """Those after a step that no mask explains; `masked` counts the others by the mask's name."""
        if not self._masks:
            yield from differences
            return
        before, self._known = self._known, {}
        for difference in differences:
            name = before.get(_key(difference)) or self._name(step, difference)
            if name is None:
                yield difference
            else:
                self._known[_key(difference)] = name
                masked[name] += 1

    def _name(self, step: Step, difference: Difference) -> str | None:
        return next((mask.name for mask in self._masks if mask.covers(step, difference, self._series)), None)


def _key(difference: Difference) -> tuple[str, str, str, str]:
    return difference.where, difference.field, difference.left, difference.right
