"""The known cases on the running kernel, beside the model of its release and configuration."""

import pytest

from known import EXPECTED, by_itself, scenario
from pinhold.commands.agreement import agreement, run_again
from pinhold.commands.registry import describe, model_of
from pinhold.commands.runs import run_tests
from pinhold.targets.live.target import LiveTarget


@pytest.mark.parametrize("case", [name for name in EXPECTED if scenario(name).vm_only is None])
def test_the_running_kernel_agrees_with_its_model(live: LiveTarget, case: str) -> None:
    """Verdict and every observed value are those of the model; what the machine has not got is said."""
    test = by_itself(case)
    if test.scenario.small is not None:
        pytest.skip("a small machine is a model")
    ours = list(run_tests(live, [test]))
    if ours[0].verdict.kind in ("skipped", "unknown"):
        assert ours[0].verdict.reason
        pytest.skip(ours[0].verdict.reason)
    theirs = list(run_tests(model_of(describe(live)), [test]))
    # A THP that somebody's reclaim or compaction holds or locks for a moment stays whole where it would be split.
    ours = list(run_again(live, ours, theirs))
    assert agreement(ours, theirs).differences == ()
    assert ours[0].verdict.kind == theirs[0].verdict.kind
