"""What is not in use is as it was at boot, so that equal situations have equal bytes."""

from __future__ import annotations

from pinhold.mm.file import FOLIO_WRITTEN_CLEAN
from pinhold.mm.flags import NO_FILE, NO_PAGE, PIN_FREE
from pinhold.mm.folio import page_folio
from pinhold.mm.kernel import kernel
from pinhold.mm.pgtable import table_empty
from pinhold.mm.state import State


@kernel
def unused_is_clean(m: State) -> bool:
    """Whether no free page, table, VMA, process, file, swap slot, pin or activation record remembers anything."""
    if not free_pages_clean(m) or not free_vmas_clean(m) or not dead_processes_clean(m) or not free_cache_clean(m):
        return False
    for table in range(len(m.table_used)):
        if not m.table_used[table] and not table_empty(m, table):
            return False
    for file in range(len(m.file_users)):
        if m.file_users[file] == 0 and (m.file_kind[file] or m.file_order[file] or m.file_reserve[file]):
            return False
    for slot in range(len(m.swap_count)):
        if m.swap_count[slot] == 0 and m.swap_page[slot] == NO_PAGE and m.swap_content[slot]:
            return False
    for i in range(m.lru_batch[0], len(m.lru_batch_page)):
        if m.lru_batch_page[i]:
            return False
    return free_pins_clean(m) and free_acts_clean(m)


@kernel
def free_pages_clean(m: State) -> bool:
    """Free pages, and what a folio's tail pages have no use for."""
    for page in range(len(m.folio_refcount)):
        if m.page_offset[page]:
            head = page - m.page_offset[page]
            if page >= m.nr_pages or m.folio_refcount[head] == 0 or m.folio_refcount[page]:
                return False
            continue
        if m.folio_refcount[page]:
            continue
        if m.page_mapcount[page] or m.page_exclusive[page] or m.page_content[page] or m.folio_flags[page]:
            return False
        if m.folio_order[page] or m.folio_file[page] != NO_FILE or m.folio_index[page] or m.folio_swap[page]:
            return False
        if m.folio_dirty[page]:
            return False
        for i in range(2 * page, 2 * page + 2):
            if m.folio_mm_id[i] or m.folio_mm_id_mapcount[i]:
                return False
    return True


@kernel
def free_cache_clean(m: State) -> bool:
    """Of a file that is there a page can be away, and what its device has is remembered where no page has it."""
    for slot in range(len(m.cache_page)):
        page = m.cache_page[slot]
        if m.cache_away[slot] and (page != NO_PAGE or m.file_users[slot // m.file_pages] == 0):
            return False
        if m.cache_stored[slot] and not m.cache_away[slot]:
            if page == NO_PAGE or m.folio_dirty[page_folio(m, page)] != FOLIO_WRITTEN_CLEAN:
                return False
    return True


@kernel
def free_vmas_clean(m: State) -> bool:
    for vma in range(len(m.vma_end)):
        if m.vma_end[vma] == 0:
            if m.vma_start[vma] or m.vma_flags[vma] or m.vma_file[vma] != NO_FILE or m.vma_pgoff[vma]:
                return False
            if m.vma_anon[vma] or m.vma_order[vma] or m.vma_reserve[vma] or m.vma_reserve_owner[vma]:
                return False
            if m.vma_i_mmap[vma]:
                return False
    return True


@kernel
def dead_processes_clean(m: State) -> bool:
    for mm in range(len(m.mm_alive)):
        if m.mm_alive[mm] == 0:
            if m.mm_pgd[mm] or m.mm_readers[mm] or m.mm_writer[mm] or m.mm_write_protect_seq[mm]:
                return False
            if m.mm_has_pinned[mm] or m.mm_huge_zero[mm] or m.mm_locked_vm[mm] or m.mm_pinned_vm[mm]:
                return False
            if m.mm_memlock[mm] or m.mm_ipc_lock[mm]:
                return False
    return True


@kernel
def free_pins_clean(m: State) -> bool:
    for pin in range(len(m.pin_state)):
        if m.pin_state[pin] == PIN_FREE:
            if m.pin_mm[pin] or m.pin_flags[pin] or m.pin_user[pin] or m.pin_addr[pin] or m.pin_count[pin]:
                return False
            if m.pin_charge[pin] or m.pin_user_charge[pin] or m.pin_runs[pin]:
                return False
        for run in range(pin * m.runs_per_pin + m.pin_runs[pin], (pin + 1) * m.runs_per_pin):
            if m.run_page[run] or m.run_count[run] or m.run_addr[run]:
                return False
    return True


@kernel
def free_acts_clean(m: State) -> bool:
    for task in range(len(m.task_depth)):
        for act in range(m.task_stack[task] + m.task_depth[task], m.task_stack[task + 1]):
            if m.act_function[act] or m.act_pc[act] or m.act_mm[act] or m.act_addr[act] or m.act_end[act]:
                return False
            if m.act_flags[act] or m.act_arg[act] or m.act_entry[act] or m.act_seq[act]:
                return False
            if m.act_page[act] or m.act_new[act]:
                return False
    return True
