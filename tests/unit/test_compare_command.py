"""`pinhold compare`: only what differs, and the statuses that `git bisect run` understands."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.commands.registry import configured_as
from pinhold.targets.base import TargetInfo
from pinhold.targets.model import ModelTarget


def test_only_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1 and the first difference, in words; status 0 where all is alike."""
    assert main(["compare", "model:6.1", "model:6.2", "seed/145-151"]) == 1
    out = capsys.readouterr().out
    assert "seed/151: model:6.1 violated, model:6.2 held" in out
    assert "seed/145" not in out
    assert main(["compare", "model:6.2", "model:6.12", "seed/145-151"]) == 0


def test_several_tests_are_counted_as_tests(capsys: pytest.CaptureFixture[str]) -> None:
    """A test that differs in its verdict and in a value is one test; more tests are named one after another."""
    assert main(["compare", "model:6.1", "model:6.2", "seed/151"]) == 1
    assert "differ in 1 test; compared were 1 verdict and " in capsys.readouterr().out
    assert main(["compare", "model:6.1", "model:6.2", "seed/145", "seed/151", "seed/153"]) == 1
    assert "differ in 2 tests; compared were 3 verdicts and " in capsys.readouterr().out


def test_a_scenario_that_expects_nothing_is_compared(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What both observed is compared, whether or not the scenario asks for a verdict."""
    file = tmp_path / "nothing.pin"
    file.write_text("scenario nothing expected\nmap P x zeropage\nread P x\npin P x as p longterm\n")
    assert main(["compare", "model:6.2", "model:6.12", str(file)]) == 0
    out = capsys.readouterr().out
    assert "are alike in all " in out and " observed values that both have." in out and "verdict" not in out
    assert main(["compare", "model:6.1", "model:6.2", str(file)]) == 1
    assert "kind: zero on model:6.1, anon on model:6.2" in capsys.readouterr().out


def test_what_neither_could_do_is_not_alike(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Where both were skipped nothing was compared: status 4."""
    file = tmp_path / "skipped.pin"
    file.write_text("scenario skipped\nmap P x anon\nrequire P x huge\nexpect P x 0x00\n")
    assert main(["compare", "model:6.2", "model:6.12", str(file)]) == 4
    assert "could be compared" in capsys.readouterr().err


def test_a_commit_without_an_image_is_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    """With --bisect a bzImage that was not built is status 125, else a usage error."""
    arguments = ["compare", "vm:/nonexistent/bzImage", "model:6.2", "seed/151"]
    assert main([*arguments, "--bisect"]) == 125
    assert "cannot be tested" in capsys.readouterr().out
    assert main(arguments) == 3


def test_a_mistake_is_not_a_commit_to_pass_over() -> None:
    """A target that there is not is a usage error with --bisect, too."""
    assert main(["compare", "model:6.3", "model:6.2", "seed/151", "--bisect"]) == 3


def test_a_model_beside_a_real_kernel_is_configured_as_that_is() -> None:
    """Its rules stay those that were asked for; other targets, and a model beside a model, stay as they are."""
    real = TargetInfo("vm:6.12", "6.12.117", "6.12.117", {"swap_rotates": "y", "MEM_SOFT_DIRTY": "n"}, {})
    model = ModelTarget("6.1")
    beside = configured_as(model, real)
    assert isinstance(beside, ModelTarget)
    assert beside.release == "6.1"
    assert (beside.config["swap_clusters"], beside.config["soft_dirty"], beside.config["thp"]) == (0, 0, 1)
    assert configured_as(model, ModelTarget("6.2").info()) is model
