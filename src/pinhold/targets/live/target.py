"""The running kernel as a target: every scenario in a fresh tree of processes, on one CPU, watched through /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property

from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.steps import Scenario
from pinhold.targets.base import SCHEDULED, Broken, CannotDo, Livelock
from pinhold.targets.live import hygiene
from pinhold.targets.live.batches import SIZE, Batch
from pinhold.targets.live.kernel import RunningKernel, check_supported, probe_sight
from pinhold.targets.live.nursery import Nursery
from pinhold.targets.live.pagemap import Sight
from pinhold.targets.live.pins import MECHANISMS
from pinhold.targets.live.pins.base import Mechanism
from pinhold.targets.live.pins.external import External
from pinhold.targets.live.progress import Deadline
from pinhold.targets.live.session import LiveSession
from pinhold.targets.runner import run_scenario


class LiveTarget:
    """The kernel that this program runs on.

    deadline: of one step.  What runs in the kernel for longer is `Livelock`, anything else that does not end `Broken`.
    external: programs of the user's that pin memory.
    disposable: this kernel runs in a virtual machine of pinhold's own, and may crash; absent: what that has not, see
    RunningKernel; nursery: starts the processes.
    """

    name = what = "live"

    def __init__(
        self,
        deadline: Deadline = Deadline(),  # noqa: B008
        disposable: bool = False,
        nursery: Nursery | None = None,
        external: Sequence[External] = (),
        absent: Mapping[str, str] | None = None,
    ) -> None:
        self._deadline = deadline
        self._disposable = disposable
        self._external = {program.name: program for program in external}
        self._kernel = RunningKernel(disposable=disposable, absent=absent or {})
        self._nursery = nursery or Nursery()
        self._batch: Batch | None = None

    @cached_property
    def _sight(self) -> Sight:
        check_supported()
        return probe_sight()

    def ready(self) -> None:
        """Start what every scenario needs, and wait for it.  Raises Unavailable, Broken."""
        self._nursery.warm()

    def info(self) -> TargetInfo:
        """Raises Unavailable off Linux on x86-64."""
        check_supported()
        mechanisms: dict[str, Mechanism] = {**self._external, **MECHANISMS}
        return TargetInfo(
            name=self.name,
            release=os.uname().release,
            rules=self._kernel.release(),
            config=self._kernel.config(self._sight),
            mechanisms={name: each.unavailable() or "available" for name, each in mechanisms.items()},
            what=self.what,
        )

    @contextmanager
    def open(self, scenario: Scenario) -> Iterator[LiveSession]:
        """A first process `P` in a session of its own; nothing is left of it afterwards.

        Raises Unavailable, CannotDo for a scenario that may harm the kernel, Livelock, Broken, Crashed.
        """
        if scenario.small is not None:
            raise CannotDo(SCHEDULED)
        if scenario.vm_only is not None and not self._disposable:
            raise CannotDo(f"runs in a virtual machine only: {scenario.vm_only}")
        self._nursery.ready()
        session = LiveSession(scenario, self._kernel, self._sight, self._nursery, self._deadline, self._external)
        with self._nothing_left(scenario, session):
            try:
                session.start()
                yield session
            except Livelock as livelock:
                _close_after(livelock, session)
                raise
            except BaseException:
                session.close()
                raise
            session.close()

    def _nothing_left(self, scenario: Scenario, session: LiveSession) -> AbstractContextManager[None]:
        """See hygiene.nothing_left()."""
        if self._batch is not None:
            return self._batch.one(scenario, session.kernel_names)
        if self._disposable:
            return hygiene.nothing_left()
        return hygiene.nothing_left(lambda: self._repeat(scenario), session.kernel_names)

    @contextmanager
    def batches(self, size: int = SIZE) -> Iterator[Batch]:
        """While it lasts, what scenarios leave behind is looked for once for so many of them, and at its end.

        What they have left is raised by the last of a batch, and at the end, with the names of those that did it.
        """
        self._batch = batch = Batch(self._repeat, not self._disposable, size)
        try:
            yield batch
            batch.end()
        except BaseException as error:
            batch.drop(error)
            raise
        finally:
            self._batch = None

    def _repeat(self, scenario: Scenario) -> None:
        """The scenario once more, for what it leaves behind."""
        run_scenario(self, scenario)


def _close_after(livelock: Livelock, session: LiveSession) -> None:
    """What cannot be closed, as the kernel does not come back from it, is part of what happened."""
    try:
        session.close()
    except Broken as left:
        raise Livelock(f"{livelock}; {left}") from None
