"""Symmetry: states that differ only in which frame, table, swap slot or pin of a pool is which are one state.

New numbers are given in one traversal, in an order that no old number decides: from the processes in their order
through their tables, the page cache, the tasks, the pins.  Then every array is put into the new order, and every name
of a frame, table or slot is replaced.  Frames are renamed within their size: base frames, THPs (a page's place within
stays), the pages of the hugetlb pool; pins within their pool.  Content is renamed last, where a scope says that bytes
are tokens: equal or different, and zero.

Most steps change no order: the traversal would come by every frame and table in the order of the numbers that they
have.  Of machines without THPs, hugetlb pages, swap and pools that is seen without giving any.
"""

from __future__ import annotations

from pinhold.explore.record import SearchState
from pinhold.explore.symmetry.order import pin_order
from pinhold.explore.symmetry.renaming import rename, rename_pins, rename_tokens
from pinhold.mm.flags import ZERO_PFN
from pinhold.mm.folio import folio_page, page_folio, page_index
from pinhold.mm.kernel import kernel
from pinhold.mm.operations import arg_is_content
from pinhold.mm.pgtable import pt_is_table, pte_pfn, pte_present
from pinhold.mm.rules.swap import SWAP_SPLIT
from pinhold.mm.task import FN_GUP_FAST

UNNAMED = -1

NEXT_BASE, NEXT_HUGE, NEXT_HUGETLB, NEXT_TABLE, NEXT_SWAP = range(5)
"""Places in `next_number`."""


@kernel
def canonical(m: SearchState) -> None:
    """Give the state the numbers that every state symmetric to it gets."""
    if not in_order(m):
        give_numbers(m)
        if not already_canonical(m):
            rename(m)
    if m.pools and not pins_in_order(m):
        rename_pins(m)
    sort_batch(m)
    if m.content_tokens:
        number_tokens(m)
        rename_tokens(m)


@kernel
def in_order(m: SearchState) -> bool:
    """Whether the traversal surely comes by frames and tables in their order.

    No branch depends on a name, as a wrong guess of the processor costs more than the look at all of them; what is not
    in use has no names (mm/unused.py).
    """
    if m.levels > 1 or m.nr_hugetlb or len(m.new_swap) > 1 or m.pools or m.lru_batch[0]:
        return False
    wrong = 0
    table = 0
    for mm in range(m.nr_mms):
        wrong |= (m.mm_pgd[mm] - table) * m.mm_alive[mm]
        table += m.mm_alive[mm]
    ahead = 0
    following = 1
    for slot in range(len(m.pte)):
        page = pte_pfn(m.pte[slot])
        ahead = max(ahead, page - following)
        following = max(following, page + 1)
    for i in range(len(m.cache_page)):
        page = m.cache_page[i]
        ahead = max(ahead, page - following)
        following = max(following, page + 1)
    for act in range(len(m.act_page)):
        page = m.act_page[act]
        ahead = max(ahead, page - following)
        following = max(following, page + 1)
        new = m.act_new[act]
        page = 0 if m.act_function[act] == FN_GUP_FAST else new
        ahead = max(ahead, page - following)
        following = max(following, page + 1)
        page = pte_pfn(m.act_entry[act])
        ahead = max(ahead, page - following)
        following = max(following, page + 1)
    for run in range(len(m.run_page)):
        page = m.run_page[run]
        ahead = max(ahead, page - following)
        following = max(following, page + 1)
    return wrong == 0 and ahead == 0


@kernel
def give_numbers(m: SearchState) -> None:
    """The number that each frame, table, slot and pin gets."""
    forget_numbers(m)
    number_tables(m)
    number_caches(m)
    number_tasks(m)
    number_pins(m)
    number_swap_cache(m)
    number_batch(m)
    number_rest(m)


@kernel
def forget_numbers(m: SearchState) -> None:
    for i in range(len(m.new_page)):
        m.new_page[i] = UNNAMED
    for i in range(len(m.new_table)):
        m.new_table[i] = UNNAMED
    for i in range(len(m.new_swap)):
        m.new_swap[i] = UNNAMED
    m.new_page[ZERO_PFN] = ZERO_PFN
    m.next_number[NEXT_BASE] = 1
    m.next_number[NEXT_HUGE] = m.nr_pages - (m.huge_frames << m.bits)
    m.next_number[NEXT_HUGETLB] = m.nr_pages
    m.next_number[NEXT_TABLE] = 0
    m.next_number[NEXT_SWAP] = 1
    m.new_swap[0] = 0
    if m.levels > 1 and m.rule_swap_large != SWAP_SPLIT:
        for i in range(len(m.new_swap)):
            m.new_swap[i] = i  # a large folio's slots stay in a row


