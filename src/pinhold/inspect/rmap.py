"""Where a folio's pages are mapped, or were: by its anon_vma or its file, as the kernel finds it (rmap_walk())."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drgn import Object

from pinhold.inspect.folio import Folio
from pinhold.inspect.lists import nodes_of
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

    Nothing of KSM pages, which have places of their own, and of pages that are neither anonymous nor a file's.
    Raises Endless, drgn.FaultError.
    """
    index = index_of(view, folio) + page
    for area in _areas(view, folio):
        address = area.at(index, folio.anon)
        if address is not None:
            mm = view.pointer("struct mm_struct *", area.mm)
            yield Place(area.mm, address, area, view.pfn_mapped(mm, address))


def index_of(view: View, folio: Folio) -> int:
    """Of its head, in pages of 4 KiB."""
    if folio.kind == "hugetlb" and view.symbols.address(HUGE_INDEX) is not None:
        return folio.index << folio.order
    return folio.index


def _areas(view: View, folio: Folio) -> Iterator[Vma]:
    if folio.kind == "ksm" or not folio.mapping:
        return
    if folio.anon:
        anon_vma = view.pointer("struct anon_vma *", folio.mapping)
        for chain in nodes_of(_root(anon_vma.rb_root), "struct anon_vma_chain", "rb"):
            yield vma(view, chain.vma.read_())
    elif folio.kind in ("file", "hugetlb"):
        mapping = view.pointer("struct address_space *", folio.mapping)
        for area in nodes_of(_root(mapping.i_mmap), "struct vm_area_struct", "shared.rb"):
            yield vma(view, area)


def _root(cached: Object) -> Object:
    """The first struct rb_node * of a struct rb_root_cached."""
    return cached.rb_root.rb_node
