"""What the kernel's own users of pages do on the model: take pages, copy or fill them, and let them go at once.

Each runs the same functions of the specification as a pin that is held; only who asks differs.
"""

from __future__ import annotations

from collections.abc import Callable

from pinhold.mm import flags as k
from pinhold.mm.limits import LIMIT_PINS, LIMITS
from pinhold.mm.machine import Machine
from pinhold.mm.pinning import pin_start, unpin
from pinhold.mm.step import run
from pinhold.targets.base import Broken
from pinhold.targets.model.calls import Span


def free_pin(m: Machine) -> int:
    """A pin slot that nothing uses.  Raises Broken where there is none."""
    for pin in range(len(m.pin_state)):
        if m.pin_state[pin] == k.PIN_FREE:
            return pin
    raise Broken(too_small(m, LIMIT_PINS))


def too_small(m: Machine, limit: int) -> str:
    """That the machine came to a limit of its own, in a sentence."""
    what, word = LIMITS[limit]
    if m.geometry.full:
        return f"the model is too small for this scenario: it has no more {what}"
    return f"the small machine is too small: it has no more {what}" + (f"; '{word} N' makes more" if word else "")


def take(m: Machine, task: int, pin: int, span: Span, flags: int, user: int = k.USER_NONE) -> int:
    """Pages held by the free slot `pin`, or a negative errno and nothing held."""
    pin_start(m, task, pin, *span, flags, user)
    return run(m, task) or -k.EFAULT


def transfer(m: Machine, task: int, span: Span, flags: int, chunk: int, use: Callable[[int], None]) -> int:
    """Take `chunk` pages at a time, `use` the pin, let it go; 0, or the negative errno of GUP.

    It stops at the first page that cannot be had: -EFAULT where something was transferred before.
    """
    mm, addr, end = span
    pin, moved = free_pin(m), False
    while addr < end:
        wanted = min(chunk, end - addr)
        held = take_what_there_is(m, task, pin, (mm, addr, addr + wanted), flags)
        if held > 0:
            use(pin)
            unpin(m, pin)
            moved = True
            addr += held
        if held < wanted:
            return -k.EFAULT if moved else held
    return 0


def take_what_there_is(m: Machine, task: int, pin: int, span: Span, flags: int) -> int:
    """Take as many pages as can be had from the start of the span, as a caller gets them that keeps what it got.

    The specification's callers give everything back when a page fails; asked again for less, it holds those before
    that page, which the first attempt has faulted in already.
    """
    mm, start, end = span
    held = take(m, task, pin, span, flags)
    if held > 0:
        return held
    fits, fails = 0, end - start
    while fails - fits > 1:
        middle = (fits + fails) // 2
        if take(m, task, pin, (mm, start, start + middle), flags) > 0:
            unpin(m, pin)
            fits = middle
        else:
            fails = middle
    return take(m, task, pin, (mm, start, start + fits), flags) if fits else held
