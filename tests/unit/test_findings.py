"""docs/findings.md says what the files and the models say."""

import pytest

from findings import CHANCE, ROOT, Finding, findings
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

BY_NAME = {finding.name: finding for finding in findings()}


def model(release: str, **config: int) -> ModelTarget:
    """With the pool of a guest."""
    return ModelTarget(release, {"hugetlb_2M": 16, "hugetlb_1G": 4} | config)


def test_every_file_of_the_findings_has_its_section() -> None:
    """No scenario lies there unexplained, and the document's text is the file's."""
    assert {path.stem for path in (ROOT / "examples/findings").iterdir()} == set(BY_NAME)
    assert {name: finding.file.read_text() for name, finding in BY_NAME.items()} == {
        name: finding.text for name, finding in BY_NAME.items()
    }


@pytest.mark.parametrize("finding", [f for name, f in BY_NAME.items() if name != CHANCE], ids=lambda f: f.name)
def test_the_table_has_what_models_say(finding: Finding) -> None:
    """Release by release; and a guest says the same of each."""
    said = {release: run_scenario(model(release), finding.scenario).verdict.kind for release in finding.rows["model"]}
    assert said == finding.rows["model"] == finding.rows["guest"]
    assert {"violated", "livelock"} & set(said.values())


@pytest.mark.parametrize(("chance", "row"), [(1, "model, where chance is unkind"), (0, "model, where it is kind")])
def test_chance_decides_whether_fork_passes_over_a_page(chance: int, row: str) -> None:
    """The model has both outcomes on every release that may do it."""
    finding = BY_NAME[CHANCE]
    said = {
        release: run_scenario(model(release, fork_skips_pud=chance), finding.scenario).verdict.kind
        for release in finding.rows[row]
    }
    assert said == finding.rows[row]
    assert "violated" in finding.rows["guest"].values()


@pytest.mark.parametrize("release", ["5.10.252", "6.1.166", "6.12.73"])
def test_before_the_change_no_page_is_passed_over(release: str) -> None:
    """Whatever chance would say."""
    assert run_scenario(model(release, fork_skips_pud=1), BY_NAME[CHANCE].scenario).verdict.kind == "held"
