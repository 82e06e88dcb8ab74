"""The running kernel as a target: every scenario in a fresh tree of processes, on one CPU, watched through /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

from pinhold.scenario.step import Scenario
from pinhold.targets.base import TargetInfo
from pinhold.targets.live_session import LiveSession
from pinhold.targets.machine import Machine, check_supported, probe_sight
from pinhold.targets.nursery import Nursery
from pinhold.targets.pagemap import Sight
from pinhold.targets.pins import MECHANISMS
from pinhold.targets.pins.base import Mechanism
from pinhold.targets.pins.external import External

STEP_SECONDS = 30.0
WHOLE_SECONDS = 180.0


class LiveTarget:
    """The kernel that this program runs on.

    step_seconds, whole_seconds: deadlines of one step and of a scenario; what misses one is killed and is `Broken`.
    """

    name = "live"

    def __init__(
        self,
        step_seconds: float = STEP_SECONDS,
        whole_seconds: float = WHOLE_SECONDS,
        external: Sequence[External] = (),
    ) -> None:
        self._deadlines = step_seconds, whole_seconds
        self._external = {program.name: program for program in external}
        self._machine = Machine()
        self._nursery = Nursery()

    @cached_property
    def _sight(self) -> Sight:
        check_supported()
        return probe_sight()

    def info(self) -> TargetInfo:
        """Raises Unavailable off Linux on x86-64."""
        check_supported()
        mechanisms: dict[str, Mechanism] = {**self._external, **MECHANISMS}
        return TargetInfo(
            name=self.name,
            release=os.uname().release,
            rules=self._machine.release(),
            config=self._machine.config(self._sight),
            mechanisms={name: each.unavailable() or "available" for name, each in mechanisms.items()},
        )

    @contextmanager
    def open(self, scenario: Scenario) -> Iterator[LiveSession]:
        """A first process `P` in a session of its own.  Raises Unavailable, Broken."""
        session = LiveSession(scenario, self._machine, self._sight, self._nursery, *self._deadlines, self._external)
        try:
            session.start()
            yield session
        finally:
            session.close()
