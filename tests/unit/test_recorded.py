"""What a run file says beyond what was observed: folios, tasks' turns, expectations as data, how often was decided."""

from __future__ import annotations

from functools import cache

import pytest

from pinhold.commands.select import select
from pinhold.report.jsonreport import as_run_file
from pinhold.report.results import CaseResult, TargetRun
from pinhold.scenario.observation import FrameNames, Observation
from pinhold.scenario.parse import parse
from pinhold.scenario.ran import Expected, Turn
from pinhold.scenario.runfile import RecordedRun
from pinhold.scenario.steps import Scenario
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

RACE = """\
scenario a race
small pages 16 swap 4
map P x anon
write P x 1
start parent fork P C
advance parent steps 2
start driver pin P x as p longterm
advance driver steps 9
settle
expect p sees P x "it is reliable"
"""


def recorded(scenario: Scenario, release: str = "6.1", properties: bool = False) -> RecordedRun:
    target = ModelTarget(release, properties=properties)
    result = CaseResult(1, "a test", "a test", run_scenario(target, scenario))
    (run,) = as_run_file([TargetRun(target.info(), (result,))]).runs
    return run


@cache
def of(name: str) -> RecordedRun:
    (test,) = select([name])
    return recorded(test.scenario)


def observations(run: RecordedRun) -> list[Observation]:
    return [step.observation for step in run.steps if step.observation is not None]


def frames(observation: Observation) -> set[int]:
    return {view.frame for view in (*observation.pages, *observation.pins) if view.frame is not None}


@pytest.mark.parametrize(
    "name", ["seed/2", "seed/7", "seed/40", "seed/65", "seed/151", "pins/4", "pins/23", "stock/30"]
)
def test_a_frames_name_never_comes_back(name: str) -> None:
    """Over a whole run: once an observation does not show it, no later one has it; names are given in order."""
    gone: set[int] = set()
    before: set[int] = set()
    for observation in observations(of(name)):
        now = frames(observation)
        gone |= before - now
        assert not now & gone
        assert not before or not now - before or min(now - before) > max(before | gone)
        before = now
    assert before | gone


def test_a_frame_keeps_its_name_while_it_is_shown() -> None:
    """The same number after a gap is another frame."""
    names = FrameNames()
    shown = []
    for raw in ([7, 9], [9, 7], [9], [9, 7]):
        names.begin()
        shown.append([names.name(number) for number in raw])
        names.end()
    assert shown == [[0, 1], [1, 0], [1], [1, 2]]


def test_a_page_that_is_not_written_keeps_its_frame() -> None:
    """The parent's, when the child's leaves."""
    run = recorded(parse("scenario a\nmap P x anon\nwrite P x 1\nfork P C\nwrite C x 2\n"))
    kept = [next(v.frame for v in o.pages if v.proc == "P") for o in observations(run)[1:]]
    assert kept == [kept[0]] * 3


def test_pages_of_a_thp_are_of_one_folio() -> None:
    """The last page stands at 511; split, each page is a folio of its own."""
    run = recorded(parse("scenario a\nmap P x thp\nwrite P x 1\npin P x as p\nunpin p\nmprotect P x[0] read\n"))
    written, pinned, *_ = observations(run)[1:]
    assert {v.folio for v in written.pages} == {written.pages[0].folio}
    assert (written.pages[0].offset, written.pages[-1].offset) == (0, 511)
    assert [v.offset for v in pinned.pins] == [0, 511]
    assert {v.folio for v in pinned.pins} == {pinned.pages[0].folio}


def test_how_often_a_decision_was_come_by() -> None:
    """Copying 10 pages that fork() shared asks the same question 10 times, and it is told once."""
    run = recorded(parse("scenario a\nmap P x anon pages 10\nwrite P x 1\nfork P C\nwrite P x 2\n"))
    decisions = run.steps[-1].decisions
    assert len({d.site for d in decisions}) == len(decisions)
    assert 10 in [d.count for d in decisions]


def test_the_turns_of_a_schedule() -> None:
    """Who stands where, who waits for a lock, and whose operation has ended."""
    run = recorded(parse(RACE))
    assert [turn.operation for turn in run.steps[2].turns] == ["fork P C"]
    assert run.steps[5].turns == (Turn("driver", "pin P x as p longterm", "__get_user_pages", waited=True),)
    assert run.steps[6].turns == (
        Turn("parent", "fork P C", ended=True),
        Turn("driver", "pin P x as p longterm", ended=True),
    )


def test_an_expectation_as_data() -> None:
    """What it looks at, and where and what is otherwise."""
    expectation = next(step for step in of("seed/151").steps if step.check)
    assert expectation.check == "violated"
    assert expectation.expected == Expected("pin sees", ("pin p", "P x"), page=0, found=(0, 0xFF))
    text = "scenario a\nmap P x anon pages 4\nwrite P x 1\nwrite P x[2] 2\nexpect P x[1:4] 1\n"
    other = recorded(parse(text)).steps[-1].expected
    assert other == Expected("byte", ("P x[1:4]",), "0x01", 1, (2,))


def test_the_mechanism_and_the_properties_are_the_steps() -> None:
    """What made a pin; and what does not hold after a step, where the model looks."""
    broken = recorded(select(["seed/151"])[0].scenario, properties=True)
    assert [bool(step.violated) for step in broken.steps][-2:] == [True, False]
    assert [step.mechanism for step in broken.steps if step.mechanism] == list(broken.mechanisms.values())
