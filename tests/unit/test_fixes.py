"""Fixes that a kernel has although its release has not are seen, and its model has them, too."""

from __future__ import annotations

import pytest

from pinhold.commands.registry import model_of
from pinhold.mm.rules import BY_NAME
from pinhold.scenario.ran import TargetInfo
from pinhold.targets.fixes import PROBES, with_fixes
from pinhold.targets.model.target import ModelTarget

LACKING = "6.12"
"""A release that has none of them."""


def info() -> TargetInfo:
    return TargetInfo("live", f"{LACKING}-vendor", LACKING)


@pytest.mark.parametrize(("rule", "value"), PROBES)
def test_a_kernel_with_the_fix_is_told_from_one_without(rule: str, value: str) -> None:
    """Each by itself, where the kernel is a model with that rule switched."""
    assert BY_NAME[rule].names[ModelTarget(LACKING).row[rule]] != value
    assert with_fixes(ModelTarget(LACKING, switches={rule: value}), info()).fixes == {rule: value}


def test_several_are_seen_together_and_none_where_there_is_none() -> None:
    """What one fix changes does not hide another."""
    fixed = {rule: value for rule, value in PROBES}
    assert with_fixes(ModelTarget(LACKING, switches=fixed), info()).fixes == fixed
    assert with_fixes(ModelTarget(LACKING), info()).fixes == {}


def test_a_kernel_that_does_something_else_has_no_fix() -> None:
    """What agrees neither with the model nor with the mended one is left to be told as a difference."""
    assert with_fixes(ModelTarget("5.10", {"thp": 0}), info()).fixes == {}


def test_the_model_of_such_a_kernel_has_the_fixes() -> None:
    """And its name says so."""
    seen = with_fixes(ModelTarget(LACKING, switches={"lazyfree_thp": "split"}), info())
    assert model_of(seen).name == f"model:{LACKING},lazyfree_thp=split"
