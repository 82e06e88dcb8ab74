"""What is pinned, as a table, as JSON and as a page: made-up records of every kind."""

from __future__ import annotations

import json
import re
from argparse import Namespace

import pytest

from pinhold.commands.pins import _chart
from pinhold.inspect.records import (
    Buffer,
    Counters,
    Holder,
    Looked,
    Owner,
    PinnedFolio,
    Process,
    ProcessPins,
    State,
    Told,
)
from pinhold.pictures.chartpage import chart_page
from pinhold.report.pinsgroups import NO_ZONE, NOBODY, groups, size_words
from pinhold.report.pinsjson import pinsjson
from pinhold.report.pinstable import pinstable

ME, OTHER = Process(7, "a\x1b[2J\nb"), Process(12, "<b>other</b>")
AT = 0x7F0000000000
RING = Holder("io_uring", ME, 3)


def folio(pfn: int, state: State = State.SAME, **given: object) -> PinnedFolio:
    """A small anonymous folio of ME with one pin."""
    usual = {
        "owners": (Owner(ME, AT + (pfn << 12)),),
        "holders": (Holder("io_uring", ME, 3, address=AT + (pfn << 12)),),
        "zone": "Normal",
        "kind": "anon",
        "size": 4096,
    }
    return PinnedFolio(**{"pfn": pfn, "node": 0, "pins": 1, "dma_pinned": True, "state": state, **usual, **given})


def told(*folios: PinnedFolio, buffers: tuple[Buffer, ...] = (), **given: object) -> Told:
    return Told("RAM", "6.1.0", buffers=buffers, folios=folios, **given)


def test_neighbours_that_are_alike_are_one_row() -> None:
    """Ranges end where the state changes, where a page is missing, and where folios have another size."""
    found = groups(told(*map(folio, (1, 2, 3)), folio(4, State.STALE), folio(5), folio(7, size=2 << 20)), "process")
    rows = [((row.at or 0) - AT >> 12, row.size, row.pages, row.pins, row.state) for row in found[0].rows]
    assert rows == [
        (1, 12288, 3, 3, State.SAME),
        (4, 4096, 1, 1, State.STALE),
        (5, 4096, 1, 1, State.SAME),
        (7, 2 << 20, 1, 1, State.SAME),
    ]


def test_huge_neighbours_are_one_row() -> None:
    """By zone page frames are counted: a folio of 2 MiB is followed by the one 512 frames on."""
    found = groups(told(*(folio(pfn, size=2 << 20) for pfn in (512, 1024, 1536))), "zone")
    assert [(row.at, row.size, row.pages) for row in found[0].rows] == [(512, 6 << 20, 3)]


def test_groups_of_each_kind() -> None:
    """A folio stands with each of its processes and holders; one that nobody maps and holds stands last."""
    both = folio(1, owners=(Owner(ME, AT), Owner(OTHER, AT)), holders=(RING, Holder("VFIO", OTHER, 9)))
    alone = folio(2, owners=(), holders=(Holder("unknown", module="x\x07y"),), zone="Movable", node=1)
    buffer = Buffer(Holder("RDMA", OTHER, 4), reason="r")
    all_told = told(both, alone, buffers=(buffer,), processes=(ProcessPins(OTHER, 4096, 0), ProcessPins(ME, 0, 0)))
    assert [(g.name, g.note, len(g.rows)) for g in groups(all_told, "process")] == [
        ("7 a [2J b", "VmPin 0, VmLck 0", 1),
        ("12 <b>other</b>", "VmPin 4 KiB, VmLck 0", 2),
        (NOBODY, "", 1),
    ]
    assert {g.name for g in groups(all_told, "holder")} == {
        "io_uring of 7 a [2J b, fd 3",
        "VFIO of 12 <b>other</b>, fd 9",
        "RDMA of 12 <b>other</b>, fd 4",
        "unknown of module x y",
    }
    assert {g.name for g in groups(all_told, "zone")} == {"node 0, zone Normal", "node 1, zone Movable", NO_ZONE}


def test_memory_that_went_stale_is_still_told_of_its_holder() -> None:
    """A page that nobody maps any more stands with the process whose device it is, at the address that was kept."""
    found = groups(told(folio(1, State.STALE, owners=())), "process")
    assert [(g.name, [row.at for row in g.rows]) for g in found] == [("7 a [2J b", [AT + 4096])]


@pytest.mark.parametrize("by", ["process", "holder", "zone"])
def test_a_table_fits_and_says_it_all(by: str) -> None:
    """80 columns; a name's control characters do nothing; reasons stand below; what is not whole is said."""
    module = Holder("unknown", OTHER, module="a_module_with_a_name_of_forty_characters_")
    everything = told(
        folio(1),
        folio(2, State.STALE),
        folio(3, State.UNKNOWN, holders=(module,), reason="this holder keeps no address"),
        buffers=(Buffer(RING, 8192, reason="the ring was busy"),),
        counters=Counters(10, 7, False),
        looked=Looked("processes", 9, inconsistent=2, denied=3),
        missing=("It takes more.",),
    )
    lines = list(pinstable(everything, by))
    assert max(map(len, lines)) <= 80 and all(line.isprintable() for line in lines)
    text = " ".join(" ".join(lines).split())
    for words in (
        "STALE",
        "cannot be told a",
        "cannot be told b",
        " this holder keeps no address",
        " the ring was busy",
        "3 held (as root exactly",
        "2 of 9 processes could not be read consistently.",
        "What 3 of 9 processes hold is not told",
        "It takes more.",
    ):
        assert words in text, words


def test_nothing_is_told_as_nothing() -> None:
    """No table."""
    assert "nothing: no process" in "\n".join(pinstable(told(), "process"))


def test_json_has_the_records_as_they_are() -> None:
    """By their names; what terminals would obey is escaped by JSON, and every state is its word."""
    text = "\n".join(pinsjson(told(folio(1, State.ZERO, pins=None), counters=Counters(3, 1, True))))
    assert text.isascii() and "\x1b" not in text
    read = json.loads(text)
    assert (read["schema"], read["source"], read["counters"]["released"]) == (1, "RAM", 1)
    (one,) = read["folios"]
    assert (one["pfn"], one["pins"], one["state"]) == (1, None, "zero page")
    assert one["owners"] == [{"process": {"pid": 7, "name": ME.name}, "address": AT + 4096}]
    assert one["holders"][0]["fd"] == 3


@pytest.mark.parametrize("by", ["process", "holder", "zone"])
def test_a_page_has_the_rows_of_the_table(by: str) -> None:
    """A name is no markup; STALE is marked."""
    page = chart_page(_chart(told(folio(1, State.STALE, owners=(Owner(OTHER, AT),)), buffers=(Buffer(RING),)), by))
    assert "&lt;b&gt;other" in page and "<b>other" not in page
    assert re.search(r'<td class="bad[^"]*">.*STALE', page)


def test_a_page_of_nothing() -> None:
    """It is one all the same."""
    assert "What is pinned on Linux 6.1.0" in chart_page(_chart(told(), "process"))


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0"), (512, "512 bytes"), (4096, "4 KiB"), (3 << 20, "3 MiB"), (1 << 40, "1024 GiB")]
)
def test_sizes_in_words(size: int, words: str) -> None:
    """No digit is lost."""
    assert size_words(size) == words


def test_the_options_that_a_page_needs() -> None:
    """selected() reads what the grammar makes."""
    from pinhold.commands.pins import selected
    from pinhold.inspect.records import Selection

    options = Namespace(pid=1, page=0x1000, pfn=None, zone=None, block=None)
    assert selected(options) == Selection(pid=1, address=0x1000)
