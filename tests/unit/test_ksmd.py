"""ksmd on behalf of a scenario."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pinhold.targets.base import CannotDo
from pinhold.targets.live import ksmd
from pinhold.targets.live.kernel import KSM, KSM_WHOLE, RunningKernel
from pinhold.targets.live.progress import Deadline

PID = 77
PRUNE = "stable_node_chains_prune_millisecs"
ADVISED = "rd wr mr mw me ac mg"


def stopped(root: Path, **values: int) -> RunningKernel:
    """A machine whose ksmd is stopped."""
    files = {
        "run": 0,
        "full_scans": 7,
        "pages_to_scan": 100,
        "sleep_millisecs": 20,
        "smart_scan": 1,
        PRUNE: 2000,
    } | values
    (root / KSM).mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (root / KSM / name).write_text(str(value))
    return RunningKernel(root)


def read(machine: RunningKernel, name: str) -> str:
    return (machine.root / KSM / name).read_text()


@pytest.fixture
def guest(tmp_path: Path) -> RunningKernel:
    """A virtual machine of pinhold's own."""
    return RunningKernel(stopped(tmp_path).root, disposable=True)


@pytest.fixture
def by_steps(tmp_path: Path) -> RunningKernel:
    """A machine that --allow-change has set up."""
    return stopped(tmp_path, pages_to_scan=KSM_WHOLE)


def test_in_a_guest_it_runs_only_meanwhile(guest: RunningKernel) -> None:
    """Also where the step fails; a go is one scan that passes over nothing, by no clock; then it forgets all."""
    with pytest.raises(ZeroDivisionError), ksmd.running(guest):
        assert read(guest, "run") == "1"
        settings = [read(guest, name) for name in ("pages_to_scan", "sleep_millisecs", "smart_scan", PRUNE)]
        assert settings == [str(KSM_WHOLE), "0", "0", str((1 << 32) - 1)]
        raise ZeroDivisionError
    assert read(guest, "run") == "0"
    ksmd.forget(guest)
    assert read(guest, "run") == "0"


def test_where_it_is_set_up_for_steps_it_runs_only_meanwhile(by_steps: RunningKernel) -> None:
    """The settings are the journal's; what ran before the first step is stopped."""
    (by_steps.root / KSM / "run").write_text("1")
    ksmd.stop(by_steps)
    assert read(by_steps, "run") == "0"
    with ksmd.running(by_steps):
        assert read(by_steps, "run") == "1"
    ksmd.forget(by_steps)
    assert [read(by_steps, name) for name in ("run", "sleep_millisecs", "smart_scan")] == ["0", "20", "1"]


