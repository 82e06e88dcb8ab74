"""Page tables: a radix tree of `levels` levels with 2**bits entries each, in a pool of tables of its own.

An address is a page number.  Level 0 holds PTEs, level 1 PMDs, level 2 PUDs; a leaf above level 0 has PTE_PSE.  A
`slot` is the index of an entry in `State.pte`.
"""

from __future__ import annotations

from pinhold.mm.flags import (
    PFN_SHIFT,
    PTE_ACCESSED,
    PTE_DIRTY,
    PTE_FLAGS,
    PTE_PRESENT,
    PTE_PROTNONE,
    PTE_PSE,
    PTE_RW,
    PTE_SOFT_DIRTY,
    PTE_SPECIAL,
    PTE_USER,
)
from pinhold.mm.kernel import Part, kernel
from pinhold.mm.limits import LIMIT_TABLES, too_small
from pinhold.mm.rules.thp import PMD_DIRTY_IS_LOST
from pinhold.mm.sites.site import decided
from pinhold.mm.sites.thp import PMD_DIRTY_LOST
from pinhold.mm.state import State

PTE_TABLE_MASK = PTE_PRESENT | PTE_PSE
"""Of an entry above level 0: only PRESENT of these two names a table."""


@kernel
def pte_pfn(entry: int) -> int:
    """The frame, table or swap slot that an entry names."""
    return entry >> PFN_SHIFT


@kernel
def pte_present(entry: int) -> bool:
    """Whether the entry maps a page, accessible or (PROT_NONE) not."""
    return entry & (PTE_PRESENT | PTE_PROTNONE) != 0


@kernel(without={Part.SWAP: False})
def pte_swapped(entry: int) -> bool:
    """Whether the entry names a swap slot."""
    return entry != 0 and entry & (PTE_PRESENT | PTE_PROTNONE) == 0


@kernel
def mk_pte(pfn: int, flags: int) -> int:
    return (pfn << PFN_SHIFT) | flags


@kernel
def pt_is_table(entry: int) -> bool:
    """Whether an entry above level 0 names a table rather than a leaf."""
    return entry & PTE_PRESENT != 0 and entry & PTE_PSE == 0


@kernel
def level_pages(m: State, level: int) -> int:
    """Base pages that one entry of `level` covers."""
    return 1 << (m.bits * level)


@kernel
def pt_walk(m: State, mm: int, addr: int, level: int) -> int:
    """The slot of the entry for `addr` at `level`; -1 where a table is missing or a leaf lies above."""
    pte = m.pte
    bits = m.bits
    mask = (1 << bits) - 1
    shift = bits * (m.levels - 1)
    table = m.mm_pgd[mm]
    while shift > bits * level:
        entry = pte[(table << bits) | ((addr >> shift) & mask)]
        if entry & PTE_TABLE_MASK != PTE_PRESENT:
            return -1
        table = entry >> PFN_SHIFT
        shift -= bits
    return (table << bits) | ((addr >> shift) & mask)


@kernel
def pt_leaf(m: State, mm: int, addr: int) -> tuple[int, int]:
    """Slot and level of the entry that decides about `addr`: a leaf, an empty entry, or one of level 0."""
    pte = m.pte
    bits = m.bits
    mask = (1 << bits) - 1
    level = m.levels - 1
    shift = bits * level
    table = m.mm_pgd[mm]
    while level > 0:
        slot = (table << bits) | ((addr >> shift) & mask)
        entry = pte[slot]
        if entry & PTE_TABLE_MASK != PTE_PRESENT:
            return slot, level
        table = entry >> PFN_SHIFT
        shift -= bits
        level -= 1
    return (table << bits) | (addr & mask), 0


@kernel
def pt_leaf_level(m: State, mm: int, addr: int) -> int:
    """The level of that entry."""
    return pt_leaf(m, mm, addr)[1]


@kernel
def table_alloc(m: State) -> int:
    """An empty table from the pool, or -1."""
    for table in range(len(m.table_used)):
        if not m.table_used[table]:
            m.table_used[table] = 1
            return table
    too_small(m, LIMIT_TABLES)
    return -1


@kernel
def table_free(m: State, table: int) -> None:
    """Give back a table; its entries must be empty."""
    m.table_used[table] = 0


