"""What the kernel's selftest `cow` has printed, beside a guest that runs pinhold's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.lab.store import Kernel

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

PRINTED = Path(__file__).parents[1] / "unit" / "data" / "kselftest" / "cow-of-6.12-on-6.1.tap"
TESTS = ["seed/1-2", "seed/35", "seed/145-147", "seed/151-153"]


@pytest.mark.parametrize("kernel", ["6.1"], indirect=True)
def test_the_selftest_and_a_guest_agree(kernel: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
    """On 6.1: pages that are copied, a known leak, and the pins that are not reliable there."""
    assert main(["compare", str(PRINTED), f"vm:{kernel.name}", *TESTS]) == 0
    out = capsys.readouterr().out
    assert f"{PRINTED.name} and vm:{kernel.name} are alike in all " in out
    assert "not asked in" in out and "skipped in" not in out
