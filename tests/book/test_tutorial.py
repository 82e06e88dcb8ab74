"""The tutorial's pictures show what the words below them say."""

import re
from pathlib import Path

import pytest

from pinhold.commands.select import select
from pinhold.targets.base import Target
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

ROOT = Path(__file__).parents[2]
PICTURE = re.compile(r"^```\{picture\} (\S+)\n:on: (.*)\n\n\*\*(.*)\.\*\*", re.MULTILINE)
PICTURES = PICTURE.findall((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))


def test_there_are_ten() -> None:
    """As the title promises, and each is under a heading with its number."""
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    assert len(PICTURES) == text.count("{picture}") == 10
    assert re.findall(r"^## (\d+)\. ", text, re.MULTILINE) == [str(number) for number in range(1, 11)]
    drawn = {Path(test).name for test, _, _ in PICTURES if test.startswith("examples/tutorial/")}
    assert drawn == {path.name for path in (ROOT / "examples" / "tutorial").iterdir()}


@pytest.mark.parametrize(("test", "targets", "verdicts"), PICTURES, ids=[f"{t} {on}" for t, on, _ in PICTURES])
def test_the_verdict_below_it_is_that_of_its_run(
    test: str, targets: str, verdicts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`**6.1 violated, 6.2 held.**` is what these models say."""
    monkeypatch.chdir(ROOT)
    ((scenario,)) = [each.scenario for each in select([test])]
    models: list[Target] = [ModelTarget(name.removeprefix("model:")) for name in targets.split()]
    ran = [f"{name.removeprefix('model:')} {run_scenario(model, scenario).verdict.kind}"
           for name, model in zip(targets.split(), models, strict=True)]  # fmt: skip
    assert ", ".join(ran) == verdicts
