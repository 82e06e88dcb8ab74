"""What --allow-change makes of KSM, on a machine made of files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pinhold.system.guardian import Guardian
from pinhold.targets.live.kernel import KSM, KSM_WHOLE, RunningKernel

sys.path.insert(0, str(Path(__file__).parent))
from fake_host import NEEDS, FakeHost, build

BEFORE = {
    "sleep_millisecs": "200",
    "pages_to_scan": "100",
    "smart_scan": "1",
    "stable_node_chains_prune_millisecs": "2000",
}


@pytest.mark.parametrize("run", ["0", "1"])
@pytest.mark.parametrize("left", ["0", "1"])
def test_a_ksmd_that_runs_for_steps_comes_back_as_it_was(tmp_path: Path, run: str, left: str) -> None:
    """Whether it ran before or not, and whether the run ends between two steps of KSM or in the middle of one."""
    build(tmp_path / "root")
    host = FakeHost(tmp_path)
    for name, value in (BEFORE | {"run": run}).items():
        (tmp_path / "root" / KSM / name).write_text(f"{value}\n")
    guardian = Guardian(host, os.getpid())
    guardian.apply(NEEDS, ["ksm"])
    assert [host.value(f"{KSM}/{name}") for name in BEFORE] == ["0", str(KSM_WHOLE), "0", str((1 << 32) - 1)]
    machine = RunningKernel(tmp_path / "root")
    assert machine.ksm_by_steps()
    assert machine.missing_ksm() is None
    host.write(f"{KSM}/run", left)
    report = guardian.restore()
    assert (report.conflicts, report.failed) == ([], [])
    assert {name: host.value(f"{KSM}/{name}") for name in (*BEFORE, "run")} == BEFORE | {"run": run}
    assert not machine.ksm_by_steps()


def test_a_ksmd_that_runs_for_anothers_steps_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user's run beside one of root's: it may not start and stop ksmd, so it takes it as it runs."""
    build(tmp_path / "root")
    for name, value in (BEFORE | {"pages_to_scan": str(KSM_WHOLE), "run": "1"}).items():
        (tmp_path / "root" / KSM / name).write_text(f"{value}\n")
    machine = RunningKernel(tmp_path / "root")
    assert machine.ksm_by_steps()
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("ksm/run"))
    assert not machine.ksm_by_steps()
    assert machine.missing_ksm() is None
