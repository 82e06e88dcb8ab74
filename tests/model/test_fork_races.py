"""The pin lost at fork(): GUP-fast pins between fork()'s look at the page and its write-protecting of the entry."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from pinhold.mm.fork import FORK_SHARE
from pinhold.mm.properties import LONGTERM_PIN_RELIABLE
from pinhold.mm.task import FN_FORK, FN_UNPIN
from play import row
from schedule import FLAT, HUGE, Schedule

FORKER, PINNER, WRITER = range(3)
LONGTERM = k.FOLL_PIN | k.FOLL_LONGTERM


def fork_and_pin(chosen: dict[str, int], flags: int, memory: str = "anon") -> Schedule:
    """fork() has looked at the page; a whole pin; fork() goes on to its end; the parent writes."""
    x = Schedule(chosen, FLAT if memory == "anon" else HUGE)
    x.map(0, 0, 1 if memory == "anon" else 2, k.VM_READ | k.VM_WRITE | (0 if memory == "anon" else k.VM_HUGEPAGE))
    x.write(WRITER, 0, 0, 1)
    x.steps = 0
    x.begin(FORKER, FN_FORK, 0, end=0, arg=1)
    x.until(FORKER, FN_FORK, FORK_SHARE)
    x.begin_pin(PINNER, 0, flags)
    x.finish(PINNER)
    assert x.finish(FORKER) == 1
    x.finish(PINNER)
    x.write(WRITER, 0, 0, 2)
    return x


@pytest.mark.parametrize("memory", ["anon", "thp"])
@pytest.mark.parametrize("flags", [LONGTERM | k.FOLL_WRITE | k.WANT_FAST, LONGTERM | k.WANT_FAST])
def test_gup_fast_pins_behind_forks_back(flags: int, memory: str) -> None:
    """Without write_protect_seq the parent's next write leaves its pin behind; with it GUP-fast waits for fork()."""
    lost = fork_and_pin(row("6.12", write_protect_seq="no"), flags, memory)
    assert lost.violated == LONGTERM_PIN_RELIABLE
    print(f"{memory}: {lost.steps} steps")
    kept = fork_and_pin(row("6.12"), flags, memory)
    assert kept.m.pin_state[0] == k.PIN_LIVE
    assert kept.violated == 0


def test_the_slow_path_waits_for_fork() -> None:
    """It needs mmap_lock, with or without the sequence count."""
    flags = LONGTERM | k.FOLL_WRITE
    assert fork_and_pin(row("6.12", write_protect_seq="no"), flags).violated == 0


def test_a_walk_that_began_before_fork_gives_its_pins_back() -> None:
    """GUP-fast has begun when fork() begins, and pins before the entry is write-protected: it starts anew."""
    x = Schedule(row("6.12"))
    x.map(0, 0, 1)
    x.write(WRITER, 0, 0, 1)
    x.begin_pin(PINNER, 0, LONGTERM | k.FOLL_WRITE | k.WANT_FAST)
    while not x.m.task_irqs_off[PINNER]:
        x.step(PINNER)
    x.begin(FORKER, FN_FORK, 0, end=0, arg=1)
    x.until(FORKER, FN_FORK, FORK_SHARE)
    assert x.finish(PINNER) == k.BLOCKED
    assert x.m.pin_count[0] == 0
    x.finish(FORKER)
    x.finish(PINNER)
    x.write(WRITER, 0, 0, 2)
    assert x.violated == 0
    assert x.m.pin_count[0] == 1


@pytest.mark.parametrize("unpinned", [False, True])
def test_the_page_to_copy_to_is_taken_outside_the_lock(unpinned: bool) -> None:
    """A page that is not pinned any more when fork() looks again is shared, and what it had allocated goes back."""
    x = Schedule(row("6.12"))
    x.map(0, 0, 1)
    x.write(WRITER, 0, 0, 1)
    x.begin_pin(PINNER, 0, LONGTERM | k.FOLL_WRITE)
    x.finish(PINNER)
    x.begin(FORKER, FN_FORK, 0, end=0, arg=1)
    x.step(FORKER)
    while x.m.act_new[0] == k.NO_PAGE:
        x.step(FORKER)
    if unpinned:
        x.begin(PINNER, FN_UNPIN, 0)
        x.finish(PINNER)
    x.finish(FORKER)
    frames = {x.m.pte[x.m.mm_pgd[mm] << x.m.bits] >> k.PFN_SHIFT for mm in (0, 1)}
    assert len(frames) == (1 if unpinned else 2)
    used = sum(refs > 0 for refs in x.m.folio_refcount)
    assert used == 1 + len(frames)
