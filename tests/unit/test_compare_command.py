"""`pinhold compare`: only what differs, and the statuses that `git bisect run` understands."""

from __future__ import annotations

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
