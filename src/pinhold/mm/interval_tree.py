"""The order in which a file's mappings are found: the tree i_mmap of its address_space, mm/interval_tree.c.

By the page of the file at which a mapping begins, and of those that begin at the same one the older first.  A mapping
that is split, or moved, becomes the youngest; a child's are in its parent's order.  Kept for hugetlb alone, where the
order shows (unmap_ref_private()), as a number from 0 on among the process's mappings of the file.
"""

from __future__ import annotations

from pinhold.mm.kernel import Part, kernel
from pinhold.mm.state import State


@kernel(needs=Part.HUGETLB)
def vma_interval_tree_insert(m: State, vma: int) -> None:
    """A mapping comes to the tree, as the youngest of its process.  Linux: the same name (vma_link(),
    __vma_link_file()); mapping_rmap_tree_insert() from 7.3 on."""
    youngest = -1
    first = vma // m.vmas_per_mm * m.vmas_per_mm
    for other in range(first, first + m.vmas_per_mm):
        if other != vma and m.vma_end[other] and m.vma_file[other] == m.vma_file[vma]:
            youngest = max(youngest, m.vma_i_mmap[other])
    m.vma_i_mmap[vma] = youngest + 1


@kernel(needs=Part.HUGETLB)
def vma_interval_tree_remove(m: State, vma: int) -> None:
    """It goes: the younger ones move up, so that numbers stay small and tell of nothing but the order."""
    first = vma // m.vmas_per_mm * m.vmas_per_mm
    for other in range(first, first + m.vmas_per_mm):
        if m.vma_end[other] and m.vma_file[other] == m.vma_file[vma] and m.vma_i_mmap[other] > m.vma_i_mmap[vma]:
            m.vma_i_mmap[other] -= 1
    m.vma_i_mmap[vma] = 0


@kernel
def vma_interval_tree_before(m: State, vma: int, other: int) -> bool:
    """Whether, of two mappings of a file in one process, this one is found first."""
    if m.vma_pgoff[vma] != m.vma_pgoff[other]:
        return m.vma_pgoff[vma] < m.vma_pgoff[other]
    return m.vma_i_mmap[vma] < m.vma_i_mmap[other]
