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

from held import setup
from lab_kernels import nightly
from pinhold.lab.initramfs import libraries
from pinhold.lab.layout import CODE
from pinhold.lab.qemu import Qemu
from pinhold.lab.store import Kernel

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
HOLDERS = {"io_uring", "VFIO", "AF_XDP", "vmsplice", "VDUSE", "udmabuf"}
PROBED = {"pinprobe", "pinprobe of a memfd"}
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


def from_within(kernel: Kernel, append: str = "") -> dict[str, Any]:
    """What a guest that looks at itself tells."""
    python = str(Path(sys.executable).resolve())
    script = LOOK.format(python=python, paths=paths()).encode()
    machine = setup(kernel, {**luggage(), "/look": script})
    qemu = Qemu(replace(machine, append=f"rdinit=/look {append}", memory=2048, swap=0, files=0, icount=False))
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
    return told


def at(pins: dict[str, Any], held: dict[str, Any]) -> list[dict[str, Any]]:
    """The folios that are told of the memory that the guest says it holds."""
    end = held["at"] + held["size"]
    owned = [
        folio for folio in pins["seen"]["folios"] if any(held["at"] <= o["address"] < end for o in folio["owners"])
    ]
    assert "why" not in held
    return owned


def holders(folios: list[dict[str, Any]]) -> set[tuple[str, int | None, str | None]]:
    return {(holder["kind"], holder["fd"], holder["module"]) for folio in folios for holder in folio["holders"]}


def states(folios: list[dict[str, Any]]) -> dict[str, int]:
    """Bytes in each state."""
    return {state: sum(f["size"] for f in folios if f["state"] == state) for state in {f["state"] for f in folios}}


@pytest.mark.parametrize("kernel", ["6.12", *nightly("5.10", "6.1", "6.18", "newest")], indirect=True)
def test_a_kernel_is_looked_at_from_within(kernel: Kernel) -> None:
    """Eight pages and a THP of an io_uring buffer, with the counts and the owner that a view from outside shows; then
    what `pinhold pins` tells of each holder that this kernel has, and of what VFIO pinned read-only, once that is
    written: holder, descriptor, owner, size, state."""
    told = from_within(kernel)
    assert told["verdict"].startswith("unknown"), told["verdict"]  # it expects nothing
    assert told["still"] is False
    old = kernel.release.startswith(("5.10.", "6.1."))
    pins = 512 if old else 1
    small = [folio for folio in told["seen"] if not folio["order"]]
    large = [folio for folio in told["seen"] if folio["order"]]
    assert [(f["kind"], f["refcount"], f["pins"], f["mapcount"], f["same"]) for f in small] == [
        ("anon", 1025, 1, 1, [True])
    ] * 8
    assert [(f["kind"], f["order"], f["pins"], f["same"]) for f in large] == [("anon", 9, pins, [True])]
    assert {name for folio in told["seen"] for name in folio["names"]} == {"pinhold"}

    pins = told["holders"]
    assert "broken" not in pins, pins["broken"]
    assert pins["seen"]["looked"]["inconsistent"] == 0
    made = [one for one in pins["made"] if "why" not in one]
    missing = {one["how"] for one in pins["made"]} - {one["how"] for one in made}
    assert missing == {*(["udmabuf", "VDUSE"] if old else []), *([] if kernel.pinprobe else PROBED)}
    for one in made:
        folios = at(pins, one)
        if one["how"] in PROBED:
            assert {(kind, module) for kind, _, module in holders(folios)} == {("unknown", "pinprobe")}
            stale = old and one["how"] == "pinprobe of a memfd"
            assert states(folios) == {"STALE" if stale else "same": one["size"]}
        elif one["how"] in HOLDERS:
            assert holders(folios) == {(one["how"], one["fd"], None)}
            assert states(folios) == {"shared" if one["how"] == "udmabuf" else "same": one["size"]}
            assert all(folio["pins"] for folio in folios) is (one["how"] != "vmsplice")
    assert {one["how"] for one in made} >= HOLDERS - missing

    pins = told["written"]
    assert "broken" not in pins, pins["broken"]
    assert len(pins["made"]) == 5
    for one in pins["made"]:
        assert holders(at(pins, one)) == {("VFIO", one["fd"], None)}
        assert states(at(pins, one)) == {"STALE" if old else "same": one["size"]}, one


@pytest.mark.parametrize("kernel", ["6.12", *nightly("5.10", "6.1", "6.18", "newest")], indirect=True)
def test_a_kernel_that_is_locked_down(kernel: Kernel) -> None:
    """With lockdown=confidentiality root is told what /proc has, and why there is no more, also where nothing tells of
    the lockdown."""
    told = from_within(kernel, "lockdown=confidentiality")
    for word in ("hidden", "said"):
        seen = told[word]
        (buffer,) = seen["buffers"]
        assert (buffer["holder"]["kind"], buffer["holder"]["address"], buffer["size"]) == (
            "io_uring", told["made"]["at"], told["made"]["size"],
        )  # fmt: skip
        assert seen["folios"] == [] and seen["source"] == "/proc" and seen["looked"]["total"] >= 1
    assert told["said"]["missing"] == [
        "Nothing more can be told: the kernel is locked down (confidentiality) and lets nobody read /proc/kcore."
    ]
    (sentence,) = told["hidden"]["missing"]
    assert "not even root may read /proc/kcore here: the kernel is locked down, or" in sentence
