"""Campaigns over several processes: what is done is the same as in one, and no lane ends another."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from multiprocessing import active_children
from multiprocessing.connection import Connection

import pytest

from pinhold.cli import main
from pinhold.conform.campaign import Campaign, Limits, Plan, campaign
from pinhold.conform.wanted import Wanted, wanted
from pinhold.conform.workers import Workers
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.steps import Scenario
from pinhold.targets.base import CannotDo, Session, Target, Unavailable
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result, run_scenario

MODEL = ModelTarget("6.12")
PROFILES = [wanted(name, MODEL, disposable=True) for name in ("anon", "fork")]
SEED = 3


def begin(info: TargetInfo) -> tuple[ModelTarget, Sequence[Wanted]]:
    return MODEL, PROFILES


def plan(make: Callable[[], Target], lanes: int = 1) -> Plan:
    return Plan("it", make, begin, lanes)


def on_model(scenario: Scenario) -> Result:
    return run_scenario(MODEL, scenario)


class Dying:
    """A kernel whose process dies with the first random scenario, or that cannot be made."""

    name = what = "dying"

    def __init__(self, reason: str | None = None) -> None:
        self._reason = reason

    def info(self) -> TargetInfo:
        if self._reason is not None:
            raise Unavailable(self._reason)
        return MODEL.info()

    def open(self, scenario: Scenario) -> AbstractContextManager[Session]:
        if not scenario.observe:
            raise CannotDo("nothing but random scenarios")
        os._exit(1)


def test_a_lane_of_two_processes_does_what_one_process_does() -> None:
    """The same scenarios, the same values, and no more than are asked for."""
    run = Campaign([plan(partial(ModelTarget, "6.12"))], Limits(SEED, 200), 1)
    run.run()
    (ran,) = run.ran
    alone = campaign(on_model, MODEL, PROFILES, SEED, 200)
    assert (ran.tally.scenarios, ran.tally.steps, ran.tally.values) == (alone.scenarios, alone.steps, alone.values)
    assert ran.tally.coverage == alone.coverage
    assert ran.ended == []


def test_lanes_share_the_scenarios_of_a_seed() -> None:
    """Two lanes do each scenario once between them, and both work."""
    run = Campaign([plan(partial(ModelTarget, "6.12"), lanes=2)], Limits(SEED, 200), 2)
    run.run()
    (ran,) = run.ran
    assert ran.lanes == 2
    assert ran.tally.steps >= 200
    assert set(ran.tally.profiles) == {"anon", "fork"}
    assert ran.tally.differences == []


def test_a_dying_kernel_ends_its_own_lane_with_a_sentence() -> None:
    """The others go on to their end."""
    run = Campaign([plan(Dying), plan(partial(ModelTarget, "6.12"))], Limits(SEED, 100), 2)
    run.run()
    dead, well = run.ran
    assert dead.ended == ["the process that drives the kernel has died"]
    assert well.ended == []
    assert well.tally.steps >= 100


def test_a_target_that_cannot_be_made_says_why() -> None:
    """And is not run."""
    run = Campaign([plan(partial(Dying, "no such kernel"))], Limits(SEED, 100), 1)
    run.run()
    assert run.ran[0].ended == ["no such kernel"]
    assert run.ran[0].model is None


def test_what_was_done_is_there_when_it_is_cut_off() -> None:
    """Ctrl-C comes out of run(), and leaves the tally and no process."""

    class Enough(Exception):
        pass

    def watch(ran: object) -> None:
        if run.ran[0].tally.steps >= 30:
            raise Enough

    others = active_children()
    run = Campaign([plan(partial(ModelTarget, "6.12"))], Limits(SEED, None), 1, watch)
    with pytest.raises(Enough):
        run.run()
    assert run.ran[0].tally.steps >= 30
    assert active_children() == others


def test_time_ends_a_campaign() -> None:
    """No scenario is begun after it, and those that were begun are counted."""
    run = Campaign([plan(partial(ModelTarget, "6.12"))], Limits(SEED, None, 0.2), 1)
    run.run()
    assert run.ran[0].tally.scenarios > 0
    assert run.ran[0].ended == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--time", "5x"], "'5x' is no time: write 90s, 10m or 2h"),
        (["--profile", "swop"], "no profile 'swop': did you mean swap?"),
        (["--model", "1.0"], "unknown target model:1.0"),
    ],
)
def test_usage(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be meant is one sentence, and nothing is run."""
    assert main(["conform", "--on", "live", *words]) == 3
    assert says in capsys.readouterr().err


def _loses_its_end(pipe: Connection) -> None:
    """Is told to stop while an object ends, where whatever is raised goes no further."""

    class Ending:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0)

    Ending()
    pipe.send("still here")
    while True:
        time.sleep(1)


def test_a_worker_that_is_told_to_stop_in_a_finalizer_stops(capfd: pytest.CaptureFixture[str]) -> None:
    """A moment later, and nobody sees a traceback."""
    with Workers() as workers:
        ours, theirs = workers.pipe()
        workers.start(_loses_its_end, theirs)
        assert ours.recv() == "still here"
        assert ours.poll(60), "it goes on"
        with pytest.raises(EOFError):
            ours.recv()
    assert capfd.readouterr().err == ""
