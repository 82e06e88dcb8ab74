"""`pinhold pins` in guests of stock kernels: each holder, each state, from outside by the guest's memory."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from held import Held, holding
from lab_kernels import KERNELS
from pinhold.lab.store import Kernel

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")

from pinhold.cli import main
from pinhold.commands import watch
from pinhold.inspect.memory import ram
from pinhold.inspect.memory.qmp import Monitor
from pinhold.inspect.opening import opened
from pinhold.inspect.pinned import Look
from pinhold.inspect.records import Holder, NotThere, PinnedFolio, Selection, State, Told
from pinhold.inspect.state import MERGED, ONE_OF_SEVERAL
from pinhold.inspect.view import View

pytestmark = pytest.mark.slow

PAGE = 4096
MENDED = (6, 2)
"""The release that closed the last hole: what is pinned for long stays the process's."""


@pytest.fixture
def held(kernel: Kernel) -> Iterator[Held]:
    """A guest of the kernel."""
    with holding(kernel) as guest:
        yield guest


def look(guest: Held, **selection: Any) -> Told:
    with View(ram.source("its memory", guest.ram)) as view:
        return Look(view).look(Selection(**selection))


def at(told: Told, held: dict[str, Any]) -> list[PinnedFolio]:
    """What is told of the memory that the guest says it holds, by addresses."""
    end = held["at"] + held["size"]
    return [
        folio
        for folio in told.folios
        for owner in folio.owners
        if owner.process.pid == held["pid"] and held["at"] <= owner.address < end
    ]


def states(told: Told, held: dict[str, Any]) -> dict[State, int]:
    """Bytes in each state."""
    found: Counter[State] = Counter()
    for folio in at(told, held):
        found[folio.state] += folio.size
    return dict(found)


def holders(told: Told, held: dict[str, Any]) -> set[tuple[str, int | None]]:
    return {(holder.kind, holder.fd) for folio in at(told, held) for holder in folio.holders}


def newer(kernel: Kernel) -> bool:
    return tuple(map(int, kernel.release.split(".")[:2])) >= MENDED


@pytest.mark.parametrize("kernel", KERNELS, indirect=True)
def test_holders_and_states(kernel: Kernel, held: Held) -> None:
    """Each holder is told with its process, descriptor, addresses and sizes, all of them the same memory; then the
    kinds of memory of the patch's selftest, pinned read-only for a device and then written: STALE before the patch."""
    made = held.do("holders")
    told = look(held)
    there = [one for one in made if "why" not in one]
    missing = {one["how"] for one in made} - {one["how"] for one in there}
    assert missing == ({"udmabuf", "VDUSE"} if not newer(kernel) else set())
    for one in there:
        assert holders(told, one) == {(one["how"], one["fd"])}
        state = State.SHARED if one["how"] == "udmabuf" else State.SAME
        assert states(told, one) == {state: one["size"]}, one
        pins = [folio.pins for folio in at(told, one)]
        assert all(pins) if one["how"] != "vmsplice" else not any(pins)
    assert sum(folio.size for folio in told.folios) == sum(one["size"] for one in there)
    assert told.looked.inconsistent == 0 and told.buffers == ()

    made = held.do("only_read")
    told = look(held)
    for one in made:
        zero = "zero" in one["how"] and not newer(kernel)
        assert states(told, one) == {State.ZERO if zero else State.SAME: one["size"]}, one
    held.do("written")
    told = look(held)
    for one in made:
        expected = State.SAME if newer(kernel) else State.STALE
        assert states(told, one) == {expected: one["size"]}, one
        assert holders(told, one) == {("VFIO", one["fd"])}
        zero = "zero" in one["how"] and not newer(kernel)
        assert all((folio.kind == "zero") == zero and (folio.pins is None) == zero for folio in at(told, one))


@pytest.mark.parametrize("kernel", KERNELS, indirect=True)
def test_counts_unknown_holders_and_children(kernel: Kernel, held: Held) -> None:
    """Four pins of one page are four; a page that is mapped 1,100 times has none; what a module pins whose records are
    not known is told with the module, STALE where it is; what was unmapped is told as that; a child's copies are not
    its parent's."""
    four, often, probe, probed, unmapped = held.do("others")
    told = look(held)
    (one,) = at(told, four)
    assert (one.pins, len(one.holders), one.dma_pinned) == (4, 4, True)
    assert at(told, often) == []
    assert states(told, unmapped) == {State.UNMAPPED: unmapped["size"]}
    if kernel.pinprobe is not None:
        assert states(told, probe) == {State.SAME: probe["size"]}
        assert states(told, probed) == {State.SAME if newer(kernel) else State.STALE: probed["size"]}
        for folio in (*at(told, probe), *at(told, probed)):
            assert {(holder.kind, holder.module) for holder in folio.holders} == {("unknown", "pinprobe")}

    (forked,) = held.do("forked")
    told = look(held)
    assert states(told, forked) == {State.SAME: forked["size"]}
    assert at(told, {**forked, "pid": forked["child"]}) == []
    of_child = {folio.pfn for folio in look(held, pid=forked["child"]).folios}
    assert of_child.isdisjoint(folio.pfn for folio in at(told, forked))


