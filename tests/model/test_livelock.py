"""An operation of the model that has no end: the verdict names what goes round and what is decided each time."""

from __future__ import annotations

import pytest

from pinhold.cli import main
from pinhold.mm.machine import create
from pinhold.mm.state import TINY
from pinhold.mm.step import OutOfFuel, run
from pinhold.mm.task import FN_MUNMAP, call
from pinhold.scenario.parse import parse
from pinhold.targets.model.target import CONFIG, ModelTarget
from pinhold.targets.runner import Result, run_scenario
from play import row

HALF = "scenario half of the patch\nmap P x zeropage\nread P x\npin P x as p longterm\nexpect p 0x00\n"


def half(text: str = HALF) -> Result:
    """The seed's hunk of GUP alone, on 6.1: it asks for an unsharing that the fault does not do."""
    return run_scenario(ModelTarget("6.1", switches={"gup_unshares": "cow_longterm"}), parse(text))


def test_the_verdict_names_the_loop_and_what_is_decided_in_it() -> None:
    """GUP asks, the fault declines, in this order; what was decided before the loop is not in it."""
    verdict = half().verdict
    assert (verdict.kind, verdict.step) == ("livelock", 2)
    assert verdict.reason == (
        "__get_user_pages and handle_mm_fault go round: gup_must_unshare: a long-term pin in a COW mapping: break COW"
        " before the pin [rule gup_unshares]; do_wp_page: the page is not anonymous, so unsharing leaves it as it is"
        " [rule unshare_breaks]"
    )


def test_the_step_is_recorded_with_its_decisions() -> None:
    """The last record is the step that has no end."""
    record = half().steps[-1]
    assert (record.index, record.observation) == (2, None)
    assert record.outcome is not None
    assert record.outcome.note == "never ends"
    assert [decision.site for decision in record.outcome.decisions] == ["must_unshare_cow_mapping", "unshare_not_anon"]


def test_a_loop_in_a_schedule_is_named_as_well() -> None:
    """A task that is settled for ever: found by its state, long before the fuel is gone."""
    schedule = (
        HALF.replace("map P", "small\nmap P")
        .replace("pin P x", "start t pin P x")
        .replace("expect p 0x00", "settle\nexpect sound")
    )
    assert half(schedule).verdict.reason == half().verdict.reason


def test_step_shows_the_loop(capsys: pytest.CaptureFixture[str]) -> None:
    """Each decision with the commit of the value in force."""
    assert main(["step", "seed/151", "--on", "model:6.1,gup_unshares=cow_longterm"]) == 1
    out = capsys.readouterr().out
    assert "never ends" in out
    assert (
        "do_wp_page: the page is not anonymous, so unsharing leaves it as it is [rule unshare_breaks=anon, commit"
        in out
    )


def test_what_waits_for_a_lock_that_nobody_gives_up_is_told_by_its_name() -> None:
    """No round was walked, so there is none to tell."""
    m = create(TINY, row("6.2"), CONFIG)
    m.mm_readers[0] = 1
    call(m, 0, FN_MUNMAP, 0, 0, 1, 0, 0)
    with pytest.raises(OutOfFuel) as stuck:
        run(m, 0)
    assert (stuck.value.functions, stuck.value.sites) == (("do_munmap",), ())
