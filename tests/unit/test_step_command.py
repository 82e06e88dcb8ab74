"""`pinhold step`: drawn on a terminal, in words everywhere else."""

from __future__ import annotations

import sys

import pytest

from pinhold.cli import main

STEP = ("step", "seed/151", "--on", "model:6.1", "--on", "model:6.2")


def test_on_a_terminal_it_is_drawn(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The tracks; the status is that of the words."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(STEP) == 1
    out = capsys.readouterr().out
    assert "s [p]   00 != x ff" in out and "--full" in out
    assert main([*STEP, "--full"]) == 1
    assert "First difference: after pin P x as p longterm" in capsys.readouterr().out


def test_a_pipe_has_the_words(capsys: pytest.CaptureFixture[str]) -> None:
    """All that was seen and decided."""
    assert main(STEP) == 1
    out = capsys.readouterr().out
    assert "First difference:" in out and "!=" not in out
