"""--deadline: how much processor time a step on a real kernel may take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pinhold.cli import main
from pinhold.commands.registry import make_target
from pinhold.lab import target
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget
from pinhold.targets.live.progress import DEADLINE
from pinhold.targets.live.target import LiveTarget


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "1e3", "123456"])
def test_what_is_no_time_is_a_usage_error(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whole seconds from one on; the message says what was given."""
    assert main(["run", "seed/151", "--on", "live", f"--deadline={seconds}"]) == 3
    assert f"{seconds!r} is no number of seconds" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run seed/151 --on", "step seed/151 --on", "check --on", "compare model:6.1"])
def test_a_model_needs_no_time(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no target is a real kernel the option is a mistake, and told."""
    assert main([*command.split(), "model:6.2", "--deadline", "5"]) == 3
    assert "--deadline is for real kernels" in capsys.readouterr().err


def test_it_reaches_live_and_guests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The running kernel's target has it, and a guest is told; without the option it is the usual one."""
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(target, "build", lambda modules, settings, files: told.append(settings) or b"")
    kernel = Kernel("fake", Path("/dev/null"), "6.1.192", own=True)
    for given, wanted in ((7.0, 7.0), (None, DEADLINE)):
        live = make_target("live", deadline=given)
        assert isinstance(live, LiveTarget) and live._deadline.processor == wanted
        VmTarget("fake", kernel, deadline=given or DEADLINE)._setup(gigantic=False)
        assert told[-1]["deadline"] == wanted
