"""benchmarks/steady.py: what it takes for a verdict that flipped."""

from __future__ import annotations

from pathlib import Path

import pytest

import steady
from pinhold.cli import main

HELD, SKIPPED = ("held", ""), ("skipped", "no swap")


def test_another_verdict_is_a_flip_and_another_reason_is_none(tmp_path: Path) -> None:
    """A test that was not run is one, too."""
    assert steady.differing({"a": HELD, "b": SKIPPED}, {"a": HELD, "b": ("skipped", "no swap any more")}) == []
    assert steady.differing({"a": HELD}, {"a": SKIPPED}) == ["a: held  / skipped no swap"]
    assert steady.differing({"a": HELD}, {}) == ["a: held  / not run"]
    file = tmp_path / "run.json"
    main(["run", "seed/151-152", "--on", "model:6.1", "-o", str(file)])
    assert {name: kind for name, (kind, _) in steady.verdicts(file).items()} == {
        "seed/151": "violated",
        "seed/152": "violated",
    }


def test_memory_cgroups_of_both_versions(tmp_path: Path) -> None:
    """Version 2 where the root hands memory on, else that of version 1, else none; the limit is in each one's file."""
    for version, file in ((1, "memory.limit_in_bytes"), (2, "memory.max")):
        cgroups = tmp_path / str(version)
        (cgroups / "memory").mkdir(parents=True)
        if version == 2:
            (cgroups / "cgroup.subtree_control").write_text("cpuset cpu io memory pids\n")
        with steady.memory_cgroup(cgroups) as group:
            assert group is not None and group.parent == (cgroups if version == 2 else cgroups / "memory")
            assert (group / file).read_text() == str(steady.LIMIT)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "cgroup.subtree_control").write_text("pids\n")
    with steady.memory_cgroup(tmp_path / "none") as group:
        assert group is None


def test_the_container_is_compared_where_it_could_ask(capsys: pytest.CaptureFixture[str]) -> None:
    """What it alone skips or cannot tell is counted, and no other verdict; another verdict is one."""
    alone = {"a": HELD, "b": HELD, "c": SKIPPED, "d": HELD}
    there = {"a": SKIPPED, "b": ("violated", "stale"), "c": SKIPPED, "d": ("unknown", "no page frames")}
    told = steady.asked_there(there, "container", alone)
    assert steady.differing(alone, told) == ["b: held  / violated stale"]
    assert "2 of 4 tests compared; 2 it may not ask" in capsys.readouterr().out
    assert steady.asked_there(there, "load", alone) == there


def test_a_flip_is_told_and_is_the_status(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Between two runs in one place, and between places, the container among them."""
    numbers = iter(range(99))

    def run(asked, out, *_):
        release = "6.2" if next(numbers) == 5 else "6.1"
        return main(["run", "seed/151", "--on", f"model:{release}", "-o", str(out)])

    monkeypatch.setattr(steady, "PLACES", dict.fromkeys(steady.PLACES, run))
    assert steady.main(["--runs", "5"]) == 0
    assert "5 runs: no verdict flipped" in capsys.readouterr().out
    numbers = iter(range(99))
    assert steady.main(["--runs", "8"]) == 1
    out = capsys.readouterr().out
    assert "seed/151: violated" in out and "/ held" in out and "1 verdicts flipped" in out