@kernel
def number_page(m: SearchState, page: int) -> None:
    """The next number of its size for the page's frame, if it has none yet; and for the swap slots that it is in."""
    if page < 0 or m.new_page[page_index(m, page)] >= 0:
        return
    number_frame(m, page)
    folio = page_folio(m, page)
    if m.folio_swap[folio]:
        for i in range(1 << m.folio_order[folio]):
            number_swap(m, m.folio_swap[folio] + i)


@kernel
def number_frame(m: SearchState, page: int) -> None:
    """The next number of its size; a THP's frames are numbered together."""
    if page >= m.nr_pages:
        m.new_page[page_index(m, page)] = m.next_number[NEXT_HUGETLB]
        m.next_number[NEXT_HUGETLB] += 1
    elif page < m.nr_pages - (m.huge_frames << m.bits):
        m.new_page[page] = m.next_number[NEXT_BASE]
        m.next_number[NEXT_BASE] += 1
    else:
        first = page & -(1 << m.bits)
        for i in range(1 << m.bits):
            m.new_page[first + i] = m.next_number[NEXT_HUGE] + i
        m.next_number[NEXT_HUGE] += 1 << m.bits


@kernel
def number_swap(m: SearchState, slot: int) -> None:
    """The next number for a swap slot; and for the frame that the swap cache has for it."""
    if m.new_swap[slot] >= 0:
        return
    m.new_swap[slot] = m.next_number[NEXT_SWAP]
    m.next_number[NEXT_SWAP] += 1
    page = m.swap_page[slot]
    if page >= 0 and m.new_page[page] < 0:
        number_frame(m, page)


@kernel
def number_entry(m: SearchState, entry: int) -> None:
    """What an entry that is no table names: a page or a swap slot."""
    if entry == 0:
        return
    if pte_present(entry):
        number_page(m, pte_pfn(entry))
    else:
        number_swap(m, pte_pfn(entry))


@kernel
def number_tables(m: SearchState) -> None:
    """Tables level by level, processes in their order; then what the leaves map, table by table."""
    for mm in range(m.nr_mms):
        if m.mm_alive[mm]:
            number_table(m, m.mm_pgd[mm], m.levels - 1)
    place = 0
    while place < m.next_number[NEXT_TABLE]:
        table = m.table_order[place]
        level = m.table_level[table]
        for slot in range(table << m.bits, (table + 1) << m.bits):
            if level > 0 and pt_is_table(m.pte[slot]):
                number_table(m, pte_pfn(m.pte[slot]), level - 1)
            else:
                number_entry(m, m.pte[slot])
        place += 1


@kernel
def number_table(m: SearchState, table: int, level: int) -> None:
    number = m.next_number[NEXT_TABLE]
    m.new_table[table] = number
    m.table_order[number] = table
    m.table_level[table] = level
    m.next_number[NEXT_TABLE] += 1


@kernel
def number_caches(m: SearchState) -> None:
    for i in range(len(m.cache_page)):
        number_page(m, m.cache_page[i])
    number_page(m, m.huge_zero_page[0])


@kernel
def number_tasks(m: SearchState) -> None:
    """What the tasks hold and what they have only seen: a frame that is free by now, but named, is not like others."""
    for task in range(len(m.task_depth)):
        for act in range(m.task_stack[task], m.task_stack[task] + m.task_depth[task]):
            number_page(m, m.act_page[act])
            if m.act_function[act] != FN_GUP_FAST:
                number_page(m, m.act_new[act])
            number_entry(m, m.act_entry[act])


