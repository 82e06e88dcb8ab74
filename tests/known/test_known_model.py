"""The known cases on the model."""

import pytest

from known import EXPECTED, HERE, on_models, scenario
from pinhold.mm.releases import UnknownRelease
from pinhold.scenario.parse import ScenarioError
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

REFUSED = {"small-hugetlb-levels1": "levels 2 for hugetlb 3", "small-hugetlb-map-none": "hugetlb 1"}
LIMITED = "D30-memlock-limit-of-the-machine"


def test_every_case_is_expected_and_every_expectation_has_its_case() -> None:
    """Neither a scenario without a verdict nor a verdict without a scenario lies here unseen."""
    assert {file.stem for file in (HERE / "cases").glob("*.pin")} == set(EXPECTED) | REFUSED.keys() | {LIMITED}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_small_machine_has_not_is_refused(case: str) -> None:
    """The scenario is not run, and the sentence names the word of its own small line."""
    with pytest.raises(ScenarioError, match=REFUSED[case]):
        scenario(case)


@pytest.mark.parametrize(("memlock", "verdict"), [(2048, "violated"), (2052, "held"), (-1, "held")])
def test_the_limit_of_the_target_is_the_models(memlock: int, verdict: str) -> None:
    """Two fixed buffers of 1024 pages, and two rings: 8 MiB of RLIMIT_MEMLOCK are too little, four pages more enough; a
    model that is not told of a limit has none."""
    found = run_scenario(ModelTarget("6.18", {"memlock_pages": memlock}), scenario(LIMITED)).verdict
    assert found.kind == verdict
    assert verdict == "held" or "ENOMEM" in (found.reason or "")


@pytest.mark.parametrize("case", EXPECTED)
def test_the_model_gives_what_is_right(case: str) -> None:
    """Each case on every release: the verdict that sources and real kernels give."""
    wrong = {}
    for _, release, verdict in (row for row in on_models() if row[0] == case):
        try:
            found = run_scenario(ModelTarget(release), scenario(case)).verdict
        except UnknownRelease as unknown:
            wrong[release] = str(unknown)
            continue
        if found.kind != verdict:
            wrong[release] = f"{found.kind}, not {verdict}: {found.reason}"
        elif found.kind == "violated" and found.step != EXPECTED[case].get("violated_at", found.step):
            wrong[release] = f"violated at step {found.step}: {found.reason}"
        elif EXPECTED[case].get("says", "") not in (found.reason or ""):
            wrong[release] = f"says: {found.reason}"
    assert wrong == {}
