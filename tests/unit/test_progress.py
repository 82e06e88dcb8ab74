"""Deadlines count what a process did, on a /proc made of files, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pinhold.targets.live import progress
from pinhold.targets.live.progress import Deadline, Overdue, Watch

TICKS = progress._TICKS


class Machine:
    """Its processes, and its clock."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = 1000.0

    def put(self, pid: int, state: str, user: float = 0.0, system: float = 0.0, threads: str = "") -> None:
        """A process with so many seconds of processor time; threads: the states of further ones."""
        fields = [state, "1", str(pid), str(pid), *["0"] * 7, str(int(user * TICKS)), str(int(system * TICKS)), "0"]
        for place, each in enumerate([state, *threads]):
            folder = self.root / f"{pid}/task/{pid + place}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "stat").write_text(" ".join([f"{pid + place} (python3)", each, *fields[1:]]))
        (self.root / f"{pid}/stat").write_text(" ".join([f"{pid} (a) b)", *fields]))
        (self.root / f"{pid}/status").write_text(f"State:\t{state} (whatever)\n")
        (self.root / f"{pid}/stack").write_text("[<0>] hugetlb_wp+0x1/0x2\n[<0>] hugetlb_fault+0x1/0x2\n")

    def wait(self, patience: Callable[[], None], seconds: float) -> None:
        """Let the time pass in which the one who waits looks."""
        for _ in range(int(seconds / progress.POLL_SECONDS)):
            self.now += progress.POLL_SECONDS
            patience()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """An idle one."""
    made = Machine(tmp_path)
    monkeypatch.setattr(progress.time, "monotonic", lambda: made.now)
    return made


def test_who_gets_no_processor_has_spent_nothing(machine: Machine) -> None:
    """An hour in which a process could run and did not is no reason to end it, nor are 19 seconds that it ran."""
    machine.put(7, "R")
    patience = Deadline().patience([7], machine.root)
    machine.wait(patience, 3600)
    machine.put(7, "R", system=19.0)
    machine.wait(patience, 3600)


@pytest.mark.parametrize(("user", "system", "in_kernel"), [(0.5, 19.6, True), (19.6, 0.5, False)])
def test_who_runs_and_does_not_end_is_overdue(machine: Machine, user: float, system: float, in_kernel: bool) -> None:
    """By its own processor time, whatever the clock says; in the kernel, if most of it was there; the stack is told."""
    machine.put(7, "R", user=100.0, system=100.0)
    patience = Deadline().patience([7], machine.root)
    machine.wait(patience, 1)
    machine.put(7, "R", user=100.0 + user, system=100.0 + system)
    with pytest.raises(
        Overdue, match=r"no end after 20 s .*process 7, .*kernel stack hugetlb_wp < hugetlb_fault"
    ) as late:
        machine.wait(patience, 1)
    assert late.value.in_kernel == in_kernel


def test_who_sleeps_wants_no_processor(machine: Machine) -> None:
    """Two minutes of sleep end the wait, if none of the processes that are waited for has something to do."""
    machine.put(7, "S")
    machine.put(8, "R")
    patience = Deadline().patience([7, 8], machine.root)
    machine.wait(patience, 3600)
    machine.put(8, "D")
    machine.wait(patience, 119)
    with pytest.raises(
        Overdue, match=r"no end after 120 s of sleep: process 7, state S .*; process 8, state D"
    ) as late:
        machine.wait(patience, 3)
    assert not late.value.in_kernel
    assert late.value.endless


def test_who_can_be_woken_is_not_hung(machine: Machine) -> None:
    """A process that waits for something that never comes is nothing that the kernel does."""
    machine.put(7, "S")
    with pytest.raises(Overdue) as late:
        machine.wait(Deadline().patience([7], machine.root), 130)
    assert not late.value.endless


def test_a_thread_that_could_run_is_enough(machine: Machine) -> None:
    """QEMU's main thread sleeps while the one that is the guest's processor waits for its turn."""
    machine.put(7, "S", threads="SR")
    machine.wait(Deadline().patience([7], machine.root), 3600)


def test_a_machine_that_stood_still_has_not_waited(machine: Machine) -> None:
    """A day between two looks, as the machine was suspended, counts as two looks."""
    machine.put(7, "S")
    watch = Watch(7, machine.root)
    machine.now += 86400
    watch.look()
    assert watch.asleep == 2 * progress.POLL_SECONDS


def test_in_a_guest_nothing_has_spent_more_than_the_guest(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own clocks run on while the host keeps it waiting: what the host says that it had is the limit."""
    had = 50.0
    monkeypatch.setattr(progress, "_machine", lambda: had)
    assert Deadline().whole is None
    patience = Deadline().patience([7], machine.root)
    machine.put(7, "R")
    patience()
    machine.put(7, "R", system=400.0)
    had += 19.0
    machine.wait(patience, 60)
    machine.put(7, "D", system=400.0)
    had += 0.5
    machine.wait(patience, 3600)
    had += 1.0
    with pytest.raises(Overdue):
        machine.wait(patience, 1)


def test_a_process_that_is_gone_spends_nothing(machine: Machine) -> None:
    """Its numbers do not count backwards."""
    machine.put(7, "R", system=5.0)
    watch = Watch(7, machine.root)
    machine.put(7, "R", system=8.0)
    watch.look()
    Path(machine.root / "7/stat").unlink()
    watch.look()
    assert watch.processor == pytest.approx(3.0)
