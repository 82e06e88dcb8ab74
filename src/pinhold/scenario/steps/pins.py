"""Steps that take pages, hold them, copy them, and what a device does through a pin."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pinhold.scenario.forms import Chosen, Keyed, Matching, Named, Role, Thing, form, words
from pinhold.scenario.meets import CANNOT, COPIES_PAGES, NO_MEMORY, REFERS, REFUSED, TAKES, Meets
from pinhold.scenario.ranges import Range
from pinhold.scenario.steps.parts import BYTE, NEW_PIN, PIN, PROC, RANGE
from pinhold.scenario.steps.table import Action, step

PIN_USERS = ("none", "vfio", "io_uring", "rdma")
POKES = ("proc_mem", "ptrace")
"""How a forced write gets into the kernel: a write to /proc/PID/mem, or PTRACE_POKEDATA."""

_VIA = Matching("via", "MECHANISM", "the name of a pin mechanism", re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}", re.ASCII))


@dataclass(frozen=True, slots=True)
class Hold(Action):
    """Takes pages and holds them, under the name `pin`."""

    proc: str
    range: Range
    pin: str


@dataclass(frozen=True, slots=True)
class Copy(Action):
    """Copies the content of pages, under the name `pin`; the copy holds no page."""

    proc: str
    range: Range
    pin: str


@dataclass(frozen=True, slots=True)
class Fill(Action):
    """Fills memory with `byte` through a pin that is gone when the call returns."""

    proc: str
    range: Range
    byte: int


@step(
    form(
        "pin",
        PROC,
        RANGE,
        "as",
        NEW_PIN,
        options=(
            *(Chosen(flag, {flag: True}, False) for flag in ("write", "longterm", "force", "fast")),
            Keyed("user", words("user", "|".join(PIN_USERS), PIN_USERS), "none"),
            Keyed("via", _VIA),
        ),
    ),
    meets=TAKES,
    startable=True,
)
class Pin(Hold):
    """pin_user_pages() on behalf of `user`, held until unpin.  Flags as in FOLL_*; `via` names a mechanism."""

    write: bool = False
    longterm: bool = False
    force: bool = False
    fast: bool = False
    user: str = "none"
    via: str | None = None


@step(form("unpin", Named("pin", "PIN", Thing.PIN, Role.ENDS)), meets=CANNOT, startable=True)
class Unpin(Action):
    pin: str


@step(form("vmsplice", PROC, RANGE, "as", NEW_PIN), meets=REFERS, startable=True)
class Vmsplice(Hold):
    """vmsplice() into a pipe of its own: FOLL_GET references on the first 16 pages at most, held until unpin."""


@step(form("io_uring", PROC, RANGE, "as", NEW_PIN), meets=TAKES, startable=True)
class IoUring(Hold):
    """io_uring_register() of a fixed buffer: a writable long-term pin, held until unpin.  Whether it goes through
    GUP-fast, and which files it takes, is that kernel's business."""


@step(form("process_vm_readv", PROC, RANGE, "as", NEW_PIN), meets=COPIES_PAGES)
class ProcessVmReadv(Copy):
    """process_vm_readv() of the process's own memory: a read-only pin that is gone when the call returns.

    `pin` names the copy that it made; the copy holds no page.
    """


@step(form("process_vm_writev", PROC, RANGE, BYTE), meets=COPIES_PAGES)
class ProcessVmWritev(Fill):
    """process_vm_writev() of `byte` into the process's own memory: a writable pin, gone when the call returns."""


@step(form("direct", "write", PROC, RANGE, "as", NEW_PIN), meets=COPIES_PAGES)
class DirectWrite(Copy):
    """write() with O_DIRECT from memory to a file.  `pin` names the copy in the file; the copy holds no page."""


@step(form("direct", "read", PROC, RANGE, BYTE), meets=COPIES_PAGES)
class DirectRead(Fill):
    """read() with O_DIRECT into memory, from a file full of `byte`."""


@step(
    form("poke", PROC, RANGE, BYTE, options=(Keyed("via", words("via", "|".join(POKES), POKES)),)),
    meets=Meets(frozenset({"EFAULT", "EIO"}), {**REFUSED, **NO_MEMORY}),
    startable=True,
)
class Poke(Action):
    """A forced write (FOLL_FORCE | FOLL_WRITE), page by page, as a debugger does.  via: one of POKES; None: any."""

    proc: str
    range: Range
    byte: int
    via: str | None = None


@step(form("device", "read", PIN), meets=CANNOT)
class DeviceRead(Action):
    """The pin's holder reads every pinned page (an observation point)."""

    pin: str


@step(form("device", "write", PIN, BYTE), meets=CANNOT)
class DeviceWrite(Action):
    """The pin's holder fills every pinned page with `byte`."""

    pin: str
    byte: int
