"""Probes of the rules of THPs."""

from __future__ import annotations

from typing import Any

from pinhold.mm import flags as k
from pinhold.mm import rules
from pinhold.mm.folio import folio_get
from pinhold.mm.huge_memory import split_huge_page, split_huge_pmd
from pinhold.mm.step import step
from pinhold.mm.task import FN_ACCESS, call
from play import Play, Row
from rule_probes.registry import probe
from rule_probes.stepped import machine


@probe({"no": (True, True), "yes": (False, False)})
def thp_split_locks(chosen: Row) -> Any:
    """Parent and child share a THP, and reuse goes by mappings: the child splits its mapping as soon as the parent's
    write has looked.  Is the parent's entry writable then?"""
    mapcount = {"huge_wp_reuse": rules.BY_NAME["huge_wp_reuse"].names.index("mapcount")}
    played, m = machine({**chosen, **mapcount}, "map P x thp\nwrite P x 0x11\nfork P C\n")
    mm, address = played.address()
    call(m, 1, FN_ACCESS, mm, address, address + 1, k.FAULT_FLAG_WRITE, 0x12)
    step(m, 1)
    step(m, 1)
    child, address = played.address(process="C")
    assert split_huge_pmd(m, child, address, 0) == 0
    step(m, 1)
    return bool(played.entry() & k.PTE_PSE), played.writable()


@probe({"all": (False, False), "one_entry": (False, True)})
def thp_split_shared(chosen: Row) -> Any:
    """Parent and child share a THP, and it is to be split: is the parent's entry still a huge one after the first
    attempt, and is the child's?"""
    played, m = machine(chosen, "map P x thp\nwrite P x 0x11\nfork P C\n")
    page = played.frame()
    folio_get(m, page)
    split_huge_page(m, page)
    return bool(played.entry() & k.PTE_PSE), bool(played.entry(process="C") & k.PTE_PSE)


@probe({"stay": ("anon", "anon"), "zero_page": ("anon", "zero")})
def thp_split_zero_pages(chosen: Row) -> Any:
    """Of a THP that MADV_FREE splits, what is the page that was written, and what one that was not?"""
    played = Play(chosen, "map P x thp\nwrite P x[0] 0x11\nmadvise P x[8:16] free\n")
    return played.view(page=0).kind, played.view(page=1).kind


@probe({"folio": (False, False), "entries": (True, True)})
def thp_split_dirty(chosen: Row) -> Any:
    """A THP that was written before soft-dirty was cleared is split: is an entry of it dirty, and soft-dirty?"""
    text = "map P x thp\nwrite P x 0x11\nclear_softdirty P\nmprotect P x[1] read\n"
    entry = Play(chosen, text, soft_dirty=1).entry()
    return entry & k.PTE_DIRTY != 0, entry & k.PTE_SOFT_DIRTY != 0


@probe({"folio": (False, False), "soft_dirty": (True, True), "exact": (True, False)})
def thp_remap_dirty(chosen: Row) -> Any:
    """A THP that was written before soft-dirty was cleared is itself split: is an entry of it dirty, and soft-dirty?"""
    text = "map P x thp\nwrite P x 0x11\nclear_softdirty P\nmadvise P x[8:16] free\n"
    entry = Play(chosen, text, soft_dirty=1).entry()
    return entry & k.PTE_DIRTY != 0, entry & k.PTE_SOFT_DIRTY != 0


@probe({"kept": 0x22, "lost": 0})
def pmd_modify_dirty(chosen: Row) -> Any:
    """A THP is written after MADV_FREE, made read-only, and paged out: what does it read as?"""
    text = "map P x thp\nwrite P x 0x11\nmadvise P x free\nwrite P x 0x22\nmprotect P x read\n"
    return Play(chosen, f"{text}madvise P x pageout\nread P x\n").view().byte
