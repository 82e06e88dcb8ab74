"""Areas of the contiguous memory allocator, in both forms that kernels have of them, and what is pinned there."""

from __future__ import annotations

import pytest

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")
pytest.importorskip("numpy", reason="needs numpy: pip install 'pinhold[inspect]'")

import synthetic
from pinhold.inspect.cma import Area, area_of, areas, frames_of
from pinhold.inspect.errors import CannotLook
from pinhold.inspect.pinned import Look
from pinhold.inspect.records import NotThere, Selection, Told
from pinhold.report.pinsgroups import groups
from synthetic import SECTION, Machine

FORMS = {
    "one range": {"cma": "long base_pfn, long count, char[64] name"},
    "several": {
        "cma_memrange": "long base_pfn, long count",
        "cma": "long count, char[64] name, int nranges, cma_memrange[4] ranges",
    },
}
MADE = [("reserved", [(0, 2 * SECTION)]), ("gone", [(0, 0)]), ("huge\x07tlb", [(3 * SECTION, SECTION)])]


def with_areas(monkeypatch: pytest.MonkeyPatch, form: str, made: list[tuple[str, list[tuple[int, int]]]]) -> Machine:
    """A machine of four sections, three pins in each."""
    for name, members in FORMS[form].items():
        monkeypatch.setitem(synthetic._MEMBERS, name, [tuple(each.split()) for each in members.split(", ")])
    machine = Machine(4 * SECTION, 12)
    heap, at = machine.heap, synthetic.offsets("cma")
    first = heap.new(len(made) * synthetic.size("cma"))
    for number, (name, ranges) in enumerate(made):
        here = first + number * synthetic.size("cma")
        text = name.encode().ljust(64, b"\0")
        for word in range(0, 64, 8):
            heap.word(here + at["name"][0] + word, int.from_bytes(text[word : word + 8], "little"))
        where = here + at["ranges" if form == "several" else "base_pfn"][0]
        for one, (base, count) in enumerate(ranges):
            heap.word(where + 16 * one, base)
            heap.word(where + 16 * one + 8, count)
        if form == "several":
            heap.word(here + at["nranges"][0], len(ranges))
    count = heap.new(8)
    heap.word(count, len(made))
    machine.symbols = {"cma_areas": first, "cma_area_count": count}
    return machine


@pytest.mark.parametrize("form", FORMS)
def test_what_keeps_an_area(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """All areas, or one by its name: what is pinned there, each with the name of its area; by zone they are groups."""
    view = with_areas(monkeypatch, form, MADE).view()
    assert areas(view) == [
        Area("reserved", (range(2 * SECTION),)),
        Area("huge\x07tlb", (range(3 * SECTION, 4 * SECTION),)),
    ]

    def look(zone: str | None) -> Told:
        return Look(view).look(Selection(zone=zone))

    everything = look(None).folios
    outside = [one for one in everything if one.pfn // SECTION == 2]
    assert [one.cma for one in outside] == [""] * len(outside) and outside
    told = look("CMA")
    assert list(told.folios) == [one for one in everything if one not in outside]
    assert {one.cma for one in look("CMA:reserved").folios} == {"reserved"}
    assert {one.pfn // SECTION for one in look("CMA:huge\x07tlb").folios} == {3}
    names = {"node 0, zone Normal, CMA area reserved", "node 0, zone Normal, CMA area huge tlb"}
    assert {group.name for group in groups(told, "zone")} == names


def test_an_area_of_several_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them is looked at."""
    ranges = [(0, SECTION), (2 * SECTION, SECTION)]
    view = with_areas(monkeypatch, "several", [("two", ranges)]).view()
    (area,) = areas(view)
    assert area.frames == (range(SECTION), range(2 * SECTION, 3 * SECTION))
    assert {one.pfn // SECTION for one in Look(view).look(Selection(zone="CMA")).folios} == {0, 2}
    assert [area_of([area], pfn) for pfn in (0, SECTION, 2 * SECTION)] == ["two", "", "two"]


def test_no_area_and_none_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is said, with those that are there."""
    with pytest.raises(NotThere, match="this kernel has no area of CMA: it was built without CONFIG_CMA"):
        Look(Machine(SECTION, 1).view()).look(Selection(zone="CMA"))
    view = with_areas(monkeypatch, "one range", MADE).view()
    with pytest.raises(NotThere, match="no area of CMA 'x': it has reserved, huge"):
        frames_of(areas(view), "CMA:x")


def test_damaged_records_end_as_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """More areas, or more ranges of one, than there can be."""
    machine = with_areas(monkeypatch, "several", MADE)
    nranges = machine.symbols["cma_areas"] + synthetic.offsets("cma")["nranges"][0]
    machine.heap.word(nranges, 5)
    with pytest.raises(CannotLook, match="ranges of an area of CMA: 5 cannot be, 4 are the most"):
        areas(machine.view())
    machine.heap.word(nranges, 1)
    machine.heap.word(machine.symbols["cma_area_count"], 5000)
    with pytest.raises(CannotLook, match="areas of CMA: 5000 cannot be"):
        areas(machine.view())
