"""Verdicts do not flip, whatever else the machine has to do."""

from __future__ import annotations

import pytest

import steady


@pytest.mark.nightly
def test_no_verdict_flips(capfd: pytest.CaptureFixture[str]) -> None:
    """The suite stock: alone, beside load, beside programs that pin, in a container; five times each."""
    assert steady.main(["--runs", "20"]) == 0, capfd.readouterr().out