@pytest.mark.parametrize("kernel", KERNELS, indirect=True)
def test_pages_of_ksm(kernel: Kernel, held: Held) -> None:
    """They are their processes' at every address that ksmd has merged, and where one of these was written it cannot be
    told which of them was meant; once all were, what is held is stale.  By the address that VFIO keeps it is told from
    the first write on: 5.10 pins KSM's page, later kernels part it from the others first."""
    first, pinned, second = held.do("merged")
    old = kernel.release.startswith("5.10.")
    before, after = (("ksm", State.SAME), ("ksm", State.STALE)) if old else [("anon", State.SAME)] * 2

    def ksm() -> list[PinnedFolio]:
        return [folio for folio in look(held).folios if {holder.kind for holder in folio.holders} == {"vmsplice"}]

    assert [(folio.kind, folio.state, folio.reason) for folio in ksm()] == [("ksm", State.SAME, MERGED)] * 2
    assert {(folio.kind, folio.state) for folio in at(look(held), pinned)} == {before}
    addresses = [[owner.address for owner in folio.owners] for folio in ksm()]
    assert sorted(map(sorted, addresses)) == [sorted((first["at"] + at, second["at"] + at)) for at in (0, PAGE)]
    held.do("written")
    assert [(folio.state, folio.reason) for folio in ksm()] == [(State.UNKNOWN, ONE_OF_SEVERAL)] * 2
    assert {(folio.kind, folio.state) for folio in at(look(held), pinned)} == {after}
    held.do("written")
    assert [(folio.state, folio.reason) for folio in ksm()] == [(State.STALE, "")] * 2


@pytest.mark.parametrize("kernel", ["6.12"], indirect=True)
def test_the_command_by_qmp(kernel: Kernel, held: Held, capsys: pytest.CaptureFixture[str]) -> None:
    """A guest by its socket: one process, one address, one frame, one zone; each says the same of the page."""
    uring = held.do("holders")[0]
    on = ("--on", f"qmp:{held.qmp}", "--format", "json")

    def folios(*words: str) -> list[Any]:
        assert main(["pins", *on, *words]) == 0
        found: list[Any] = json.loads(capsys.readouterr().out)["folios"]
        return found

    (page,) = folios("--pid", "1", "--page", hex(uring["at"] + 5000))
    assert page["owners"] == [{"process": {"pid": 1, "name": "init"}, "address": uring["at"] + PAGE}]
    assert folios("--pfn", hex(page["pfn"])) == [page]
    in_zone = folios("--zone", page["zone"])
    assert page in in_zone and {folio["zone"] for folio in in_zone} == {page["zone"]}
    in_block = folios("--block", str(page["pfn"] >> 15))  # of 128 MiB in a small guest
    assert page in in_block and {folio["pfn"] >> 15 for folio in in_block} == {page["pfn"] >> 15}
    assert main(["pins", "--on", f"qmp:{held.qmp}", "--block", "4000"]) == 3
    assert "this kernel has no memory block 4000: the last one is" in capsys.readouterr().err
    assert main(["pins", "--on", f"qmp:{held.qmp}", "--zone", "Nowhere"]) == 3
    assert "this kernel has no zone 'Nowhere'" in capsys.readouterr().err
    assert main(["pins", "--on", f"qmp:{held.qmp}", "--pid", "4711"]) == 3


@pytest.mark.parametrize("kernel", ["6.12"], indirect=True)
def test_a_process_or_a_zone_that_is_not_there(kernel: Kernel, held: Held) -> None:
    """Each is said as that."""
    with pytest.raises(NotThere, match="no process 4711"):
        look(held, pid=4711)
    with pytest.raises(NotThere, match="no zone 'X'"):
        look(held, zone="X")