@pytest.mark.parametrize("kind", ["shared", "sharing", "unshared", "volatile", None])
def test_the_pages_of_the_dead_are_forgotten_by_a_scan(
    by_steps: RunningKernel, kind: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as ksmd has any in its books; with none it is not even started."""
    if kind:
        (by_steps.root / KSM / f"pages_{kind}").write_text("1")
    seen = scanning(by_steps, monkeypatch)
    ksmd.forget(by_steps)
    assert seen == ([7, 8] if kind else [])
    assert read(by_steps, "run") == "0"


@pytest.mark.parametrize("run", [0, 1])
def test_other_machines_are_left_alone(tmp_path: Path, run: int) -> None:
    """Their setting is the user's."""
    other = stopped(tmp_path, run=run)
    ksmd.stop(other)
    with ksmd.running(other):
        assert read(other, "run") == str(run)
    ksmd.forget(other)
    assert read(other, "run") == str(run)
    assert (other.missing_ksm() is None) == bool(run)


def scanning(machine: RunningKernel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Each look finds one more full scan done; the numbers that were seen."""
    seen: list[int] = []

    def scans(_: RunningKernel) -> int:
        seen.append(int(read(machine, "full_scans")))
        (machine.root / KSM / "full_scans").write_text(str(seen[-1] + 1))
        return seen[-1]

    monkeypatch.setattr(RunningKernel, "ksm_scans", scans)
    return seen


def test_it_waits_for_whole_scans(by_steps: RunningKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight of them, though the pages of the step are one before: others are merged as well."""
    seen = scanning(by_steps, monkeypatch)
    smaps(by_steps, ADVISED)
    ksmd.wait(by_steps, [PID], lambda: True)
    assert seen[0] == 7
    assert seen[-1] == 15


def test_what_another_run_has_stopped_goes_on(by_steps: RunningKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its scenario begins while this one waits; a machine whose settings are back is left alone."""
    smaps(by_steps, ADVISED)
    seen: list[str] = []

    def scans(machine: RunningKernel) -> int:
        seen.append(read(machine, "run"))
        ksmd.stop(machine)
        if len(seen) == 4:
            (machine.root / KSM / "pages_to_scan").write_text("100")
        return len(seen)

    monkeypatch.setattr(RunningKernel, "ksm_scans", scans)
    with ksmd.running(by_steps):
        ksmd.wait(by_steps, [PID], lambda: True)
    assert seen == ["1", "0", "1", "1", *["0"] * 5]


def test_where_it_is_anothers_it_waits_for_the_pages_of_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or for as many scans, after which what is apart stays apart."""
    seen = scanning(other := stopped(tmp_path, run=1), monkeypatch)
    smaps(other, ADVISED)
    ksmd.wait(other, [PID], lambda: True)
    assert seen == [7]
    ksmd.wait(other, [PID], lambda: False)
    assert seen[-1] == 8 + 8


def test_a_neighbour_with_mergeable_memory_is_named(by_steps: RunningKernel) -> None:
    """ksmd would scan and merge its memory, too; a process of the scenario's is none, and a guest has no neighbours."""
    for pid, mergeable in ((PID, "yes"), (78, "no"), (79, "yes")):
        (by_steps.root / f"proc/{pid}").mkdir(parents=True)
        (by_steps.root / f"proc/{pid}/comm").write_text("qemu\n")
        (by_steps.root / f"proc/{pid}/ksm_stat").write_text(f"ksm_rmap_items 0\nksm_mergeable: {mergeable}\n")
    told = ksmd.neighbour(by_steps, [PID])
    assert told == "needs KSM for itself: process 79 (qemu) has memory that is advised mergeable"
    assert ksmd.neighbour(by_steps, [PID, 79]) is None
    (by_steps.root / "proc/79/comm").unlink()
    assert "process 79 (which has just ended)" in (ksmd.neighbour(by_steps, [PID]) or "")
    assert ksmd.neighbour(RunningKernel(by_steps.root, disposable=True), [PID]) is None


@pytest.mark.parametrize("flags", ["rd wr mr mw me ac sd", None])
def test_nobody_waits_for_a_ksmd_that_has_nothing_to_scan(by_steps: RunningKernel, flags: str | None) -> None:
    """No process of the scenario has memory that is advised, or it is gone."""
    if flags is not None:
        smaps(by_steps, flags)
    ksmd.wait(by_steps, [PID], lambda: False)


def smaps(machine: RunningKernel, flags: str) -> None:
    (machine.root / f"proc/{PID}").mkdir(parents=True)
    (machine.root / f"proc/{PID}/smaps").write_text(f"Size: 4 kB\nVmFlags: {flags} \n")


def test_a_ksmd_that_does_not_scan_is_told(by_steps: RunningKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the deadline nobody knows what it would have merged."""
    smaps(by_steps, ADVISED)
    monkeypatch.setattr(ksmd, "_DEADLINE", Deadline(0.0, 0.0))
    monkeypatch.setattr(ksmd, "_pid", lambda _: os.getpid())
    with pytest.raises(CannotDo, match="needs KSM to scan faster"):
        ksmd.wait(by_steps, [PID], lambda: False)
