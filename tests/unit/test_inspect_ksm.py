"""Where a page of KSM is, or was, mapped: by the records of ksmd, under both of their names, on memory made by hand."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")
pytest.importorskip("numpy", reason="needs numpy: pip install 'pinhold[inspect]'")

import synthetic
from pinhold.inspect import lists
from pinhold.inspect.folio import Folio
from pinhold.inspect.lists import Endless
from pinhold.inspect.rmap import places
from synthetic import SECTION, Machine

PFN, AT = 500, 0x7F11_0000_0000
STRUCTS = {
    "hlist_node": "hlist_node* next, long pprev",
    "hlist_head": "hlist_node* first",
    "{}stable_node": "long rb, hlist_head hlist, long kpfn",
    "{}rmap_item": "long rmap_list, anon_vma* anon_vma, mm_struct* mm, long address, long head, hlist_node hlist",
}


class Merged:
    """A machine with a page of KSM; prefix: of the structures' names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
        for name, members in STRUCTS.items():
            made = [tuple(each.split()) for each in members.split(", ")]
            monkeypatch.setitem(synthetic._MEMBERS, name.format(prefix), made)
        self.prefix = prefix
        self.machine = Machine(SECTION, 0)
        self.heap = self.machine.heap
        self.node = self.heap.put(f"{prefix}stable_node")
        self.last = self.node + synthetic.offsets(f"{prefix}stable_node")["hlist"][0]

    def process(self, pfn: int, at: int = AT) -> tuple[int, int]:
        """One that has mapped this page frame: its mm, and a mapping of four pages from there on."""
        mm = self.heap.put("mm_struct", pgd=self.heap.new(4096, 4096))
        self.heap.map(self.heap.get(mm), at, pfn)
        return mm, self.heap.put("vm_area_struct", vm_start=at, vm_end=at + 0x4000, vm_mm=mm, vm_pgoff=at >> 12)

    def item(self, address: int, *areas: int) -> int:
        """A record of ksmd's: an address, and the mappings of its anon_vma."""
        anon_vma = self.heap.put("anon_vma")
        last, at = anon_vma, synthetic.offsets("anon_vma_chain")["rb"][0]
        for area in areas:
            chain = self.heap.put("anon_vma_chain", vma=area, anon_vma=anon_vma)
            self.heap.word(last, chain + at)
            last = chain + at + synthetic.offsets("rb_node")["rb_right"][0]
        item = self.heap.put(f"{self.prefix}rmap_item", anon_vma=anon_vma, address=address)
        node = item + synthetic.offsets(f"{self.prefix}rmap_item")["hlist"][0]
        self.heap.word(self.last, node)
        self.last = node
        return node

    def places(self) -> list[tuple[int, int, int | None]]:
        folio = Folio(PFN, 0, "ksm", frozenset({"lru"}), 4, 3, None, None, self.node, True, 0, 0)
        view: Any = self.machine.view()
        return [(place.mm, place.address, place.pfn) for place in places(view, folio)]


@pytest.mark.parametrize("prefix", ["ksm_", ""])
def test_places_of_a_page_of_ksm(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    """Each address that ksmd has merged, in every process that has a mapping there, once; the low bits of the address
    are ksmd's flags."""
    made = Merged(monkeypatch, prefix)
    parent, own = made.process(PFN)
    child, copied = made.process(PFN + 9)
    other, far = made.process(PFN, AT + 0x10_0000)
    made.item(AT | 0x200 | 7, own, copied)
    made.item(AT + 0x10_0000 | 0x200, far)
    made.item(AT | 0x200, own)
    made.item(AT + 0x8000, own)  # which has been cut off since
    assert made.places() == [(parent, AT, PFN), (child, AT, PFN + 9), (other, AT + 0x10_0000, PFN)]


def test_no_record_is_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every process has unmapped it."""
    assert Merged(monkeypatch, "ksm_").places() == []


def test_a_chain_that_is_a_circle_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one without an end."""
    made = Merged(monkeypatch, "ksm_")
    first = made.item(AT, made.process(PFN)[1])
    made.heap.word(made.item(AT, made.process(PFN)[1]), first)
    with pytest.raises(Endless, match="circle"):
        made.places()
    made.heap.word(made.last, 0)
    assert len(made.places()) == 2
    monkeypatch.setattr(lists, "MOST", 0)
    with pytest.raises(Endless, match="circle"):
        made.places()
