"""Masks: what is explained is passed over and counted, and what differs beside it is told."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from pinhold.conform import masks
from pinhold.conform.differ import judged
from pinhold.conform.masks import MASKS, Mask, Masking
from pinhold.conform.wanted import ABSENT
from pinhold.mm.releases import releases
from pinhold.scenario.compare import Difference
from pinhold.scenario.parse import parse
from pinhold.targets.model.calls import LIMITS
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

MASK = Mask("it", "write", "byte", "anon", "0x01", "0x02", ("6.12",), "mm/x.c:f", "for the test")
WRITE, READ = (parse(f"scenario x\nmap P a anon\n{line}\n").steps[1] for line in ("write P a 1", "read P a"))
COVERED = Difference(0, "P a[0]", "byte", "0x01", "0x02", "anon")


def left(*differences: Difference, mask: Mask = MASK, step: object = WRITE, release: str = "6.12") -> tuple[int, int]:
    """How many differences are told, and how many values are counted as masked."""
    counted: Counter[str] = Counter()
    told = list(Masking(release, [mask]).left(step, differences, counted))  # type: ignore[arg-type]
    return len(told), counted["it"]


def test_what_a_mask_explains_is_counted_and_not_told() -> None:
    """And a difference beside it is told."""
    assert left(COVERED) == (0, 1)
    assert left(COVERED, replace(COVERED, field="state")) == (1, 1)


@pytest.mark.parametrize("mask", [MASK, *MASKS], ids=lambda mask: mask.name)
def test_what_differs_beside_a_mask_is_told(mask: Mask) -> None:
    """Another field, kind of page, value, step or release; each mask names one of each, and a place in the source."""
    step = next(step for step in (WRITE, READ) if step.forms[0].verbs == mask.step)
    series = mask.releases[0]
    covered = Difference(0, "P a[0]", mask.field, mask.left, mask.right, mask.kind)
    assert mask.covers(step, covered, series)
    for change in ({"field": "x"}, {"kind": "x"}, {"left": "x"}, {"right": "x"}):
        assert not mask.covers(step, replace(covered, **change), series)  # type: ignore[arg-type]
    assert not mask.covers(READ if step is WRITE else WRITE, covered, series)
    assert not mask.covers(step, covered, next(r for r in releases() if r not in mask.releases))
    assert mask.source
    assert mask.why


def test_masks_and_limits_are_ten_at_most() -> None:
    """Together."""
    assert len(MASKS) + len(ABSENT) + len(LIMITS) <= 10


def test_what_was_masked_may_stay_so() -> None:
    """After later steps, as long as it does; when it is gone and comes again by itself, it is told."""
    masking, counted = Masking("6.12", [MASK]), Counter[str]()
    assert list(masking.left(WRITE, [COVERED], counted)) == []
    assert list(masking.left(READ, [COVERED], counted)) == []
    assert list(masking.left(READ, [], counted)) == []
    assert list(masking.left(READ, [COVERED], counted)) == [COVERED]
    assert counted["it"] == 2


def test_a_comparison_goes_on_behind_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one for each value that differs after a step, all that follows is compared; without them nothing is."""
    model, other = ModelTarget("6.12"), ModelTarget("6.12", switches={"madv_dontneed_hugetlb": ""})
    text = "scenario x\nobserve\nmap P a hugetlb 2M\nwrite P a 1\nmap P b anon\nmadvise P a dontneed\nwrite P b 1\n"
    scenario = parse(text)
    first = found = judged(run_scenario(other, scenario), model, scenario)
    while (d := found.difference) is not None:
        assert d.index == 3
        mask = Mask(f"mask {d.field}", "madvise", d.field, d.kind, d.left, d.right, ("6.12",), "mm/madvise.c", "a test")
        monkeypatch.setattr(masks, "MASKS", (*masks.MASKS, mask))
        found = judged(run_scenario(other, scenario), model, scenario)
    assert {"mask errno", "mask state"} <= set(found.masked)
    assert len(found.scenario.steps) == 5
    assert found.values > first.values
