"""What a view of a real guest's kernel shows, beside what the scenario made: by its RAM, by QMP, and out of dumps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")

from lab_kernels import KERNELS
from pinhold.inspect.memory.qmp import Monitor
from pinhold.inspect.opening import opened
from pinhold.inspect.view import View
from pinhold.lab import target as lab_target
from pinhold.lab.qemu import Setup
from pinhold.lab.seen import watch
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget
from pinhold.scenario.parse import parse
from pinhold.targets.runner import StepRecord
from seen import HELD, seen

pytestmark = pytest.mark.slow

every = pytest.mark.parametrize("kernel", KERNELS, indirect=True)

BEFORE_THE_PATCH = ("5.10.", "6.1.")
READ_ONLY = """map P m memfd pages 2
read P m
pin P m as s longterm
write P m 0x55
"""


def scenario(kernel: Kernel) -> str:
    return HELD + (READ_ONLY if kernel.pinprobe else "")


@every
def test_what_is_pinned_is_seen_with_its_owner(kernel: Kernel, guest: VmTarget) -> None:
    """Eight pages and a THP of an io_uring buffer: refcount 1025, pincount, mapcount, owner, entry.  Pages of a memfd
    that were pinned read-only, then written: up to 6.1 the owner has others (the patch's defect), later the same."""
    steps: dict[int, list[dict[str, Any]]] = {}

    def look(view: View, record: StepRecord) -> None:
        if record.index >= 4:
            with view.paused() as still:
                assert still
                steps[record.index] = seen(view)

    parsed = parse(scenario(kernel))
    result = watch(guest, parsed, look)
    assert result.verdict.kind == "unknown", result.verdict.reason  # it expects nothing
    small, large = steps[5][:8], [folio for folio in steps[5] if folio["order"]]
    old = kernel.release.startswith(BEFORE_THE_PATCH)
    exclusive = None if kernel.release.startswith("5.10.") else True
    for folio in (folio for folio in steps[5] if not folio["order"]):
        assert {**folio, "pfn": 0, "addresses": 0} == {
            "kind": "anon", "order": 0, "refcount": 1025, "pins": 1, "mapcount": 1, "exclusive": exclusive, "last": 1,
            "pfn": 0, "same": [True], "names": ["pinhold"], "addresses": 0, "entries": [(1, True, True)],
        }  # fmt: skip
    addresses = sorted(folio["addresses"][0] for folio in steps[5] if not folio["order"])
    assert [address - addresses[0] for address in addresses] == [4096 * page for page in range(8)]
    assert len(small) == 8 and len(steps[4]) == 8 and len(large) == 1
    pins = 512 if old else 1
    assert {**large[0], "pfn": 0, "addresses": 0} == {
        "kind": "anon", "order": 9, "refcount": 1 + pins, "pins": pins, "mapcount": 1, "exclusive": exclusive,
        "last": 1, "pfn": 0, "same": [True], "names": ["pinhold"], "addresses": 0, "entries": [(2, True, True)],
    }  # fmt: skip
    if kernel.pinprobe:
        read_only = [
            folio for folio in steps[len(parsed.steps) - 1] if folio["pfn"] not in {f["pfn"] for f in steps[5]}
        ]
        told = {(folio["kind"], folio["refcount"], folio["mapcount"], tuple(folio["same"])) for folio in read_only}
        assert len(read_only) == 2
        assert told == ({("file", 1025, 0, (False,))} if old else {("anon", 1025, 1, (True,))})


class Reached(VmTarget):
    """A guest that can be reached as any other of QEMU's, by QMP, with the device that gives dumps their note."""

    socket = ""

    def _setup(self, gigantic: bool) -> Setup:
        return replace(super()._setup(gigantic), extra=("-qmp", f"unix:{self.socket},server=on,wait=off", *NOTE))


NOTE = ("-device", "vmcoreinfo")


@contextmanager
def monitor(path: str) -> Iterator[Monitor]:
    """A connection, for as long as it is needed: QEMU has one at a time."""
    made = Monitor(path, seconds=600)
    try:
        yield made
    finally:
        made.close()


@every
def test_each_way_shows_the_same(kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By RAM, by QMP, out of an ELF dump with and without its note, and out of a compressed, flattened one."""
    monkeypatch.setattr(lab_target, "DRIVERS", (*lab_target.DRIVERS, "qemu_fw_cfg"))
    guest = Reached(kernel.name, kernel, big=False)
    guest.socket = f"{tmp_path}/qmp"
    told: dict[str, list[dict[str, Any]]] = {}

    def look(view: View, record: StepRecord) -> None:
        if record.index != 6:
            return
        told["ram"] = seen(view)
        with opened(f"qmp:{guest.socket}") as other, other.paused() as still:
            assert still
            told["qmp"] = seen(other)
        with monitor(guest.socket) as asked:
            assert asked("query-status")["running"] is True
            for name, form in (("elf", {}), ("kdump", {"format": "kdump-zlib"})):
                asked("dump-guest-memory", paging=False, protocol=f"file:{tmp_path}/{name}", **form)
        bare = bytearray((tmp_path / "elf").read_bytes())
        at = bare.index(b"VMCOREINFO\0")
        bare[at : at + 10] = b"SOMETHING!"
        (tmp_path / "bare").write_bytes(bare)
        for name in ("elf", "bare", "kdump"):
            with opened(f"vmcore:{tmp_path}/{name}") as other:
                told[name] = seen(other)

    try:
        watch(guest, parse(HELD + "expect p sees P x\n"), look)
    finally:
        guest.close()
    assert len(told["ram"]) == 9
    assert {name: folios == told["ram"] for name, folios in told.items()} == dict.fromkeys(
        ("ram", "qmp", "elf", "kdump", "bare"), True
    )
