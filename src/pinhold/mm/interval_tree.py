"""The order in which rmap finds mappings: the trees of mm/interval_tree.c, i_mmap of a file and rb_root of an anon_vma.

By the page at which a mapping begins, and of those that begin at the same one the older first.  A mapping that is
split, or moved, becomes the youngest, and an anonymous one that is merged, too; a child's are in its parent's order.
Kept where the order shows alone: for hugetlb files (unmap_ref_private()), as a number from 0 on among the process's
mappings of the file; for anonymous memory where split_huge_page() stops at the first huge entry, among all processes.
"""

from __future__ import annotations

from pinhold.mm.kernel import Part, kernel
from pinhold.mm.rules.thp import SPLIT_ONE_ENTRY
from pinhold.mm.state import State
from pinhold.mm.vma import vma_is_anonymous


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


@kernel
def anon_vma_interval_tree_insert(m: State, vma: int) -> None:
    """An anonymous mapping comes to the tree, or comes back, as the youngest.  Of equal numbers that of the lower slot
    is the older, so that fork() alone leaves all at 0.  A search leaves it out: there slots alone decide."""
    if m.rule_thp_split_shared != SPLIT_ONE_ENTRY or m.fault_around == 1 or not vma_is_anonymous(m, vma):
        return
    number = 0
    for other in range(len(m.vma_end)):
        if other != vma and m.vma_end[other] and vma_is_anonymous(m, other) and m.vma_pgoff[other] == m.vma_pgoff[vma]:
            number = max(number, m.vma_i_mmap[other] + (other > vma))
    m.vma_i_mmap[vma] = number


@kernel
def anon_vma_interval_tree_before(m: State, vma: int, other: int) -> bool:
    """Whether, of two mappings of an anonymous folio, this one is found first."""
    if m.vma_pgoff[vma] != m.vma_pgoff[other]:
        return m.vma_pgoff[vma] < m.vma_pgoff[other]
    if m.vma_i_mmap[vma] != m.vma_i_mmap[other]:
        return m.vma_i_mmap[vma] < m.vma_i_mmap[other]
    return vma < other
