"""`pinhold audit --confirm vm:REL`: what it says of a stale pin is so on a real kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from audited import write
from pinhold.cli import main
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget

pytestmark = pytest.mark.nightly

SOURCE = "int f(long at, struct page **p) { return pin_user_pages_fast(at, 4, FOLL_LONGTERM, p); }\n"


@pytest.mark.parametrize("kernel", ["6.1", "6.12"], indirect=True)
def test_a_guest_confirms_a_stale_pin(
    kernel: Kernel, guest: VmTarget, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rules of 6.1 make it stale: a guest of 6.1 shows it, and one of 6.12 shows that there it is not so."""
    pytest.importorskip("tree_sitter")
    guest.close()  # the command boots its own
    series = ".".join(kernel.release.split(".")[:2])
    root = write(tmp_path, {"one.c": SOURCE})
    assert main(["audit", str(root), "--release", "6.1", "--confirm", f"vm:{series}"]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert ("not confirmed on" if series == "6.12" else "confirmed on") in told
    assert ("not confirmed on" in told) == (series == "6.12")
