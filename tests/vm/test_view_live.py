"""A view of the kernel that runs, by /proc/kcore: in a guest that has drgn and numpy with it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")

from lab_kernels import nightly
from pinhold.lab.initramfs import build, libraries
from pinhold.lab.layout import CODE
from pinhold.lab.qemu import Qemu, Setup
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
LIST = """
import importlib, json, sys
sys.path[:0] = sys.argv[1].split(":")
for name in ("look", "drgn.helpers.linux", "numpy", "numpy._core.arrayprint", "pinhold.targets.live.helper"):
    importlib.import_module(name)
files = sorted({m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)})
print(json.dumps(files))
"""
LOOK = """#!{python} -ISB
import sys
sys.path[:0] = {paths!r}
sys.executable = "{python}"
from look import main
main()
"""


def paths() -> list[str]:
    """Where modules are found: of the tests, of pinhold, of packages."""
    return [str(TESTS / "vm"), str(TESTS), *(path for path in sys.path if Path(path).is_dir() and path)]


def luggage() -> dict[str, bytes]:
    """Path in the guest to content: all that looking imports, each where it lies here, with its libraries."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", LIST, ":".join(paths())], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    files = [file for file in json.loads(done.stdout) if not file.startswith(CODE)]
    binaries = [file for file in files if not file.endswith(".py")]
    return {path: Path(path).read_bytes() for path in dict.fromkeys([*files, *libraries(binaries)])}


class Guest(VmTarget):
    """Of which only the machine is wanted."""

    def machine(self) -> Setup:
        return self._setup(False)


@pytest.mark.parametrize("kernel", ["6.12", *nightly("5.10", "6.1", "6.18", "newest")], indirect=True)
def test_a_kernel_is_looked_at_from_within(kernel: Kernel) -> None:
    """Eight pages and a THP of an io_uring buffer, with the counts and the owner that a view from outside shows; then
    what `pinhold pins` tells of each holder that needs no device."""
    python = str(Path(sys.executable).resolve())
    files = {**luggage(), "/look": LOOK.format(python=python, paths=paths()).encode()}
    setup = replace(
        Guest(kernel.name, kernel, big=False).machine(), initramfs=build({}, {}, files), append="rdinit=/look",
        memory=2048, swap=0, files=0, edu=0, icount=False,
    )  # fmt: skip
    qemu = Qemu(setup)
    try:
        qemu.port.settimeout(900)
        said = b""
        while not said.endswith(b"\n"):
            more = qemu.port.recv(1 << 16)
            assert more, qemu.console()
            said += more
    finally:
        qemu.close()
    told: dict[str, Any] = json.loads(said)
    assert "broken" not in told, told["broken"]
    assert told["verdict"].startswith("unknown"), told["verdict"]  # it expects nothing
    assert told["still"] is False
    pins = 512 if kernel.release.startswith(("5.10.", "6.1.")) else 1
    small = [folio for folio in told["seen"] if not folio["order"]]
    large = [folio for folio in told["seen"] if folio["order"]]
    assert [(f["kind"], f["refcount"], f["pins"], f["mapcount"], f["same"]) for f in small] == [
        ("anon", 1025, 1, 1, [True])
    ] * 8
    assert [(f["kind"], f["order"], f["pins"], f["same"]) for f in large] == [("anon", 9, pins, [True])]
    assert {name for folio in told["seen"] for name in folio["names"]} == {"pinhold"}
    pins = told["pins"]
    assert "broken" not in pins, pins["broken"]
    made = [one for one in pins["made"] if "why" not in one]
    newer = not kernel.release.startswith(("5.10.", "6.1."))
    assert {one["how"] for one in made} == {"io_uring", "AF_XDP", "vmsplice", *(["udmabuf"] if newer else [])}
    for one in made:
        there = [
            folio
            for folio in pins["seen"]["folios"]
            if any(one["at"] <= owner["address"] < one["at"] + one["size"] for owner in folio["owners"])
        ]
        assert {(holder["kind"], holder["fd"]) for folio in there for holder in folio["holders"]} == {
            (one["how"], one["fd"])
        }
        assert {folio["state"] for folio in there} == {"shared" if one["how"] == "udmabuf" else "same"}
        assert sum(folio["size"] for folio in there) == one["size"]
        assert all(folio["pins"] for folio in there) is (one["how"] != "vmsplice")
    assert pins["seen"]["looked"]["inconsistent"] == 0
