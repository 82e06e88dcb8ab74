"""UFFDIO_CONTINUE of a part of a mapping splits it while it is registered; what becomes of the parts afterwards."""

from __future__ import annotations

import pytest

from pinhold.scenario.errnos import errno_name
from pinhold.scenario.parse import parse
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

TEXT = """scenario two parts, one of which has an anon_vma
observe
map             P x memfd pages 2
read            P x
uffdio_continue P x[1]
uffdio_continue P x
write           P x[0] 1
uffdio_continue P x
"""


@pytest.mark.parametrize(
    ("release", "errnos"),
    [("6.1", ["EEXIST", "ENOENT", "EEXIST"]), ("6.12", ["EEXIST", "ENOENT", "EEXIST"]), ("6.18", ["EEXIST"] * 3)],
)
def test_a_part_with_an_anon_vma_is_merged_or_not(release: str, errnos: list[str]) -> None:
    """is_mergeable_anon_vma() before and after 879bca0a2c4f (6.16); registering both merges them once both have one."""
    steps = run_scenario(ModelTarget(release), parse(TEXT)).steps
    found = [errno_name(r.outcome.errno) for r in steps if r.outcome and type(r.step).__name__ == "UffdioContinue"]
    assert found == errnos
