"""Forced writes to another process's memory, as a debugger's: __access_remote_vm() in mm/memory.c."""

from __future__ import annotations

from pinhold.mm.access import store
from pinhold.mm.file import folio_mark_dirty
from pinhold.mm.flags import BLOCKED, EIO, FOLL_FORCE, FOLL_GET, FOLL_TOUCH, FOLL_WRITE, NO_PAGE
from pinhold.mm.folio import folio_put, page_folio
from pinhold.mm.gup import gup_locked
from pinhold.mm.kernel import kernel
from pinhold.mm.state import State
from pinhold.mm.task import current, finish, goto, mmap_read_lock, mmap_read_unlock, returned

REMOTE_START, REMOTE_COPY = 0, 1

REMOTE_WRITE = FOLL_GET | FOLL_WRITE | FOLL_FORCE | FOLL_TOUCH


@kernel
def access_remote_vm(m: State, task: int) -> int:
    """One step of a forced write of the byte act_arg to [act_addr, act_end) of act_mm, a page at a time, with mmap_lock
    held over GUP and the copy.  act_page: the page at hand, with a reference.

    Result: 0, or -EIO where not all of it could be written.  Linux: __access_remote_vm() (mm/memory.c), for ptrace()
    and /proc/PID/mem, which ask for FOLL_FORCE.
    """
    act = current(m, task)
    mm = m.act_mm[act]
    if m.act_pc[act] == REMOTE_START:
        if mmap_read_lock(m, mm) == BLOCKED:
            return BLOCKED
        goto(m, act, REMOTE_COPY)
    elif returned(m, task) < 0:
        mmap_read_unlock(m, mm)
        return finish(m, task, -EIO)
    else:
        page = m.act_page[act]
        store(m, page, 1, m.act_arg[act])
        folio_mark_dirty(m, page_folio(m, page))
        folio_put(m, page_folio(m, page))
        m.act_page[act] = NO_PAGE
        m.act_addr[act] += 1
    if m.act_addr[act] < m.act_end[act]:
        return gup_locked(m, task, mm, m.act_addr[act], REMOTE_WRITE)
    mmap_read_unlock(m, mm)
    return finish(m, task, 0)
