"""The known cases on the model."""

import pytest

from known import EXPECTED, HERE, PENDING, on_models, scenario
from pinhold.mm.releases import UnknownRelease
from pinhold.targets.model import ModelTarget
from pinhold.targets.runner import run_scenario


def test_every_case_is_expected_and_every_expectation_has_its_case() -> None:
    """Neither a scenario without a verdict nor a verdict without a scenario lies here unseen."""
    assert {file.stem for file in (HERE / "cases").glob("*.pin")} == set(EXPECTED) | {
        "D30-memlock-limit-of-the-machine"
    }
    assert set(EXPECTED) >= PENDING


@pytest.mark.parametrize("case", EXPECTED)
def test_the_model_gives_what_is_right(case: str, request: pytest.FixtureRequest) -> None:
    """Each case on every release: the verdict that sources and real kernels give."""
    if case in PENDING:
        request.applymarker(pytest.mark.xfail(reason="a known wrong answer", strict=True))
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
