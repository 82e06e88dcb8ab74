"""What a scenario must not leave behind, told from what other programs do meanwhile.

The program's own descriptors are its own, and a process of the scenario that cannot be ended is known by its parent
(tree.py): one look decides.  The kernel's complaints are the scenario's where the kernel's log names one of its
processes, which carry its name for that.  Counts of pins, huge pages and merged pages are the whole system's, and
everybody moves them.  In a virtual machine of pinhold's own there is nobody else, and a rise that stays decides.
Elsewhere a rise is a suspicion, and the scenario is repeated: what it leaves behind rises again each time, and each
time by more than the count moves in an equally long wait without it.

What goes unnoticed beside other programs: a leak that does not come again (the scenario cannot be repeated because the
pool is empty by now), one that is smaller than what they move meanwhile, or have moved in the last half minute, and a
complaint of the kernel that names none of our processes (one of its own threads, or a log that this user may not
read).  Swap that is in use is not counted at all: any program's memory goes there and comes back at any time.
Neither is locked memory, which no step makes: it moves with each page that a locked program touches.

Counts are read before a scenario begins and after its last process is gone, never in between.  The one read that makes
the kernel do something is that of /proc/sys/vm/stat_refresh: it adds up the counters of each CPU, as the kernel's own
timer does every second.  It touches no page and no list of pages.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pinhold.targets.base import Broken, Crashed, LeftBehind
from pinhold.targets.live.pagemap import pin_counters

_SETTLE_SECONDS = 3.0
_FIRST_WAIT = 0.005

REPEATS = 8
"""If the scenario left nothing behind, a count that others let rise all the time looks so in each of them once in
12,870: the eight highest of sixteen draws are those."""

_KERNEL_BUGS = {4: "machine check", 5: "bad page", 7: "oops", 9: "warning", 14: "soft lockup"}
"""Bits of /proc/sys/kernel/tainted by which the kernel says that something in it went wrong."""

Counts = Mapping[str, int]
"""What -> how many, for all that should be back."""


@dataclass(frozen=True, slots=True)
class Traces:
    """One look.  taint: the kernel's; fds: descriptors."""

    counts: Counts
    taint: int
    fds: frozenset[int]


def look(root: Path = Path("/")) -> Traces:
    """What cannot be read is left out."""
    return Traces(dict(_counts(root)), _number(f"{root}/proc/sys/kernel/tainted") or 0, _descriptors())


def check(
    before: Traces,
    root: Path = Path("/"),
    seconds: float = _SETTLE_SECONDS,
    again: Callable[[], None] | None = None,
    names: Collection[str] | None = None,
) -> Traces:
    """Raises LeftBehind for what has risen since `before`, Broken for descriptors of this program, Crashed where the
    kernel has complained.

    Gives what the next scenario is to be compared with, of each count the least: small leaks add up, too.

    seconds: how long a rise has to stay, a third of it where a repeat shows whether it does.  again: repeats the
    scenario, on a machine that others use, too; None: there is nobody else.  names: words by which the kernel's log
    names the scenario's processes; None: all of it is theirs.
    """
    after = look(root)
    bugs = [words for bit, words in _KERNEL_BUGS.items() if after.taint & ~before.taint & 1 << bit]
    if bugs and (names is None or _named(_log(root), names)):
        raise Crashed(f"the kernel complained while the scenario ran ({', '.join(bugs)}): see dmesg")
    open_fds = [f"descriptor {fd} is open: {_target(fd)}" for fd in sorted(after.fds - before.fds)]
    if open_fds:
        raise Broken(f"left behind by the program: {'; '.join(open_fds)}")
    expected = before.counts if again is None else _with_what_others_move(before.counts)
    now = _settled(expected, root, seconds if again is None else seconds / 3)
    risen = _risen(expected, now)
    if again is not None and risen:
        ours = _rises_again(risen, again, root, seconds / 3)
        _moved.update({what: (time.monotonic(), now[what] - before.counts[what]) for what in risen - ours})
        risen = ours
    left = [f"{what}: {before.counts[what]} before, {now[what]} after" for what in now if what in risen]
    if left:
        raise LeftBehind(f"left behind by the scenario: {'; '.join(left)}")
    return replace(after, counts={what: min(count, before.counts[what]) for what, count in now.items()})


_NOISY_SECONDS = 30.0

_moved: dict[str, tuple[float, int]] = {}
"""By how much a count has risen that was not the scenario's doing, and when: so little is not suspect for a while."""


def _with_what_others_move(counts: Counts) -> Counts:
    moved = {what: rise for what, (when, rise) in _moved.items() if time.monotonic() - when < _NOISY_SECONDS}
    return {what: count + moved.get(what, 0) for what, count in counts.items()}


def _risen(before: Counts, after: Counts) -> set[str]:
    """A count below zero is two counters that were not read at one moment: nothing rises from there to zero."""
    return {what for what, now in after.items() if now > max(0, before.get(what, now))}


def _settled(before: Counts, root: Path, seconds: float) -> dict[str, int]:
    """The least that each count is, within that time: what others hold for a moment is not in it.

    It ends as soon as none has risen.
    """
    deadline = time.monotonic() + seconds
    wait = _FIRST_WAIT
    least = {what: count for what, count in _counts(root) if what in before}
    while _risen(before, least) and time.monotonic() < deadline:
        time.sleep(wait)
        wait *= 2
        least |= {what: min(count, least.get(what, count)) for what, count in _counts(root) if what in before}
    return least


