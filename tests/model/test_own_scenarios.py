"""Scenarios of one's own on the model, judged by the safety properties where they expect nothing."""

from pinhold.scenario.parse import parse
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

LOST_PIN = """\
scenario a pinned page is made read-only and written again
map      P x anon
write    P x 0x01
pin      P x as p longterm write
mprotect P x read
mprotect P x rw
write    P x 0x02
"""


def test_a_scenario_that_expects_nothing_is_violated_by_a_property() -> None:
    """5.10 loses a writable long-term pin by mprotect(), which no expectation needs to say."""
    verdict = run_scenario(ModelTarget("5.10", properties=True), parse(LOST_PIN)).verdict
    assert (verdict.kind, verdict.step) == ("violated", 5)
    assert verdict.reason is not None and "long-term pin" in verdict.reason


def test_a_scenario_that_expects_nothing_and_violates_nothing_is_unknown() -> None:
    """What was not asked for is not held: the same steps on 6.2 are unknown."""
    assert run_scenario(ModelTarget("6.2", properties=True), parse(LOST_PIN)).verdict.kind == "unknown"
