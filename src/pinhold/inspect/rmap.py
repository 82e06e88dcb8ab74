"""Where a folio's pages are mapped, or were: by its anon_vma or its file, as the kernel finds it (rmap_walk())."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drgn import Object

from pinhold.inspect.folio import Folio
from pinhold.inspect.lists import chained_in, nodes_of
from pinhold.inspect.tables import PAGE_SIZE
from pinhold.inspect.vma import Vma, vma

if TYPE_CHECKING:
    from pinhold.inspect.view import View

HUGE_INDEX = "linear_hugepage_index"
"""A function of kernels in which the index of a hugetlb folio counts in its own size (up to 6.6)."""


@dataclass(frozen=True, slots=True)
class Place:
    """An address that a page belongs to.  pfn: of what is mapped there now; None: nothing is.

    mm: address of the struct mm_struct.  Where `pfn` is another than the page's, the process has another page there.
    """

    mm: int
    address: int
    vma: Vma
    pfn: int | None


def places(view: View, folio: Folio, page: int = 0) -> Iterator[Place]:
    """Of a page of a folio, counted from its head: every place where it is, was, or could come to be mapped.

    Nothing of pages that are neither anonymous nor a file's.  Raises Endless, drgn.FaultError.
    """
    if folio.kind == "ksm":
        yield from _merged(view, folio)
        return
    index = index_of(view, folio) + page
    for area in _areas(view, folio):
        address = area.at(index, folio.anon)
        if address is not None:
            yield _place(view, area, address)


def index_of(view: View, folio: Folio) -> int:
    """Of its head, in pages of 4 KiB."""
    if folio.kind == "hugetlb" and view.symbols.address(HUGE_INDEX) is not None:
        return folio.index << folio.order
    return folio.index


def _place(view: View, area: Vma, address: int) -> Place:
    return Place(area.mm, address, area, view.pfn_mapped(view.pointer("struct mm_struct *", area.mm), address))


def _merged(view: View, folio: Folio) -> Iterator[Place]:
    """Of a page of KSM: the addresses of which ksmd made it, and the same in children since (rmap_walk_ksm())."""
    prefix = "struct ksm_" if view.has("struct ksm_rmap_item", "anon_vma") else "struct "  # 5.10 has no prefix
    seen: set[tuple[int, int]] = set()
    node = view.pointer(f"{prefix}stable_node *", folio.mapping)
    for item in chained_in(node.hlist, f"{prefix}rmap_item", "hlist"):
        address = int(item.address.value_()) & -PAGE_SIZE  # its low bits are flags
        for area in _of_anon_vma(view, item.anon_vma.read_()):
            if area.start <= address < area.end and (area.mm, address) not in seen:
                seen.add((area.mm, address))
                yield _place(view, area, address)


def _of_anon_vma(view: View, anon_vma: Object) -> Iterator[Vma]:
    for chain in nodes_of(_root(anon_vma.rb_root), "struct anon_vma_chain", "rb"):
        yield vma(view, chain.vma.read_())


def _areas(view: View, folio: Folio) -> Iterator[Vma]:
    if not folio.mapping:
        return
    if folio.anon:
        yield from _of_anon_vma(view, view.pointer("struct anon_vma *", folio.mapping))
    elif folio.kind in ("file", "hugetlb"):
        mapping = view.pointer("struct address_space *", folio.mapping)
        for area in nodes_of(_root(mapping.i_mmap), "struct vm_area_struct", "shared.rb"):
            yield vma(view, area)


def _root(cached: Object) -> Object:
    """The first struct rb_node * of a struct rb_root_cached."""
    return cached.rb_root.rb_node
