"""Taking and dropping a pin: the entry points pin_user_pages(), get_user_pages() and their fast forms, for a pin's
user."""

from __future__ import annotations

from pinhold.mm.flags import (
    ENOMEM,
    FOLL_FAST_ONLY,
    FOLL_GET,
    FOLL_LONGTERM,
    FOLL_PIN,
    FOLL_REMOTE,
    FOLL_TOUCH,
    FOLL_WRITE,
    PIN_FREE,
    PIN_LIVE,
    PIN_TAKING,
    USER_IO_URING,
    USER_VFIO,
    WANT_FAST,
)
from pinhold.mm.gup import (
    GET_USER_PAGES,
    GET_USER_PAGES_FAST,
    NO_PAGES,
    PIN_USER_PAGES,
    PIN_USER_PAGES_FAST,
    is_valid_gup_args,
)
from pinhold.mm.kernel import kernel
from pinhold.mm.pin import (
    memlock_charge_after,
    memlock_charge_before,
    memlock_exceeded,
    memlock_step,
    pin_coalesce,
    pin_drop,
    pin_free,
    pin_mark_dirty,
)
from pinhold.mm.rules.gup import ARGS_IS_VALID_GUP_ARGS, PIN_TOUCHES_ALL, PIN_TOUCHES_FAST
from pinhold.mm.state import State
from pinhold.mm.task import FN_GUP_FAST, FN_GUP_SLOW, FN_PIN, call, current, finish, returned
from pinhold.mm.trap import TRAP_STAGE, trap
from pinhold.mm.users import io_uring_refuses

PIN_START, PIN_FAST_DONE, PIN_SLOW_DONE = 0, 1, 2


@kernel
def pin_start(m: State, task: int, pin: int, mm: int, addr: int, end: int, flags: int, user: int) -> int:
    """Let a task begin to take [addr, end) for the free pin slot `pin`.

    flags: FOLL_GET or FOLL_PIN with what the caller passes, WANT_FAST for a *_fast entry point, and FOLL_REMOTE for a
    *_remote one.
    """
    m.pin_state[pin] = PIN_TAKING
    m.pin_mm[pin] = mm
    m.pin_flags[pin] = flags & ~WANT_FAST  # it matters to the taking alone
    m.pin_user[pin] = user
    m.pin_addr[pin] = addr
    return call(m, task, FN_PIN, mm, addr, end, flags, pin)


@kernel
def pin_user_pages(m: State, task: int) -> int:
    """One step of taking a pin.  Result: the number of pages held, or 0 or a negative errno and nothing held.

    A request that fails part of the way keeps nothing, except FOLL_GET (vmsplice), which takes what it got.  VFIO makes
    several of one.
    Linux: pin_user_pages(), internal_get_user_pages_fast() / gup_fast_fallback() (mm/gup.c).
    """
    act = current(m, task)
    pin = m.act_arg[act]
    mm = m.act_mm[act]
    flags = m.act_flags[act]
    if m.act_pc[act] == PIN_START:
        own = FOLL_PIN | FOLL_GET | FOLL_REMOTE | WANT_FAST | (FOLL_FAST_ONLY if flags & WANT_FAST else 0)
        err = is_valid_gup_args(m, gup_api(flags), flags & ~own)
        if err == NO_PAGES or (err and flags & FOLL_FAST_ONLY and m.rule_gup_args != ARGS_IS_VALID_GUP_ARGS):
            return pin_failed(m, task, pin, 0)  # up to 6.2 *_fast_only may not return errors
        if err:
            return pin_failed(m, task, pin, err)
        if not memlock_charge_before(m, pin, m.act_end[act] - m.act_addr[act]):
            return pin_failed(m, task, pin, -ENOMEM)
        if flags & FOLL_PIN:
            m.mm_has_pinned[mm] = 1
        if flags & WANT_FAST:
            m.act_pc[act] = PIN_FAST_DONE
            return call(m, task, FN_GUP_FAST, mm, m.act_addr[act], m.act_end[act], flags, pin)
    elif m.act_pc[act] == PIN_SLOW_DONE:
        err = returned(m, task)
        if memlock_exceeded(m, pin):
            return pin_failed(m, task, pin, -ENOMEM)
        if err < 0 or m.act_addr[act] >= m.act_end[act]:
            return pin_taken(m, task, pin, err)
    elif m.act_pc[act] == PIN_FAST_DONE:
        m.act_addr[act] = returned(m, task)
        if m.act_addr[act] >= m.act_end[act] or flags & FOLL_FAST_ONLY:
            return pin_taken(m, task, pin, 0)
    else:
        return trap(m, TRAP_STAGE)
    start = m.act_addr[act]
    end = start + memlock_step(m, pin, m.act_end[act] - start)
    m.act_addr[act] = end
    m.act_pc[act] = PIN_SLOW_DONE
    if pin_touches(m, flags, m.pin_user[pin]):
        flags |= FOLL_TOUCH
    return call(m, task, FN_GUP_SLOW, mm, start, end, flags, pin)