@kernel
def number_pins(m: SearchState) -> None:
    """Each pool's pins in an order that symmetric states share, and what they hold: which orders those left."""
    for pin in range(len(m.pin_order)):
        m.pin_order[pin] = pin
    for place in range(len(m.pin_order)):
        if m.pools:
            put_first(m, place)
        pin = m.pin_order[place]
        m.new_pin[pin] = place
        for run in range(pin * m.runs_per_pin, pin * m.runs_per_pin + m.pin_runs[pin]):
            number_page(m, m.run_page[run])


@kernel
def put_first(m: SearchState, place: int) -> None:
    """To this place of `pin_order` the pin that is the first of those of its pool that have none yet."""
    for later in range(place + 1, place + 1 + m.pool_rest[place]):
        pin = m.pin_order[later]
        if pin_order(m, pin, m.pin_order[place]) < 0:
            m.pin_order[later] = m.pin_order[place]
            m.pin_order[place] = pin


@kernel
def number_swap_cache(m: SearchState) -> None:
    """Slots that no entry names: what the swap cache keeps of pages that nobody maps, the least used first."""
    while True:
        first = 0
        for slot in range(1, len(m.new_swap)):
            if m.new_swap[slot] < 0 and m.swap_page[slot] >= 0:
                if first == 0 or swap_before(m, slot, first):
                    first = slot
        if first == 0:
            break
        number_swap(m, first)


@kernel
def swap_before(m: SearchState, slot: int, other: int) -> bool:
    """An order of slots that looks at nothing but what symmetric states share."""
    if m.swap_count[slot] != m.swap_count[other]:
        return m.swap_count[slot] < m.swap_count[other]
    return m.folio_refcount[m.swap_page[slot]] < m.folio_refcount[m.swap_page[other]]


@kernel
def number_batch(m: SearchState) -> None:
    """Pages that only the LRU batch still holds, exclusive ones first."""
    for exclusive in range(1, -1, -1):
        for i in range(m.lru_batch[0]):
            if m.page_exclusive[m.lru_batch_page[i]] == exclusive:
                number_page(m, m.lru_batch_page[i])


@kernel
def number_rest(m: SearchState) -> None:
    """What nothing names is free, and one free frame is like another."""
    for index in range(len(m.new_page)):
        if m.new_page[index] < 0:
            number_frame(m, folio_page(m, index))
    for table in range(len(m.new_table)):
        if m.new_table[table] < 0:
            number_table(m, table, 0)
    for slot in range(1, len(m.new_swap)):
        if m.new_swap[slot] < 0:
            m.new_swap[slot] = m.next_number[NEXT_SWAP]
            m.next_number[NEXT_SWAP] += 1


@kernel
def already_canonical(m: SearchState) -> bool:
    for i in range(len(m.new_page)):
        if m.new_page[i] != i:
            return False
    for i in range(len(m.new_table)):
        if m.new_table[i] != i:
            return False
    for i in range(len(m.new_swap)):
        if m.new_swap[i] != i:
            return False
    return True


@kernel
def pins_in_order(m: SearchState) -> bool:
    for pin in range(len(m.new_pin)):
        if m.new_pin[pin] != pin:
            return False
    return True


@kernel
def sort_batch(m: SearchState) -> None:
    """The LRU batch is a set: it is drained as a whole."""
    for i in range(1, m.lru_batch[0]):
        page = m.lru_batch_page[i]
        j = i
        while j > 0 and m.lru_batch_page[j - 1] > page:
            m.lru_batch_page[j] = m.lru_batch_page[j - 1]
            j -= 1
        m.lru_batch_page[j] = page


@kernel
def number_tokens(m: SearchState) -> None:
    """Content in the order of frames, swap slots, and stores under way; zero stays zero."""
    for token in range(len(m.new_token)):
        m.new_token[token] = 0
    count = 0
    for i in range(len(m.page_content)):
        count = number_token(m, m.page_content[i], count)
    for i in range(len(m.swap_content)):
        count = number_token(m, m.swap_content[i], count)
    for task in range(len(m.task_depth)):
        for act in range(m.task_stack[task], m.task_stack[task] + m.task_depth[task]):
            if arg_is_content(m.act_function[act]):
                count = number_token(m, m.act_arg[act], count)


@kernel
def number_token(m: SearchState, token: int, count: int) -> int:
    """The next number for a token, if it has none yet; gives how many have one."""
    if token <= 0 or m.new_token[token]:
        return count
    m.new_token[token] = count + 1
    return count + 1
