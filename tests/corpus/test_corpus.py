"""The corpus is replayed on the running kernel and in guests, beside the model of each."""

from importlib import import_module
from importlib.util import find_spec

import pytest
from corpus_cases import names, scenario

from pinhold.commands.registry import describe, model_of
from pinhold.conform.campaign import run_on
from pinhold.conform.differ import again, compared
from pinhold.lab.target import VmTarget
from pinhold.scenario.steps import Scenario
from pinhold.targets.base import Target
from pinhold.targets.batch import BatchTarget
from pinhold.targets.live.target import LiveTarget
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result, run_scenario


def differs(target: Target | BatchTarget, model: Target, case: str) -> str | None:
    """What both see and differs, in words, where it comes again; or what broke."""

    def run(case: Scenario) -> Result:
        return run_on(target, case)

    assert isinstance(model, ModelTarget)
    found = compared(run, model, scenario(case))
    if found.trouble:
        return found.trouble
    return None if found.difference is None or again(run, model, found) == 1 else found.words()


@pytest.mark.parametrize("case", names())
def test_the_running_kernel_does_what_its_model_does(live: LiveTarget, case: str) -> None:
    """Nothing that both see differs, unless it does not come again."""
    if scenario(case).vm_only:
        pytest.skip("for guests alone")
    assert differs(live, model_of(describe(live)), case) is None


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["5.10", "6.1", "6.12", "6.18", "newest"], indirect=True)
def test_stock_kernels_do_what_their_models_do(guest: VmTarget) -> None:
    """All cases, on one boot of each, and count by count where drgn is here."""
    model = model_of(describe(guest))
    assert isinstance(model, ModelTarget)
    if find_spec("drgn"):
        guest.counting, model = import_module("pinhold.lab.counts").Counter, model.counting()
    try:
        assert {case: words for case in names() if (words := differs(guest, model, case)) is not None} == {}
    finally:
        guest.close()  # what some leave behind others would lack
        guest.counting = None


@pytest.mark.parametrize("case", names())
def test_a_case_is_for_every_model(case: str) -> None:
    """Each is looked at step by step to its end, under the oldest rules and the newest."""
    for release in ("5.10", "7.3"):
        result = run_scenario(ModelTarget(release), scenario(case))
        assert result.verdict.kind == "unknown"
        assert len(result.steps) == len(scenario(case).steps)
