"""ksmd: which pages it tries to merge, in which order, and what it remembers of them: the scan of mm/ksm.c.

A full scan goes over the processes in the order in which they entered KSM, and in each over its mergeable addresses,
upwards.  A page is merged into the KSM page of its content, if there is one that takes another (the stable tree); or it
becomes that KSM page itself, for the first page of that content that this scan has met (the unstable tree); or it is
that first page, and waits.  So of pages that become one the second in scan order is the one whose frame stays.  A page
whose content is not what it was in the scan before is passed over; before 6.11 the stable tree is searched for it even
so.

The pages that wait are in a tree, by content, and a search looks at those that it comes by as they are now.  One that
is gone, as its THP was split and the zero page is there, or that is passed over because it is inaccessible, cannot be
compared: the search ends there, and a page whose place is below it is not merged, and does not wait, in this scan.

By the addresses that it remembers of a KSM page, and by nothing else, rmap finds who maps it: at such an address, in
that process or in one that was forked from it.  Others that map it are not found: a parent or a sibling, a child that
has moved it, and a child where the address was forgotten, as it is in the scan after its process has exited.  Where
ksmd is not stopped behind each step, that scan comes at any time.

Each attempt is `ksm_merge`, and runs to its end: this is for whole steps, interpreted; a search begins single attempts.
Not specified: what ksmd does on several NUMA nodes, smart_scan (which only passes over what it could not merge before),
and max_page_sharing other than 256.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pinhold.mm.flags import FOLIO_KSM_LOST, NO_PAGE, NO_VMA, VM_MERGEABLE
from pinhold.mm.folio import folio_get, folio_put, folio_stable_node, lru_add_drain, page_folio
from pinhold.mm.huge_memory import split_huge_page
from pinhold.mm.ksm import (
    KSM_INTO,
    find_mergeable_vma,
    ksm_forgets_checksum,
    ksm_passes_over,
    ksm_searches_first,
    mapped_anon,
    mapped_small_anon,
)
from pinhold.mm.machine import Machine
from pinhold.mm.pgtable import level_pages, pt_leaf, pte_present
from pinhold.mm.rbtree import LEFT, RIGHT, Node, Tree
from pinhold.mm.step import run
from pinhold.mm.task import FN_KSM_MERGE, call

MAX_PAGE_SHARING = 256
"""So many mergeable addresses a KSM page has at most; then another one of the same content is made.  Linux:
ksm_max_page_sharing."""

SCANS = 8
"""More full scans than it takes until nothing changes any more: one takes checksums, one merges, one more what the
split of a large folio kept apart.  What cannot be merged is tried, and may be copied, in every one."""


@dataclass(slots=True, eq=False)
class StableNode:
    """A KSM page, while it is one.  sharing: the mergeable addresses that are known to map it."""

    page: int
    sharing: int = 0

    @property
    def candidate(self) -> bool:
        """Whether it takes one more.  Linux: is_page_sharing_candidate()."""
        return 0 < self.sharing < MAX_PAGE_SHARING


@dataclass(slots=True)
class RmapItem:
    """What ksmd remembers of an address.  checksum: the content that it had when it was last looked at; None: never."""

    checksum: int | None = None
    node: StableNode | None = None


@dataclass(slots=True, eq=False)
class Process:
    """items: the rmap items of its addresses.  parent: which it was forked from, also where that is gone."""

    parent: Process | None = None
    items: dict[int, RmapItem] = field(default_factory=dict)


Place = tuple[int, int]
"""mm and address."""


@dataclass(slots=True)
class Ksmd:
    """slots: the processes that have entered KSM, in the order in which they did.  stable: the KSM pages of each
    content, those first that are tried first.  copies: what the last run has mapped at each address where it made a
    KSM page in vain: in the LRU batch of the CPU that ksmd ran on, unless it scanned once more."""

    m: Machine
    task: int
    slots: dict[int, Process] = field(default_factory=dict)
    stable: dict[int, list[StableNode]] = field(default_factory=dict)
    copies: dict[Place, int] = field(default_factory=dict)
    _processes: dict[int, Process] = field(default_factory=dict)
    _gone: list[Process] = field(default_factory=list)
    _unstable: Tree[Place] = field(default_factory=Tree)
    _busy: bool = False

    # Who is scanned

    def advised(self, mm: int) -> None:
        """MADV_MERGEABLE was given in the process.  Linux: ksm_madvise(), __ksm_enter()."""
        if any(True for _ in self._mergeable(mm)):
            self.slots.setdefault(mm, self._process(mm))

    def forked(self, mm: int, child: int) -> None:
        """Linux: ksm_fork()."""
        self._processes[child] = Process(self._process(mm))
        if mm in self.slots:
            self.slots[child] = self._process(child)

    def exited(self, mm: int) -> None:
        """What is known of its addresses is forgotten in the next scan.  Linux: ksm_exit()."""
        self.slots.pop(mm, None)
        self._gone.append(self._processes.pop(mm, Process()))

    def _process(self, mm: int) -> Process:
        return self._processes.setdefault(mm, Process())

    def _mergeable(self, mm: int) -> Iterator[tuple[int, int, int]]:
        """(start, end, VMA) of the mergeable VMAs of a process, upwards."""
        m = self.m
        own = range(mm * m.vmas_per_mm, (mm + 1) * m.vmas_per_mm)
        found = ((m.vma_start[vma], m.vma_end[vma], vma) for vma in own if m.vma_end[vma])
        return iter(sorted(each for each in found if m.vma_flags[each[2]] & VM_MERGEABLE))

    # The scan

    def run(self) -> None:
        """Scan until nothing changes, or what changes will change for ever."""
        self.copies.clear()
        for _ in range(SCANS):
            self._busy = False
            self.scan()
            if not self._busy:
                return

    def scan(self) -> None:
        """One full scan.  Linux: ksm_do_scan(), scan_get_next_rmap_item()."""
        lru_add_drain(self.m)
        self._unstable = Tree()
        for process in self._gone:
            self._pass(process.items, sorted(process.items, reverse=True), None)
        self._gone.clear()
        for mm in list(self.slots):
            self._scan_mm(mm)
            if next(self._mergeable(mm), None) is None:
                del self.slots[mm]

    def _scan_mm(self, mm: int) -> None:
        items = self.slots[mm].items
        behind = sorted(items, reverse=True)
        for addr, page in self._pages(mm):
            self._pass(items, behind, addr)
            self._cmp_and_merge_page(mm, addr, page, items.setdefault(addr, RmapItem()))
        self._pass(items, behind, None)

    def _pass(self, items: dict[int, RmapItem], behind: list[int], addr: int | None) -> None:
        """Forget the addresses below this one that have no page any more.  Linux: get_next_rmap_item(),
        remove_trailing_rmap_items()."""
        while behind and (addr is None or behind[-1] <= addr):
            passed = behind.pop()
            if passed != addr:
                self._forget(items.pop(passed))

    def _pages(self, mm: int) -> Iterator[Place]:
        """Address and page of each anonymous page that a mergeable VMA maps, as it is when the scan comes to it."""
        m = self.m
        for start, end, vma in self._mergeable(mm):
            addr = start if m.vma_anon[vma] else end
            while addr < end:
                page = mapped_anon(m, mm, addr)
                if page != NO_PAGE:
                    yield addr, page
                slot, level = pt_leaf(m, mm, addr)
                here = page != NO_PAGE or level == 0 or pte_present(m.pte[slot])
                addr = addr + 1 if here else (addr // level_pages(m, level) + 1) * level_pages(m, level)

    def _cmp_and_merge_page(self, mm: int, addr: int, page: int, item: RmapItem) -> None:
        """Linux: cmp_and_merge_page()."""
        m = self.m
        content = m.page_content[page]
        if folio_stable_node(m, page):
            self._shared_by_fork(page, item)
            return
        first = ksm_searches_first(m)
        node = self._stable_tree_search(content) if first else None
        self._forget(item)
        if node is None and item.checksum != content:
            item.checksum, self._busy = content, True
            return
        if not first:
            node = self._stable_tree_search(content)
        if node is not None:
            if self._merge(mm, addr, node.page, 0, KSM_INTO):
                self._append(item, node)
            return
        other = self._unstable_tree_search_insert((mm, addr), page)
        if other is None:
            return
        tree_mm, tree_addr = other.item
        tree_page = self._mergeable_page(tree_mm, tree_addr)
        if self._merge(mm, addr, tree_addr, tree_mm, 0):
            node = self._stable_tree_insert(content, page)
            self._append(self.slots[tree_mm].items[tree_addr], node)
            self._append(item, node)
            self._unstable.erase(other)
            return
        copy = mapped_anon(m, mm, addr)
        if copy != page:
            self._lose_checksum(item)  # break_cow()
            self.copies[mm, addr] = copy
        if page_folio(m, page) == page_folio(m, tree_page):
            folio_get(m, page_folio(m, page))
            split_huge_page(m, page)
            folio_put(m, page_folio(m, page))

    def _shared_by_fork(self, page: int, item: RmapItem) -> None:
        """A page of the stable tree: this address is one more of those that share it, if it is not yet."""
        node = self._node_of(page)
        if item.node is not node:
            self._forget(item)
            self._append(item, node)

    def _unstable_tree_search_insert(self, place: Place, page: int) -> Node[Place] | None:
        """Where a page of the same content waits; or this one waits from now on, unless the search ends early.  Linux:
        unstable_tree_search_insert()."""
        content = self.m.page_content
        parent, side, node = None, LEFT, self._unstable.root
        while node is not None:
            tree_page = self._mergeable_page(*node.item)
            if tree_page in (NO_PAGE, page):
                return None
            if content[tree_page] == content[page]:
                return node
            parent, side = node, LEFT if content[page] < content[tree_page] else RIGHT
            node = node.child[side]
        self._unstable.insert(place, parent, side)
        return None

    def _mergeable_page(self, mm: int, addr: int) -> int:
        """Linux: get_mergeable_page()."""
        if find_mergeable_vma(self.m, mm, addr) == NO_VMA or ksm_passes_over(self.m, mm, addr):
            return NO_PAGE
        return mapped_anon(self.m, mm, addr)

    def _merge(self, mm: int, addr: int, other: int, other_mm: int, flags: int) -> bool:
        """Whether the attempt succeeds; whatever comes of it, the state may be another one afterwards."""
        self._busy = True
        call(self.m, self.task, FN_KSM_MERGE, mm, addr, other, flags, other_mm)
        return run(self.m, self.task) == 0

    # Who maps a KSM page

    def rmap_walk(self, mm: int, start: int, end: int) -> None:
        """Mark the KSM pages mapped in [start, end) that rmap does not find there, before reclaim looks for them.

        Linux: rmap_walk_ksm().  Not specified: an anon_vma that a grandchild has taken over (anon_vma_clone()).
        """
        m = self.m
        for addr in range(start, end) if self.stable else ():
            page = mapped_small_anon(m, mm, addr)
            if page != NO_PAGE and folio_stable_node(m, page):
                m.folio_flags[page] &= ~FOLIO_KSM_LOST
                node = self._known(page)
                if node is not None and not self._leads_to(node, mm, addr):
                    m.folio_flags[page] |= FOLIO_KSM_LOST

    def _leads_to(self, node: StableNode, mm: int, addr: int) -> bool:
        process: Process | None = self._process(mm)
        while process is not None:
            if addr in process.items and process.items[addr].node is node:
                return True
            process = process.parent
        return False

    # The trees

    def _known(self, page: int) -> StableNode | None:
        """What the stable tree has of a page; None of one that no scan has made: single attempts have no trees."""
        return next((node for node in self._nodes(self.m.page_content[page]) if node.page == page), None)

    def _node_of(self, page: int) -> StableNode:
        """Of a page of the stable tree.  Linux: folio_stable_node()."""
        return self._known(page) or self._stable_tree_insert(self.m.page_content[page], page)

    def _nodes(self, content: int) -> list[StableNode]:
        """The KSM pages of this content, without those that have been freed.  Linux: ksm_get_folio()."""
        m = self.m
        nodes = self.stable.setdefault(content, [])
        nodes[:] = [each for each in nodes if folio_stable_node(m, each.page) and m.page_content[each.page] == content]
        return nodes

    def _stable_tree_search(self, content: int) -> StableNode | None:
        """The first that takes one more, which goes to the front while it takes another one.  Linux:
        stable_tree_search(), stable_node_dup()."""
        nodes = self._nodes(content)
        found = next((node for node in nodes if node.candidate), None)
        if found is not None and found.sharing + 1 < MAX_PAGE_SHARING:
            nodes.remove(found)
            nodes.insert(0, found)
        return found

    def _stable_tree_insert(self, content: int, page: int) -> StableNode:
        """A fresh KSM page.  Linux: stable_tree_insert(), stable_node_chain_add_dup()."""
        node = StableNode(page)
        self.stable[content] = [node, *(each for each in self._nodes(content) if each.page != page)]
        return node

    def _append(self, item: RmapItem, node: StableNode) -> None:
        """Linux: stable_tree_append()."""
        item.node = node
        node.sharing += 1

    def _forget(self, item: RmapItem) -> None:
        """Linux: remove_rmap_item_from_tree()."""
        if item.node is not None:
            item.node.sharing -= 1
            item.node = None
            self._lose_checksum(item)

    def _lose_checksum(self, item: RmapItem) -> None:
        if ksm_forgets_checksum(self.m):
            item.checksum = None
