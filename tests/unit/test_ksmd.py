"""ksmd on behalf of a scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinhold.targets.base import CannotDo
from pinhold.targets.live import ksmd
from pinhold.targets.live.kernel import RunningKernel
from pinhold.targets.live.progress import Deadline

RUN, SCANS = "sys/kernel/mm/ksm/run", "sys/kernel/mm/ksm/full_scans"


@pytest.fixture
def machine(tmp_path: Path) -> RunningKernel:
    """A virtual machine of pinhold's own, whose ksmd is stopped."""
    (tmp_path / RUN).parent.mkdir(parents=True)
    (tmp_path / RUN).write_text("0")
    (tmp_path / SCANS).write_text("7")
    return RunningKernel(tmp_path, disposable=True)


def test_in_a_guest_it_runs_only_meanwhile(machine: RunningKernel) -> None:
    """Also where the step fails; afterwards it forgets what it knew."""
    with pytest.raises(ZeroDivisionError), ksmd.running(machine):
        assert (machine.root / RUN).read_text() == "1"
        raise ZeroDivisionError
    assert (machine.root / RUN).read_text() == "0"
    ksmd.forget(machine)
    assert (machine.root / RUN).read_text() == "2"


def test_other_machines_are_left_alone(machine: RunningKernel) -> None:
    """Their setting is the user's."""
    other = RunningKernel(machine.root)
    with ksmd.running(other):
        assert (machine.root / RUN).read_text() == "0"
    ksmd.forget(other)
    assert (machine.root / RUN).read_text() == "0"


def test_it_waits_for_whole_scans(machine: RunningKernel) -> None:
    """Four of them; then what is apart stays apart, unless the last scan did it."""
    seen = []

    def done() -> bool:
        scans = int((machine.root / SCANS).read_text())
        seen.append(scans)
        (machine.root / SCANS).write_text(str(scans + 1))
        return False

    assert not ksmd.wait(machine, done)
    assert seen[0] == 7
    assert seen[-1] == 11
    assert ksmd.wait(machine, lambda: True)


def test_a_ksmd_that_does_not_scan_is_told(machine: RunningKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the deadline nobody knows what it would have merged."""
    monkeypatch.setattr(ksmd, "_DEADLINE", Deadline(20.0, 0.0))
    with pytest.raises(CannotDo, match="needs KSM to scan faster"):
        ksmd.wait(machine, lambda: False)