@kernel
def pin_touches(m: State, flags: int, user: int) -> bool:
    """Whether the entry point has the slow path mark what it follows as accessed and, for a write, dirty: all but
    pin_user_pages() do, and up to 6.2 a *_fast one that leaves a long-term request to the slow path.

    VFIO's is pin_user_pages_remote().
    """
    if m.rule_pin_touches == PIN_TOUCHES_ALL or flags & (FOLL_GET | FOLL_REMOTE) or user == USER_VFIO:
        return True
    return flags & WANT_FAST != 0 and (m.rule_pin_touches == PIN_TOUCHES_FAST or not flags & FOLL_LONGTERM)


@kernel
def gup_api(flags: int) -> int:
    """Which entry point the request stands for."""
    if flags & FOLL_GET:
        return GET_USER_PAGES_FAST if flags & WANT_FAST else GET_USER_PAGES
    return PIN_USER_PAGES_FAST if flags & WANT_FAST else PIN_USER_PAGES


@kernel
def pin_taken(m: State, task: int, pin: int, err: int) -> int:
    """The walk is over: let go if it failed or the user refuses what it got, or charge the user."""
    if m.pin_count[pin] == 0 or (err < 0 and m.pin_flags[pin] & FOLL_PIN):
        return pin_failed(m, task, pin, err)
    refused = io_uring_refuses(m, pin)
    if refused:
        return pin_failed(m, task, pin, refused)
    if not memlock_charge_after(m, pin):
        return pin_failed(m, task, pin, -ENOMEM)
    m.pin_state[pin] = PIN_LIVE
    pin_coalesce(m, pin)
    return finish(m, task, m.pin_count[pin])


@kernel
def pin_failed(m: State, task: int, pin: int, err: int) -> int:
    """Nothing is held: who asked lets go of what it got."""
    pin_let_go(m, pin)
    return finish(m, task, err)


@kernel
def unpin(m: State, pin: int) -> None:
    """Drop every page of a live pin and free its slot; an idle slot stays idle."""
    if m.pin_state[pin] != PIN_FREE:
        pin_let_go(m, pin)


@kernel
def pin_let_go(m: State, pin: int) -> None:
    """Drop every page and free the slot.

    What was pinned for writing is marked dirty: by all users but io_uring, which relies on the entry.  Linux:
    unpin_user_pages_dirty_lock().
    """
    if m.pin_flags[pin] & FOLL_WRITE and m.pin_user[pin] != USER_IO_URING:
        pin_mark_dirty(m, pin)
    pin_drop(m, pin)
    pin_free(m, pin)


@kernel
def unpin_user_pages(m: State, task: int) -> int:
    """The pin in act_arg goes."""
    unpin(m, m.act_arg[current(m, task)])
    return finish(m, task, 0)