def _rises_again(suspects: set[str], again: Callable[[], None], root: Path, seconds: float) -> set[str]:
    """Which of the counts the scenario moves, each time that it is repeated."""
    rounds: dict[str, list[tuple[int, int]]] = {what: [] for what in suspects}
    at: Counts = {what: count for what, count in _counts(root) if what in suspects}
    for _ in range(REPEATS):
        begun = time.monotonic()
        again()
        took = time.monotonic() - begun
        left = _settled(at, root, seconds)
        time.sleep(took)
        idle = _settled(left, root, seconds)
        for what in suspects:
            rounds[what].append((left.get(what, 0) - at.get(what, 0), idle.get(what, 0) - left.get(what, 0)))
        suspects = {what for what in suspects if _is_moved(rounds[what])}
        if not suspects:
            break
        at = idle
    return suspects


def _is_moved(rounds: Sequence[tuple[int, int]]) -> bool:
    """By the scenario.  rounds: how much the count rose with it, and in as long a wait without it.

    It has to rise each time by more than it ever does without; and what goes away while waiting was freed late.
    """
    most = max(0, *(idle for _, idle in rounds))
    return all(rise > most and rise + idle > 0 for rise, idle in rounds)


def _named(log: str, names: Collection[str]) -> bool:
    return any(re.search(rf"\b{re.escape(name)}\b", log) for name in names)


def complained_of(names: Collection[str], root: Path = Path("/")) -> bool:
    """Whether the kernel's log has one of these words."""
    return _named(_log(root), names)


def _log(root: Path) -> str:
    """The kernel's log; empty where this user may not read it."""
    try:
        fd = os.open(root / "dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    records = []
    with contextlib.suppress(BlockingIOError, OSError), os.fdopen(fd, "rb", buffering=0) as kmsg:
        while True:
            try:
                record = kmsg.read(8192)
            except BrokenPipeError:  # older records have gone meanwhile
                continue
            if not record:
                break
            records.append(record)
    return b"".join(records).decode(errors="replace")


_FRESH_SECONDS = 1.0

_open = 0
_last: tuple[float, Traces] | None = None
"""When the last block was found clean, and the look that showed it: the next block's first look, if it comes soon."""


@contextlib.contextmanager
def nothing_left(
    again: Callable[[], None] | None = None, names: Callable[[], Collection[str]] | None = None
) -> Iterator[None]:
    """Checks what the block leaves behind, if it ends well and no other such block of this program ran beside it.

    again, names: see check(); the names are asked for at the end.
    """
    global _open, _last  # noqa: PLW0603 (the counts are the whole system's)
    before, found = None, None
    if _open == 0:
        fresh = _last is not None and time.monotonic() - _last[0] < _FRESH_SECONDS
        before = replace(_last[1], fds=_descriptors()) if _last is not None and fresh else look()
    _last = None
    _open += 1
    try:
        yield
        if before is not None and _open == 1:
            found = check(before, again=again, names=None if names is None else names())
    finally:
        _open -= 1
    _last = None if found is None else (time.monotonic(), found)


def _counts(root: Path) -> Iterator[tuple[str, int]]:
    """Paths are text: in a guest each of the kind that pathlib has takes longer than the file."""
    pins = pin_counters(f"{root}/proc")
    if pins is not None:
        yield "pages pinned", pins[0] - pins[1]
    mm = f"{root}/sys/kernel/mm"
    for pool in _pools(f"{mm}/hugepages"):
        size = pool.removeprefix("hugepages-")
        pages = {name: _number(f"{mm}/hugepages/{pool}/{name}_hugepages") for name in ("nr", "free", "resv", "surplus")}
        if None not in pages.values():
            yield f"hugepages of {size} in use", (pages["nr"] or 0) - (pages["free"] or 0)
            yield f"hugepages of {size} reserved", pages["resv"] or 0
            yield f"surplus hugepages of {size}", pages["surplus"] or 0
    # Where KSM runs, it merges other programs' pages at any time.
    if _number(f"{mm}/ksm/run") != 1:
        yield "pages merged by KSM", _number(f"{mm}/ksm/pages_sharing") or 0


def huge_pages_in_use(root: Path = Path("/")) -> int:
    """Of all sizes."""
    folder = f"{root}/sys/kernel/mm/hugepages"
    pools = [f"{folder}/{pool}" for pool in _pools(folder)]
    return sum((_number(f"{pool}/nr_hugepages") or 0) - (_number(f"{pool}/free_hugepages") or 0) for pool in pools)


def _pools(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if name.startswith("hugepages-"))
    except OSError:
        return []


def _descriptors() -> frozenset[int]:
    """This program's, unless other threads of it open and close some meanwhile."""
    if threading.active_count() > 1:
        return frozenset()
    return frozenset(fd for fd in map(int, os.listdir("/proc/self/fd")) if _is_open(fd))


def _is_open(fd: int) -> bool:
    """Not so for the one by which the list was read: it is in the list, and closed by then."""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _target(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return "gone by now"


def _text(path: str) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _number(path: str) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None
