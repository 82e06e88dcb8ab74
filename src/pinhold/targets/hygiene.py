"""What a scenario must not leave behind: counts of the whole system, and this program's descriptors.

They are read before a scenario begins and after its last process is gone, never in between.  The one read that makes
the kernel do something is that of /proc/sys/vm/stat_refresh: it adds up the counters of each CPU, as the kernel's own
timer does every second.  It touches no page and no list of pages.

The counts are everybody's.  Where another process holds something of the kind by now, a rise is put down to it.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pinhold.targets.base import Broken, Crashed
from pinhold.targets.pagemap import pin_counters

_SETTLE_SECONDS = 3.0
_FIRST_WAIT = 0.005

_KERNEL_BUGS = {4: "machine check", 5: "bad page", 7: "oops", 9: "warning", 14: "soft lockup"}
"""Bits of /proc/sys/kernel/tainted by which the kernel says that something in it went wrong."""


@dataclass(frozen=True, slots=True)
class Traces:
    """One look.  counts: what -> how many, for all that should be back; taint: the kernel's; fds: descriptors."""

    counts: dict[str, int]
    taint: int
    fds: frozenset[int]


def look(root: Path = Path("/")) -> Traces:
    """What cannot be read is left out."""
    return Traces(dict(_counts(root)), _number(root / "proc/sys/kernel/tainted") or 0, _descriptors())


def check(before: Traces, root: Path = Path("/"), seconds: float = _SETTLE_SECONDS) -> Traces:
    """Raises Broken where something has risen since `before` and stays so for that long, Crashed where the kernel has
    complained.  Gives the last look."""
    deadline = time.monotonic() + seconds
    wait = _FIRST_WAIT
    after = look(root)
    left = _risen(before, after)
    while left and time.monotonic() < deadline:
        time.sleep(wait)
        wait *= 2
        after = look(root)
        left = {what: words for what, words in _risen(before, after).items() if what in left}
    bugs = [words for bit, words in _KERNEL_BUGS.items() if after.taint & ~before.taint & 1 << bit]
    if bugs:
        raise Crashed(f"the kernel complained while the scenario ran ({', '.join(bugs)}): see dmesg")
    left = {what: words for what, words in left.items() if not _held_elsewhere(what, root)} if left else {}
    if left:
        raise Broken(f"left behind by the scenario: {'; '.join(left.values())}")
    return after


_ELSEWHERE = {"pinned": "VmPin", "mlocked": "VmLck", "hugepages": "HugetlbPages"}
"""A word of what is counted -> the line of /proc/PID/status that tells who holds such."""


def _held_elsewhere(what: str, root: Path) -> bool:
    """Whether another process holds such a thing: the scenario's own processes are gone."""
    line = next((line for word, line in _ELSEWHERE.items() if word in what), None)
    if line is None:
        return False
    holds = re.compile(rf"^{line}:\s+[1-9]", re.MULTILINE)
    others = (status for status in (root / "proc").glob("[0-9]*/status") if status.parent.name != str(os.getpid()))
    return any(holds.search(_text(status)) for status in others)


_FRESH_SECONDS = 1.0

_open = 0
_last: tuple[float, Traces] | None = None
"""When the last block was found clean, and the look that showed it: the next block's first look, if it comes soon."""


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """Checks what the block leaves behind, if it ends well and no other such block of this program ran beside it."""
    global _open, _last  # noqa: PLW0603 (the counts are the whole system's)
    before = None
    if _open == 0:
        fresh = _last is not None and time.monotonic() - _last[0] < _FRESH_SECONDS
        before = replace(_last[1], fds=_descriptors()) if _last is not None and fresh else look()
    _last = None
    _open += 1
    try:
        yield
    finally:
        _open -= 1
    if before is not None and _open == 0:
        _last = (time.monotonic(), check(before))


def _counts(root: Path) -> Iterator[tuple[str, int]]:
    pins = pin_counters(str(root / "proc"))
    if pins is not None:
        yield "pages pinned", pins[0] - pins[1]
    mlocked = re.search(r"^Mlocked:\s+(\d+)", _text(root / "proc/meminfo"), re.MULTILINE)
    if mlocked is not None:
        yield "KiB mlocked", int(mlocked[1])
    for pool in sorted((root / "sys/kernel/mm/hugepages").glob("hugepages-*kB")):
        pages = {name: _number(pool / f"{name}_hugepages") for name in ("nr", "free", "resv", "surplus")}
        if None not in pages.values():
            size = pool.name.removeprefix("hugepages-")
            yield f"hugepages of {size} in use", (pages["nr"] or 0) - (pages["free"] or 0)
            yield f"hugepages of {size} reserved", pages["resv"] or 0
            yield f"surplus hugepages of {size}", pages["surplus"] or 0
    # Where KSM runs, it merges other programs' pages at any time.
    ksm = root / "sys/kernel/mm/ksm"
    if _number(ksm / "run") != 1:
        yield "pages merged by KSM", _number(ksm / "pages_sharing") or 0


def _risen(before: Traces, after: Traces) -> dict[str, str]:
    """What -> in words."""
    found = {
        what: f"{what}: {before.counts[what]} before, {now} after"
        for what, now in after.counts.items()
        if now > before.counts.get(what, now)
    }
    for fd in after.fds - before.fds:
        found[f"descriptor {fd}"] = f"descriptor {fd} is open: {_target(fd)}"
    return found


def _descriptors() -> frozenset[int]:
    """This program's, unless other threads of it open and close some meanwhile."""
    if threading.active_count() > 1:
        return frozenset()
    folder = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return frozenset(int(name) for name in os.listdir(folder)) - {folder}
    finally:
        os.close(folder)


def _target(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return "gone by now"


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