@pytest.mark.parametrize("kernel", ["6.1"], indirect=True)
def test_watch_tells_what_became_stale(
    kernel: Kernel, held: Held, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second look comes after the write: each range that parted, once; the exit status is 1."""
    made = held.do("only_read")
    monkeypatch.setattr(watch.time, "sleep", lambda seconds: held.do("written"))
    assert main(["watch", "--pid", "1", "--on", f"qmp:{held.qmp}", "--times", "2"]) == 1
    lines = capsys.readouterr().out.splitlines()
    stale = [line.split("STALE: ")[1] for line in lines if "  STALE: " in line]
    assert {one["at"] for one in made} >= {int(line.split(",")[0], 16) for line in stale}
    assert all("VFIO fd" in line for line in stale) and len(stale) >= 4


@pytest.mark.parametrize("kernel", ["6.12"], indirect=True)
def test_direct_io_is_transient(kernel: Kernel, held: Held) -> None:
    """Buffers of reads in flight, of a guest that is stopped twice for each look: what was given back in between is
    told as that, with its process; none of it is stale."""
    (reader,) = held.do("direct")
    seen: list[PinnedFolio] = []
    with opened(f"qmp:{held.qmp}") as view:
        for _ in range(1000):
            time.sleep(0.01)  # a guest that is looked at all the time stands still all the time, and reads nothing
            seen += Look(view).look(Selection()).folios
            if sum(folio.holders == (Holder("transient"),) for folio in seen) > 50:
                break
    transient = [folio for folio in seen if folio.holders == (Holder("transient"),)]
    assert len(transient) > 50
    assert {owner.process.pid for folio in seen for owner in folio.owners} == {reader["pid"]}
    assert {folio.state for folio in transient} == {State.UNKNOWN}
    assert {folio.state for folio in seen} <= {State.UNKNOWN, State.SAME}


@pytest.mark.nightly
@pytest.mark.parametrize("kernel", ["6.1", "6.12"], indirect=True)
def test_a_busy_guest_has_nothing_stale(kernel: Kernel, held: Held) -> None:
    """Read while it runs, 100 times: what stays is told each time, nothing is STALE, and no look fails."""
    (kept,) = held.do("busy")
    with View(ram.source("its memory", held.ram)) as view:
        for _ in range(100):
            told = Look(view).look(Selection())
            assert states(told, kept) == {State.SAME: kept["size"]}
            assert [folio for folio in told.folios if folio.state is State.STALE] == []


@pytest.mark.nightly
@pytest.mark.parametrize("kernel", ["newest"], indirect=True)
def test_what_keeps_an_area_of_cma(kernel: Kernel) -> None:
    """References on pages there, with the area's name; what is pinned for long has left it."""
    with holding(kernel, append="cma=768M", memory=1280) as held:
        made = [*held.do("holders"), *held.do("spliced")]
        told = look(held)
        inside = look(held, zone="CMA")
    area = [folio for folio in told.folios if folio.cma]
    assert list(inside.folios) == area and {folio.cma for folio in area} == {"reserved"}
    assert {holder.kind for folio in area for holder in folio.holders} == {"vmsplice"} and len(area) > 8
    frames = {folio.pfn >> 18 for folio in area}  # it is in one piece
    assert max(frames) - min(frames) <= 1 and len(told.folios) > len(area) and len(made) > 60


FULL = pytest.mark.parametrize("kernel", ["full"], indirect=True)
"""A kernel with what those of the lab do not have: `pinhold kernels add full --image PATH --modules DIR`, of Debian's
linux-image-amd64."""


@pytest.mark.nightly
@FULL
def test_a_memory_region_of_rdma(kernel: Kernel, held: Held) -> None:
    """By soft-RoCE.  A region that begins within a page holds the page."""
    (region,) = held.do("rdma")
    if "why" in region:
        pytest.skip(f"this kernel has no soft-RoCE: {region['why']}")
    told = look(held)
    assert holders(told, region) == {("RDMA", region["fd"])}
    assert states(told, region) == {State.SAME: region["size"]}
    assert sum(folio.size for folio in told.folios) == region["size"]


@pytest.mark.nightly
@FULL
def test_the_tables_of_amds_iommu(kernel: Kernel) -> None:
    """What VFIO holds is found in them as in Intel's: small pages and a huge one, each where its process has it."""
    with holding(kernel, edu=0, append="intremap=off", extra=("-device", "amd-iommu", "-device", "edu")) as held:
        made = held.do("only_read")
        if "why" in made[0]:
            pytest.skip(f"this kernel has no driver of AMD's IOMMU: {made[0]['why']}")
        held.do("written")
        told = look(held)
    for one in made:
        assert states(told, one) == {State.SAME if newer(kernel) else State.STALE: one["size"]}, one
        assert holders(told, one) == {("VFIO", one["fd"])}
    assert told.buffers == ()


@pytest.mark.parametrize("kernel", KERNELS, indirect=True)
def test_each_way_tells_the_same(kernel: Kernel, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The command says of a guest, by its socket, and of the dumps that QEMU writes of it, ELF and compressed (which it
    flattens), what its memory shows; of both dumps in the same words."""
    with holding(kernel, extra=("-device", "vmcoreinfo")) as held:
        made = held.do("holders")
        before = look(held)
        path = {form: tmp_path / form for form in ("elf", "kdump-zlib")}
        told = {"qmp": said(capsys, f"qmp:{held.qmp}")}
        monitor = Monitor(held.qmp, seconds=600)
        try:
            for form, file in path.items():
                monitor("dump-guest-memory", paging=False, protocol=f"file:{file}", format=form)
        finally:
            monitor.close()
    words = []
    for form, file in path.items():
        told[form] = said(capsys, f"vmcore:{file}")
        assert main(["pins", "--on", f"vmcore:{file}", "--by", "holder"]) == 0
        words.append(capsys.readouterr().out.replace(form, "FORM"))
    assert len(made) > 5 and len(before.folios) > 20
    for read in told.values():
        assert read["folios"] == json.loads(json.dumps([asdict(folio) for folio in before.folios]))
        assert read["buffers"] == [] and read["release"] == before.release
    assert words[0] == words[1] and "io_uring" in words[0] and "VFIO" in words[0]


def said(capsys: pytest.CaptureFixture[str], on: str) -> Any:
    """The command's JSON."""
    assert main(["pins", "--on", on, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)
