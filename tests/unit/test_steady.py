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


def test_a_flip_is_told_and_is_the_status(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Between two runs in one place, and between places; the container is compared with itself."""
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
