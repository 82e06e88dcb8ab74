"""What the explorer finds, on real kernels that have the defect, and on those that have it mended."""

from __future__ import annotations

from functools import cache

import pytest

from beside import results_of
from pinhold.explore.history import bad_world, defects
from pinhold.explore.replay import Replay
from pinhold.explore.run import Options, explore
from pinhold.explore.story import scenario, sequential
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget
from pinhold.scenario.parse import parse
from pinhold.scenario.steps import Scenario
from pinhold.targets.runner import Result

pytestmark = pytest.mark.slow

SHOWN = {scope.name: scope.shown.split(", ") for scope in defects() if scope.shown}
KERNELS = sorted({release for releases in SHOWN.values() for release in releases})
"""Stock kernels, by series or by release, that show something."""


def shown_by(release: str) -> set[str]:
    """The defects that this kernel has, as the library says."""
    return {name for name, releases in SHOWN.items() if any(f"{release}.".startswith(f"{r}.") for r in releases)}


@cache
def counterexamples() -> dict[str, Scenario]:
    """The sequential ones, as scenarios."""
    found = {}
    for scope in defects():
        world = bad_world(scope)
        result = explore(world, Options("interpreted"))
        assert result.violation is not None
        if sequential(list(Replay(world, result.path).moments())):
            found[scope.name] = parse(scenario(world, result.path, result.violation))
    return found


@pytest.mark.parametrize("kernel", KERNELS, indirect=True)
def test_a_real_kernel_shows_what_was_found(kernel: Kernel, guest: VmTarget) -> None:
    """Each sequential counterexample is violated on the kernels that have the defect, and held on the others."""
    found = counterexamples()
    shown = shown_by(kernel.release)
    names = {text: name for name, text in found.items()}

    def wrong(result: Result) -> str | None:
        right = "violated" if names[result.scenario] in shown else "held"
        kind = result.verdict.kind
        return kind if kind in ("held", "violated") and kind != right else None

    results = results_of(guest, list(found.values()), wrong)
    kinds = {names[result.scenario]: result.verdict.kind for result in results}
    decided = {name for name, kind in kinds.items() if kind in ("held", "violated")}
    assert {name for name, kind in kinds.items() if kind == "violated"} == shown & decided
    assert "vmsplice-leak-hugetlb" in decided
