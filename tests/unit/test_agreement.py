"""A real kernel against the model of its release."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fakes import FakeTarget, case_result
from pinhold.commands.agreement import agreement, run_again, settled
from pinhold.report.results import CaseResult
from pinhold.scenario.observation import Observation, PageView
from pinhold.scenario.parse import parse
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.steps import Drain, ExpectByte, Range, Require, Scenario, Step
from pinhold.scenario.verdict import Verdict
from pinhold.targets.batch import BatchTarget
from pinhold.targets.runner import Result, StepRecord, run_scenario

HELD = Verdict("held")
X = Range("x")


def seen(verdict: Verdict, *frames: int | None) -> CaseResult:
    """A result whose steps showed x and y of P mapped to frame 7 and to each of these frames in turn."""
    steps: list[StepRecord] = [StepRecord(0, Require("P", X, "present"))]
    for index, frame in enumerate(frames, start=1):
        pages = (PageView("P", "x", 0, "present", 7), PageView("P", "y", 0, "present", frame))
        step: Step = Drain() if index < 3 else ExpectByte("P", X, 0)
        steps.append(StepRecord(index, step, observation=Observation(None, pages)))
    base = case_result(1, "case ... with memory", verdict)
    return replace(base, result=replace(base.result, steps=tuple(steps)))


def test_equal_verdicts_and_frame_relations_agree() -> None:
    """Frames are compared by which pages share them, not by their names."""
    found = agreement([seen(HELD, 7, 8)], [seen(HELD, 7, 3)])
    assert found.differences == ()
    assert found.verdicts == 1
    assert found.values > 0


def test_different_verdicts_are_a_difference() -> None:
    """The sentence names the test and both verdicts."""
    found = agreement([seen(HELD, 7)], [seen(Verdict("violated"), 7)])
    assert found.differences == ("seed/1: fake held, fake violated",)


def test_a_different_frame_is_a_difference_at_its_step() -> None:
    """Where one side shares a frame and the other does not, the sentence names the step."""
    found = agreement([seen(HELD, 7, 7, 7)], [seen(HELD, 7, 7, 3)])
    assert len(found.differences) == 1
    assert "expect P x 0x00" in " ".join(found.differences[0].split())


def test_behind_a_step_that_one_side_left_out_nothing_is_compared() -> None:
    """It shows the work of other steps; where both left it out, it does not matter."""

    def without(case: CaseResult, index: int) -> CaseResult:
        steps = list(case.result.steps)
        steps[index] = replace(steps[index], observation=None)
        return replace(case, result=replace(case.result, steps=tuple(steps)))

    left, right = seen(HELD, 7, 8, 9, 7), seen(HELD, 7, 8, 9, 3)
    assert agreement([left], [right]).different == 1
    assert agreement([without(left, 2)], [right]).different == 0
    assert agreement([without(left, 2)], [without(right, 2)]).different == 1


def test_a_skip_is_compared_up_to_where_it_ended() -> None:
    """A side that could not go on has no verdict to compare, but what it saw until then counts."""
    skipped = Verdict("skipped", reason="no pin")
    assert agreement([seen(skipped, 7)], [seen(HELD, 7, 8)]).differences == ()
    found = agreement([seen(skipped, 7)], [seen(HELD, 3, 8)])
    assert (found.verdicts, len(found.differences)) == (0, 1)


def test_the_step_that_a_machine_could_not_do_is_not_compared() -> None:
    """Too few huge pages here is no difference between the kernels."""
    skipped = Verdict("skipped", reason="needs 2 free hugepages", step=2)
    assert agreement([seen(skipped, 7, 3)], [seen(HELD, 7, 7, 7)]).differences == ()


def test_what_was_not_seen_is_passed_over_and_not_counted() -> None:
    """A frame that one side cannot see agrees with anything, and adds nothing to the count."""
    with_frame, without = agreement([seen(HELD, 7)], [seen(HELD, 7)]), agreement([seen(HELD, None)], [seen(HELD, 7)])
    assert without.differences == ()
    assert without.values < with_frame.values


def test_a_difference_has_to_come_again() -> None:
    """What differs from the model is run once more: a page moved once is forgotten, a lasting difference stays."""
    scenario = parse("scenario t\nmap P x anon\nexpect P x 0x00\n")
    kernel, other = FakeTarget("live", byte=0), FakeTarget("live", byte=1)
    theirs = replace(seen(HELD), result=run_scenario(FakeTarget("model:6.2"), scenario))
    moved = replace(theirs, result=run_scenario(other, scenario))
    assert agreement([moved], [theirs]).differences
    assert agreement(run_again(kernel, [moved], [theirs]), [theirs]).differences == ()
    assert run_again(other, [moved], [theirs]) == (moved,)
    assert run_again(FakeTarget("live", absent="never run"), [theirs], [theirs]) == (theirs,)


class OneGuest:
    """Scenarios are run as a whole, as guests run them."""

    name = what = "vm:x"

    def __init__(self, byte: int) -> None:
        self._target = FakeTarget("vm:x", byte=byte)

    def run_all(self, scenarios: Sequence[Scenario]) -> Iterator[Result]:
        """In order."""
        return (run_scenario(self._target, scenario) for scenario in scenarios)

    def info(self) -> TargetInfo:
        """As the other."""
        return self._target.info()

    def unavailable(self) -> None:
        """It is there."""

    share = close = stop = lambda self, *_: None


def test_a_difference_in_a_guest_has_to_come_again() -> None:
    """As here, in whole scenarios; and where a test is wrong by its verdict, whatever a model does."""
    scenario = parse("scenario t\nmap P x anon\nexpect P x 0x00\n")
    kernel, other = OneGuest(0), OneGuest(1)
    assert isinstance(kernel, BatchTarget)
    theirs = replace(seen(HELD), result=run_scenario(FakeTarget("model:6.2"), scenario))
    moved = replace(theirs, result=run_scenario(FakeTarget("live", byte=1), scenario))
    assert agreement(run_again(kernel, [moved], [theirs]), [theirs]).differences == ()
    assert run_again(other, [moved], [theirs]) == (moved,)
    assert settled(kernel, moved.result, lambda result: result.verdict.kind != "held").verdict.kind == "held"
    assert settled(other, moved.result, lambda result: result.verdict.kind != "held") == moved.result


def test_a_second_run_that_shows_less_settles_nothing() -> None:
    """What cannot be run again differs still; and what broke is not run again."""
    scenario = parse("scenario t\nmap P x anon\nexpect P x 0x00\n")
    theirs = replace(seen(HELD), result=run_scenario(FakeTarget("model:6.2"), scenario))
    moved = replace(theirs, result=run_scenario(FakeTarget("live", byte=1), scenario))
    assert run_again(FakeTarget("live", refusal="no memory"), [moved], [theirs]) == (moved,)
    broken = replace(moved, result=replace(moved.result, verdict=Verdict("error")))
    assert run_again(FakeTarget("live"), [broken], [theirs]) == (broken,)
