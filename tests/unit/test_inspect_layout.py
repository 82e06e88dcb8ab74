"""Layouts asked of types made by hand, as three kernels have them; and where a page belongs by its index."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")

import drgn

from btf_blob import Blob
from pinhold.inspect.btf import Btf, Kind
from pinhold.inspect.errors import CannotLook
from pinhold.inspect.folio import decode
from pinhold.inspect.layout import Layout, ask
from pinhold.inspect.memory.source import X86_64
from pinhold.inspect.rmap import HUGE_INDEX, index_of
from pinhold.inspect.types import TypesOfBtf
from pinhold.inspect.vma import VM_SHARED, Vma
from struct_pages import ANON, CLEARED, FILE, NEW, OLD, large, page

Fields = list[tuple[str, int, str]]
"""Name, byte, and type: "word", "int" or "byte"."""

COMMON: Fields = [("mapping", 24, "word"), ("private", 40, "word"), ("_mapcount", 48, "int"), ("_refcount", 52, "int")]
OLDEST: Fields = [
    ("flags", 0, "word"), ("compound_head", 8, "word"), ("index", 32, "word"), *COMMON, ("compound_dtor", 16, "byte"),
    ("compound_order", 17, "byte"), ("compound_mapcount", 20, "int"), ("hpage_pinned_refcount", 16, "int"),
]  # fmt: skip
"""struct page of 5.10, which has no folios."""
NEWEST: Fields = [("flags", 0, "word"), ("compound_info", 8, "word"), ("__folio_index", 32, "word"), *COMMON]
LARGE: Fields = [
    ("flags", 0, "word"), ("index", 32, "word"), *COMMON, ("_flags_1", 64, "word"), ("_large_mapcount", 80, "int"),
    ("_nr_pages_mapped", 84, "int"), ("_entire_mapcount", 88, "int"), ("_pincount", 92, "int"),
]  # fmt: skip
"""struct page and struct folio of 7.3."""
BETWEEN: Fields = [
    ("flags", 0, "word"), ("index", 32, "word"), *COMMON, ("_folio_dtor", 80, "byte"), ("_folio_order", 81, "byte"),
    ("_total_mapcount", 84, "int"), ("_pincount", 88, "int"),
]  # fmt: skip
"""struct folio of 6.1, whose struct page still has the mapcount of a compound page."""
FLAGS = {"PG_lru": 5, "PG_head": 6, "PG_anon_exclusive": 17}


def kernel(page: Fields, folio: Fields | None, flags: dict[str, int], **enums: dict[str, int]) -> drgn.Program:
    """A program with these types."""
    made = Blob()
    types = {"word": made.int_("unsigned long", 8, False), "int": made.int_("int", 4), "byte": made.int_("char", 1)}
    for name, fields, size in (("page", page, 64), ("folio", folio, 256)):
        if fields is not None:
            # Within unnamed unions, as most of them are.
            inner = [made.add(Kind.UNION, "", 8, [made.name(field), types[of], 0], 1) for field, _, of in fields]
            made.struct(name, size, [("", union, 8 * at) for union, (_, at, _) in zip(inner, fields, strict=True)])
    for name, values in {"pageflags": flags, **enums}.items():
        made.add(
            Kind.ENUM,
            name,
            4,
            [word for item, value in values.items() for word in (made.name(item), value)],
            len(values),
        )
    program = drgn.Program(X86_64)
    TypesOfBtf(program, Btf(made.data())).register("btf", 0)
    return program


def test_the_oldest() -> None:
    """5.10: all in struct page; of a large folio, in those of its tail pages, the pins in the third."""
    found = ask(kernel(OLDEST, None, FLAGS, compound_dtor_id={"HUGETLB_PAGE_DTOR": 2}))
    assert found == replace(OLD, flags=FLAGS, types={})


def test_the_one_in_between() -> None:
    """6.1: the pincount of struct folio, the mapcount of the second struct page."""
    page = [field for field in OLDEST if field[0] != "hpage_pinned_refcount"]
    found = ask(kernel(page, BETWEEN, FLAGS, compound_dtor_id={"HUGETLB_PAGE_DTOR": 2}))
    assert (found.order, found.pincount, found.entire_mapcount, found.dtor) == (81, 88, 84, 80)
    assert found.large_mapcount is None and found.pincount_page == 1


def test_the_newest() -> None:
    """7.3: compound_info, __folio_index, counts in struct folio, page types by their byte."""
    found = ask(kernel(NEWEST, LARGE, FLAGS, pagetype={"PGTY_hugetlb": 0xF4, "PGTY_slab": 0xF5}))
    assert found == replace(NEW, flags=FLAGS)


TYPES = {
    "6.10": {"PG_buddy": 0x80, "PG_hugetlb": 0x800, "PG_slab": 0x1000, "PAGE_TYPE_BASE": 0xF000_0000},
    "6.11": {"PG_buddy": 1 << 30, "PG_hugetlb": 1 << 26, "PG_slab": 1 << 25, "PAGE_TYPE_BASE": 1 << 31},
}


@pytest.mark.parametrize("release", TYPES)
def test_page_types_that_are_cleared_bits(release: str) -> None:
    """6.10 and 6.11: of a word that is otherwise -1; which bits has changed between the two."""
    named = TYPES[release]
    found = ask(kernel(NEWEST, LARGE, FLAGS, pagetype={**named, "PAGE_MAPCOUNT_RESERVE": 0xFFFF_FF80})).types
    assert {name: found[name] for name in ("hugetlb", "slab")} == CLEARED[release].types
    for name in ("buddy", "hugetlb", "slab"):
        word = 0xFFFF_FFFF & ~named[f"PG_{name}"]
        assert [other for other in found if found[other].has(word)] == [name]
    assert not any(type_.has(word) for type_ in found.values() for word in (0xFFFF_FFFF, 0, 5, 0x7FFF_FFFF))


def test_page_types_without_a_name() -> None:
    """6.9: hugetlb is a page type there, and neither a flag nor a destructor; slabs have their flag."""
    found = ask(kernel(NEWEST, LARGE, FLAGS | {"PG_slab": 9}))
    assert set(found.types) == {"hugetlb"} and found.types["hugetlb"] == CLEARED["6.10"].types["hugetlb"]
    assert ask(kernel(NEWEST, LARGE, FLAGS | {"PG_hugetlb": 8})).types == {}


@pytest.mark.parametrize("missing", ["_refcount", "mapping", "compound_head", "hpage_pinned_refcount"])
def test_what_no_kernel_lacks_is_missed(missing: str) -> None:
    """In a sentence that names it."""
    with pytest.raises(CannotLook, match=missing):
        ask(kernel([field for field in OLDEST if field[0] != missing], None, FLAGS))


def test_types_that_are_no_kernels_are_said() -> None:
    """And struct pages of a size that cannot be."""
    with pytest.raises(CannotLook, match="no struct page"):
        ask(drgn.Program(X86_64))
    made = Blob()
    made.struct("page", 2, [])
    program = drgn.Program(X86_64)
    TypesOfBtf(program, Btf(made.data())).register("btf", 0)
    with pytest.raises(CannotLook, match="2 bytes"):
        ask(program)


AREA = Vma(0x7000_0000, 0x7000_8000, 0, pgoff=5, anon_pgoff=0x70000, file=1, anon_vma=1, mm=1, address=1)


def test_an_anonymous_page_of_a_private_file_has_an_index_of_its_own() -> None:
    """7.x: counted from the address at the first fault, where the file's page counts from the file's beginning."""
    assert AREA.at(5, False) == AREA.at(0x70000, True) == 0x7000_0000
    assert AREA.at(12, False) == 0x7000_7000
    assert AREA.at(13, False) is AREA.at(4, False) is AREA.at(5, True) is AREA.at(0x70008, True) is None
    assert replace(AREA, flags=VM_SHARED).shared and not AREA.shared


def looked(*functions: str) -> Any:
    return SimpleNamespace(symbols=SimpleNamespace(address=lambda name: 1 if name in functions else None))


def hugetlb(layout: Layout) -> Any:
    made = large(layout, 9, 1, 1, refcount=2, mapping=FILE, index=3)
    if layout.dtor is not None:
        made[layout.dtor] = 2
    else:
        made[layout.mapcount : layout.mapcount + 4] = b"\0\0\0\xf4"
    return decode(layout, 512, bytes(made))


def test_the_index_of_a_hugetlb_folio() -> None:
    """Counts in folios where the kernel has the function that says so (up to 6.6), else in pages; others always do."""
    assert index_of(looked(HUGE_INDEX), hugetlb(OLD)) == 3 << 9
    assert index_of(looked(), hugetlb(NEW)) == 3
    thp = decode(OLD, 512, bytes(large(OLD, 9, 0, 1, refcount=2, mapping=ANON, index=512)))
    assert index_of(looked(HUGE_INDEX), thp) == 512
    assert thp.anon and not hugetlb(OLD).anon
    small = decode(NEW, 1, bytes(page(NEW, "lru", refcount=1, mapping=ANON | 2) + bytes(192)))
    assert small.kind == "ksm" and small.anon
