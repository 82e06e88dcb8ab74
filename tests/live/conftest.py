"""What the tests of the running kernel share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pinhold.scenario.parse import parse
from pinhold.scenario.steps import Statement
from pinhold.targets.base import Outcome
from pinhold.targets.live.kernel import RunningKernel, probe_sight
from pinhold.targets.live.session import LiveSession
from pinhold.targets.live.target import LiveTarget

Play = Callable[[str], LiveSession]


@pytest.fixture
def play(live: LiveTarget) -> Iterator[Play]:
    """Opens a session for the lines of a scenario and does its actions; the last outcome is `session.last`."""
    opened = []

    def run(lines: str) -> LiveSession:
        scenario = parse(f"scenario test\n{lines}\n")
        manager = live.open(scenario)
        session = manager.__enter__()
        opened.append(manager)
        session.last = Outcome()
        for step in scenario.steps:
            if not isinstance(step, Statement):
                session.last = session.do(step)
        return session

    yield run
    for manager in opened:
        manager.__exit__(None, None, None)


@pytest.fixture(scope="session")
def frames_visible() -> None:
    """Skips where page frame numbers are hidden."""
    if not probe_sight().frames:
        pytest.skip("needs page frame numbers: pagemap hides them from this user")


@pytest.fixture
def thp() -> None:
    """Skips where there are no transparent huge pages."""
    reason = RunningKernel().missing_thp(zero=True)
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture
def no_swap() -> None:
    """Skips where swap is configured."""
    if RunningKernel().missing_swap() is None:
        pytest.skip("needs a machine without swap: this one has some")
