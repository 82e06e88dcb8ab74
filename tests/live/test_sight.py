"""What /proc shows on this kernel, by different ways that have to agree."""

from __future__ import annotations

import os

import pytest

from pinhold.scenario.kinds import KINDS
from pinhold.targets.base import Outcome
from pinhold.targets.live import content, pagemap, syscalls, vmas
from pinhold.targets.live.kernel import probe_sight
from pinhold.targets.live.regions import Arena
from pinhold.targets.live.syscalls import PAGE


@pytest.fixture
def own_pagemap():
    fd = vmas.open_pagemap()
    yield fd
    os.close(fd)


@pytest.fixture
def region():
    """Maps regions in this process, and unmaps them again."""
    arena, made = Arena(), []

    def make(kind: str, pages: int):
        made.append(arena.map(KINDS[kind], pages, False, "rw", None, -1))
        return made[-1]

    yield make
    for each in made:
        syscalls.munmap(each.address, each.pages * PAGE)


def scan_or_skip(fd, region, category):
    spans = vmas.scan(fd, region.address, region.end, category)
    if spans is None:
        pytest.skip("needs PAGEMAP_SCAN: this kernel has none (it came with 6.7)")
    return spans


def need_huge(spans, end=None):
    """Skips where the last span does not reach `end`, or there is none: the kernel, out of memory, gave a base page."""
    if not spans or (end is not None and spans[-1][1] < end):
        pytest.skip("needs a huge page: the kernel had none to give")


def test_smaps_and_pagemap_scan_agree_on_huge_entries(own_pagemap, region, thp):
    """For a huge page, its split, the huge zero page and base pages, both ways find the same huge entries."""
    made = region("thp", 4 * vmas.HUGE_PAGES)
    at = [made.address + index * vmas.HUGE for index in range(4)]
    content.load(at[0])
    words = pagemap.words(own_pagemap, made.address, made.pages)
    expected = scan_or_skip(own_pagemap, made, vmas.PAGE_IS_HUGE)
    need_huge(expected)
    assert vmas.huge_entries(made.address, made.end, words, True) == expected == [(at[0], at[1])]
    content.fill(at[1], 1, 1)
    need_huge(scan_or_skip(own_pagemap, made, vmas.PAGE_IS_HUGE)[-1:], at[2])
    words = pagemap.words(own_pagemap, made.address, made.pages)
    assert vmas.huge_entries(made.address, made.end, words, True) == [(at[0], at[1]), (at[1], at[2])]
    syscalls.mprotect(at[1], PAGE, syscalls.PROT_READ)
    words = pagemap.words(own_pagemap, made.address, made.pages)
    expected = scan_or_skip(own_pagemap, made, vmas.PAGE_IS_HUGE)
    assert vmas.huge_entries(made.address, made.end, words, True) == expected == [(at[0], at[1])]


def test_a_scan_longer_than_its_vector(own_pagemap, region):
    """700 separate pages are found, although one call returns at most 256 stretches."""
    made = region("anon", 1400)
    for page in range(0, 1400, 2):
        content.load(made.address + page * PAGE)
    spans = scan_or_skip(own_pagemap, made, vmas.PAGE_IS_PFNZERO)
    assert spans == [(made.address + page * PAGE, made.address + (page + 1) * PAGE) for page in range(0, 1400, 2)]


def test_accessible_memory_follows_mprotect(region):
    """What may be read and what may be written are the parts that mprotect() left so."""
    made = region("anon", 4)
    page = [made.address + index * PAGE for index in range(5)]
    syscalls.mprotect(page[1], PAGE, syscalls.PROT_NONE)
    syscalls.mprotect(page[2], PAGE, syscalls.PROT_READ)
    assert vmas.accessible(made.address, made.end, write=False) == [(page[0], page[1]), (page[2], page[4])]
    assert vmas.accessible(made.address, made.end, write=True) == [(page[0], page[1]), (page[3], page[4])]
    syscalls.munmap(made.address, PAGE)
    assert vmas.accessible(made.address, made.end, write=False)[0] == (page[2], page[4])


def test_root_sees_frames_and_others_do_not():
    """Frame numbers, flags and counts go together with CAP_SYS_ADMIN and root's files."""
    sight = probe_sight()
    if os.geteuid() == 0 and sight.frames:
        assert sight.flags and sight.counts
    else:
        assert not sight.frames and not sight.flags and not sight.counts and not sight.anon_exclusive


def test_pin_counters_are_exact_or_absent(play):
    """Root sees the FOLL_PIN counters; vmsplice, which takes FOLL_GET references, does not move them."""
    if pagemap.pin_counters() is None:
        if os.geteuid() == 0:
            pytest.skip("needs nr_foll_pin_* and stat_refresh: this kernel does not even show them to root")
        pytest.skip("needs nr_foll_pin_* made exact by stat_refresh: only root may")
    # Other programs pin and unpin, too: what vmsplice moved would be there each time.
    for _ in range(40):
        before = pagemap.pin_counters()
        session = play("map P x anon pages 16\nwrite P x 0x01\nvmsplice P x as p")
        assert session.last == Outcome(0, "vmsplice", by="vmsplice")
        after = session.pin_counters()
        if after[0] - before[0] < 16:
            return
    raise AssertionError(f"at least 16 pages were pinned while vmsplice took 16, 40 times: {before}, {after}")
