"""The suite `pins` on the model: the table of what a read-only pin still sees, kernel by kernel."""

from __future__ import annotations

import pytest

from pinhold.scenario.suites import pins, suite
from pinhold.scenario.suites.case import Test
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

FILES_AND_ZEROS = {memory.name for memory in pins.MEMORY if not memory.anonymous}
SHARED = {"base page shared with a child", "THP shared with a child"}

STALE = {
    "5.10": {"longterm": FILES_AND_ZEROS | SHARED, "short": SHARED},
    "6.1": {"longterm": FILES_AND_ZEROS, "short": set[str]()},
    "6.2": {"longterm": set[str](), "short": set[str]()},
    "7.3": {"longterm": set[str](), "short": set[str]()},
}
"""Release -> kind of pin -> kinds of memory on which it goes stale, or sees what it must not."""


def memory_of(test: Test) -> str:
    return test.scenario.title.partition(" ... with ")[2]


@pytest.mark.parametrize("release", STALE)
@pytest.mark.parametrize("term", ["longterm", "short"])
@pytest.mark.parametrize("path", ["GUP", "GUP-fast"])
def test_what_goes_stale(release: str, term: str, path: str) -> None:
    """The seed's kinds up to 6.1, shared anonymous memory up to 5.18; slow and fast alike."""
    tests = [t for t in suite("pins").tests if t.scenario.title.startswith(f"R/O {term} {path} pin ")]
    assert len(tests) == len(pins.MEMORY)
    target = ModelTarget(release)
    kinds = {memory_of(test): run_scenario(target, test.scenario).verdict.kind for test in tests}
    assert {memory for memory, kind in kinds.items() if kind == "violated"} == STALE[release][term]
    assert {memory for memory, kind in kinds.items() if kind == "held"} == set(kinds) - STALE[release][term]
