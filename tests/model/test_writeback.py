"""Files that track dirtying: writing them back, and long-term pins, which write behind the file system's back."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from pinhold.mm.device import device_write
from pinhold.mm.file import FOLIO_CLEAN, FOLIO_DIRTY
from pinhold.mm.pinning import unpin
from pinhold.mm.properties import FILE_WRITES_TOLD, check_properties
from pinhold.mm.task import FN_WRITEBACK
from play import Play, row
from schedule import RW, Schedule

DRIVER, OTHER = 0, 1
SHARED = RW | k.VM_SHARED
WRITE_PIN = k.FOLL_PIN | k.FOLL_WRITE


def shared_file(**rules: str) -> Schedule:
    x = Schedule(row("6.2", **rules))
    x.map(0, 0, 1, SHARED, x.file(k.FILE_PAGECACHE))
    return x


def writeback(x: Schedule) -> int:
    x.begin(OTHER, FN_WRITEBACK, 0)
    return x.finish(OTHER)


@pytest.mark.parametrize("fast", [0, k.WANT_FAST])
def test_a_device_writes_after_writeback(fast: int) -> None:
    """Allowed, the pin outlives the writeback, and the device writes to the clean page (8ac268436e6d, 6.5)."""
    x = shared_file()
    x.begin_pin(DRIVER, 0, WRITE_PIN | k.FOLL_LONGTERM | fast)
    assert x.finish(DRIVER) == 1
    assert writeback(x) == 0
    print(f"{x.steps} steps and the device's write")
    device_write(x.m, 0, 7)
    assert check_properties(x.m) == FILE_WRITES_TOLD


@pytest.mark.parametrize("fast", [0, k.WANT_FAST])
def test_refused_there_is_no_such_pin(fast: int) -> None:
    """Since 6.5 GUP refuses, whether the page is mapped writable already or not."""
    x = shared_file(longterm_dirty_tracked="refused")
    for _ in range(2):
        x.begin_pin(DRIVER, 0, WRITE_PIN | k.FOLL_LONGTERM | fast)
        assert x.finish(DRIVER) == -k.EFAULT
        x.write(OTHER, 0, 0, 1)


@pytest.mark.parametrize(("kind", "flags"), [(k.FILE_PAGECACHE, 0), (k.FILE_SHMEM, k.FOLL_LONGTERM)])
def test_nobody_is_deceived_by(kind: int, flags: int) -> None:
    """A short pin, whose user says so when it is done; a long-term pin of a file that does not track dirtying."""
    x = Schedule(row("6.2"))
    x.map(0, 0, 1, SHARED, x.file(kind))
    x.begin_pin(DRIVER, 0, WRITE_PIN | flags)
    assert x.finish(DRIVER) == 1
    assert writeback(x) == 0
    device_write(x.m, 0, 7)
    assert check_properties(x.m) == 0


@pytest.mark.parametrize(("user", "dirty"), [(k.USER_NONE, FOLIO_DIRTY), (k.USER_IO_URING, FOLIO_CLEAN)])
def test_who_lets_go_of_a_writable_pin_marks_its_pages_dirty(user: int, dirty: int) -> None:
    """Also where the device wrote nothing; io_uring alone does not (unpin_user_pages_dirty_lock())."""
    x = shared_file(io_uring_files="any")
    x.begin_pin(DRIVER, 0, WRITE_PIN, user=user)
    assert x.finish(DRIVER) == 1
    assert writeback(x) == 0
    unpin(x.m, 0)
    assert x.m.folio_dirty[x.m.cache_page[0]] == dirty


def test_a_dirty_page_may_be_written_by_anybody() -> None:
    """After a store of the process the file system knows, and the device's write goes the same way."""
    x = shared_file()
    x.begin_pin(DRIVER, 0, WRITE_PIN | k.FOLL_LONGTERM)
    assert x.finish(DRIVER) == 1
    assert writeback(x) == 0
    assert x.write(OTHER, 0, 0, 1) == 0
    device_write(x.m, 0, 7)
    assert check_properties(x.m) == 0


def test_writeback_makes_the_next_store_fault() -> None:
    """Clean and read-only in every mapping; the store that faults makes it dirty and writable again."""
    x = shared_file()
    assert x.write(OTHER, 0, 0, 1) == 0
    page = x.m.cache_page[0]
    slot = x.m.mm_pgd[0] << x.m.bits
    assert x.m.folio_dirty[page] == FOLIO_DIRTY
    assert writeback(x) == 0
    assert x.m.folio_dirty[page] == FOLIO_CLEAN
    assert not x.m.pte[slot] & (k.PTE_RW | k.PTE_DIRTY)
    assert x.write(OTHER, 0, 0, 2) == 0
    assert x.m.folio_dirty[page] == FOLIO_DIRTY
    assert x.m.pte[slot] & k.PTE_RW


def test_what_is_not_written_back() -> None:
    """Private mappings, shmem and hugetlbfs stay as they are; a hole is ENOMEM, and the rest is done all the same."""
    for kind in ("file private", "memfd shared", "memfd_hugetlb 2M shared", "anon"):
        played = Play(row("6.2"), f"map P x {kind}\nwrite P x 0x11\nwriteback P x\n")
        assert played.errnos[-1] == 0, kind
        assert played.writable(), kind
    played = Play(row("6.2"), "map P x file shared pages 3\nwrite P x 0x11\nunmap P x[1]\nwriteback P x\n")
    assert played.errnos[-1] == k.ENOMEM
    assert not played.writable(page=2)
