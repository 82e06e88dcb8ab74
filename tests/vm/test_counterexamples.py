"""What the explorer finds, on real kernels that have the defect, and on those that have it mended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pinhold.explore.history import bad_world, defects
from pinhold.explore.replay import Replay
from pinhold.explore.run import Options, explore
from pinhold.explore.story import scenario, sequential
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget
from pinhold.scenario.parse import parse
from pinhold.scenario.steps import Scenario

pytestmark = pytest.mark.slow

SHOWN = {scope.name: scope.shown.split(", ") for scope in defects() if scope.shown}
KERNELS = sorted({release for releases in SHOWN.values() for release in releases})
"""Stock kernels, by series or by release, that show something."""


def shown_by(release: str) -> set[str]:
    """The defects that this kernel has, as the library says."""
    return {name for name, releases in SHOWN.items() if any(f"{release}.".startswith(f"{r}.") for r in releases)}


def counterexamples() -> Iterator[tuple[str, Scenario]]:
    """The sequential ones, as scenarios."""
    for scope in defects():
        world = bad_world(scope)
        result = explore(world, Options("interpreted"))
        assert result.violation is not None
        if sequential(list(Replay(world, result.path).moments())):
            yield scope.name, parse(scenario(world, result.path, result.violation))


@pytest.mark.parametrize("kernel", KERNELS, indirect=True)
def test_a_real_kernel_shows_what_was_found(kernel: Kernel) -> None:
    """Each sequential counterexample is violated on the kernels that have the defect, and held on the others."""
    found = list(counterexamples())
    target = VmTarget(kernel.name, kernel)
    try:
        results = list(target.run_all([text for _, text in found]))
    finally:
        target.close()
    kinds = {name: result.verdict.kind for (name, _), result in zip(found, results, strict=True)}
    decided = {name for name, kind in kinds.items() if kind in ("held", "violated")}
    shown = shown_by(kernel.release)
    assert {name for name, kind in kinds.items() if kind == "violated"} == shown & decided
    assert "vmsplice-leak-hugetlb" in decided