@kernel
def pt_alloc(m: State, mm: int, addr: int, level: int) -> int:
    """Like pt_walk, but fills in missing tables; -1 where the pool is empty or a leaf lies above."""
    slot = pt_walk(m, mm, addr, level)
    if slot >= 0:
        return slot
    table = m.mm_pgd[mm]
    mask = (1 << m.bits) - 1
    for upper in range(m.levels - 1, level, -1):
        slot = (table << m.bits) | ((addr >> (m.bits * upper)) & mask)
        if not m.pte[slot]:
            new = table_alloc(m)
            if new < 0:
                return -1
            m.pte[slot] = mk_pte(new, PTE_PRESENT | PTE_RW | PTE_USER | PTE_ACCESSED | PTE_DIRTY)
        if not pt_is_table(m.pte[slot]):
            return -1
        table = m.pte[slot] >> PFN_SHIFT
    return (table << m.bits) | ((addr >> (m.bits * level)) & mask)


@kernel
def table_empty(m: State, table: int) -> bool:
    first = table << m.bits
    for slot in range(first, first + (1 << m.bits)):
        if m.pte[slot]:
            return False
    return True


@kernel
def free_pgtables(m: State, mm: int, start: int, end: int) -> None:
    """Free the tables that served [start, end), which is unmapped, and that no VMA before or after it can use.

    Linux: free_pgtables() / free_pgd_range() (mm/memory.c).  GUP-fast walks with interrupts off, and freeing waits
    for it: the caller has made sure that no task of `mm` is inside (`task.gup_fast_running`).
    """
    floor = 0
    ceiling = level_pages(m, m.levels)
    for vma in range(mm * m.vmas_per_mm, (mm + 1) * m.vmas_per_mm):
        if m.vma_end[vma]:
            if m.vma_end[vma] <= start:
                floor = max(floor, m.vma_end[vma])
            else:
                ceiling = min(ceiling, m.vma_start[vma])
    for level in range(1, m.levels):
        span = level_pages(m, level)
        addr = max(-(-floor // span) * span, start // span * span)
        while addr < end and addr + span <= ceiling:
            decides = pt_leaf_level(m, mm, addr)
            if decides >= level:
                addr = (addr // level_pages(m, decides) + 1) * level_pages(m, decides)
                continue
            slot = pt_walk(m, mm, addr, level)
            table = m.pte[slot] >> PFN_SHIFT
            if table_empty(m, table):
                m.pte[slot] = 0
                table_free(m, table)
            addr += span


@kernel
def free_all_tables(m: State, mm: int) -> None:
    """Free every table of a process whose leaves are all gone, the top one too: whatever entry is left names a table.

    table_used is 2 for a table that is found and not yet looked into.
    """
    m.table_used[m.mm_pgd[mm]] = 2
    m.mm_pgd[mm] = 0
    more = True
    while more:
        more = False
        for table in range(len(m.table_used)):
            if m.table_used[table] == 2:
                more = True
                for slot in range(table << m.bits, (table + 1) << m.bits):
                    if m.pte[slot]:
                        m.table_used[m.pte[slot] >> PFN_SHIFT] = 2
                        m.pte[slot] = 0
                table_free(m, table)


@kernel
def pte_accessible(entry: int, write: int) -> bool:
    """Whether the processor lets the access through."""
    if not entry & PTE_PRESENT:
        return False
    return not write or entry & PTE_RW != 0


@kernel
def pte_special(entry: int) -> bool:
    """Whether the mapping has no reference on its page (the zero page)."""
    return entry & PTE_SPECIAL != 0


@kernel
def pte_modify(entry: int, protection: int) -> int:
    """The entry with a VMA's protection bits, all else kept."""
    kept = entry & ~(PTE_PRESENT | PTE_RW | PTE_USER | PTE_PROTNONE)
    return kept | protection


@kernel
def leaf_modify(m: State, entry: int, level: int, protection: int) -> int:
    """The same of a PTE or of the huge entry of a THP; x86 forgot of the latter, if writable, that it was dirty.

    From bb3aadf7d446 (6.6), which keeps the dirty bit of read-only entries apart for the sake of shadow stacks, to
    f7491d7c81db (7.3).  Linux: pte_modify(), pmd_modify().
    """
    modified = pte_modify(entry, protection)
    if level > 0 and m.rule_pmd_modify_dirty == PMD_DIRTY_IS_LOST and entry & PTE_RW and entry & PTE_DIRTY:
        decided(m, PMD_DIRTY_LOST)
        modified &= ~PTE_DIRTY
    return modified


@kernel
def entry_flags(entry: int) -> int:
    return entry & PTE_FLAGS


@kernel
def pte_mkdirty(m: State, entry: int) -> int:
    """Dirty, and soft-dirty where the kernel tracks it."""
    return entry | PTE_DIRTY | (PTE_SOFT_DIRTY if m.config_soft_dirty else 0)
