"""The corpus is replayed on the running kernel, beside the model of its release."""

import pytest
from corpus_cases import names, scenario

from pinhold.commands.registry import describe, model_of
from pinhold.conform.differ import again, compared
from pinhold.scenario.steps import Scenario
from pinhold.targets.live.target import LiveTarget
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result, run_scenario


@pytest.mark.parametrize("case", names())
def test_the_running_kernel_does_what_its_model_does(live: LiveTarget, case: str) -> None:
    """Nothing that both see differs, unless it does not come again."""

    def run(case: Scenario) -> Result:
        return run_scenario(live, case)

    model = model_of(describe(live))
    found = compared(run, model, scenario(case))
    assert found.trouble == ""
    assert found.difference is None or again(run, model, found) == 1


@pytest.mark.parametrize("case", names())
def test_a_case_is_for_every_model(case: str) -> None:
    """Each is looked at step by step to its end, under the oldest rules and the newest."""
    for release in ("5.10", "7.3"):
        result = run_scenario(ModelTarget(release), scenario(case))
        assert result.verdict.kind == "unknown"
        assert len(result.steps) == len(scenario(case).steps)
