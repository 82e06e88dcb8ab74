"""A shared mapping of a file that was opened read-only: shared, yet not VM_SHARED, and never to become writable."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from pinhold.mm.file import cache_lookup
from pinhold.mm.folio import page_folio
from pinhold.mm.mmap import do_mmap
from pinhold.mm.mprotect import mprotect_locked
from pinhold.mm.state import TINY
from pinhold.mm.step import run
from pinhold.mm.task import FN_FAULT, call
from pinhold.mm.vma import is_cow_mapping
from play import Play, row, verdict
from schedule import Schedule

RELEASES = ("5.10", "6.1", "6.12", "7.3")
SHARED = "map P x memfd shared read readonly\n"
KINDS = ("memfd", "file", "memfd_hugetlb 2M")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_no_cow_mapping(release: str, kind: str) -> None:
    """do_mmap() takes VM_MAYWRITE and VM_SHARED away and leaves VM_MAYSHARE: that VM_SHARED is missing does not make
    it private."""
    m = Play(row(release), f"map P x {kind} shared read readonly\n").m
    assert m.vma_flags[0] & (k.VM_SHARED | k.VM_MAYSHARE | k.VM_MAYWRITE) == k.VM_MAYSHARE
    assert not is_cow_mapping(m.vma_flags[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_read_only_pin_of_it_needs_no_copy(kind: str) -> None:
    """gup_must_unshare() asks is_cow_mapping(), not VM_SHARED: what cannot be copied is pinned as it is, where an
    unsharing fault would come to nothing for ever."""
    played = Play(row("7.3"), f"map P x {kind} shared read readonly\nread P x\npin P x as p longterm\n")
    assert played.errnos[-1] == 0
    assert "unshare_not_needed_shared_mapping" in played.sites[-1]
    text = f"map P y {kind} shared\nmap P x of y shared read readonly\nread P x\npin P x as p longterm\n"
    assert verdict(row("7.3"), f"{text}write P y 0xff\nexpect p 0xff\nexpect p sees P x\nexpect sound\n") == "held"


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("step", ["mprotect P x rw", "pin P x as p write", "pin P x as p write force", "poke P x 0x11"])
def test_nothing_may_write_to_it(release: str, step: str) -> None:
    """mprotect() gives EACCES; GUP for writing EFAULT, also forced, which needs a COW mapping."""
    errno = {"mprotect": k.EACCES, "pin": k.EFAULT, "poke": k.EIO}[step.split(maxsplit=1)[0]]
    assert Play(row(release), f"{SHARED}read P x\n{step}\n").errnos[-1] == errno


def test_mprotect_changes_what_lies_before_it() -> None:
    """EACCES comes at the first VMA that may not be writable: VMAs before it are writable by then."""
    played = Play(row(), f"map P x memfd private read pages 512\n{SHARED.replace(' x ', ' y ')}")
    mm, address = played.address()
    assert played.address("y")[1] == address + 512
    assert mprotect_locked(played.m, mm, address, address + 513, k.VM_READ | k.VM_WRITE) == -k.EACCES
    assert [played.m.vma_flags[vma] & k.VM_WRITE != 0 for vma in (0, 1)] == [True, False]


def test_it_cannot_be_mapped_writable() -> None:
    """mmap() gives EACCES for PROT_WRITE; a private mapping of the same descriptor is as any other."""
    assert Play(row(), "map P x memfd shared readonly\n").errnos == [k.EACCES]
    played = Play(row(), "map P x memfd private readonly\nwrite P x 0x11\n")
    assert played.errnos == [0, 0] and is_cow_mapping(played.m.vma_flags[0])


def test_fork_shares_nothing_of_it_and_ksm_and_userfaultfd_leave_it_alone() -> None:
    """It gets no anonymous pages: the child faults in for itself; MADV_MERGEABLE is ignored; UFFDIO_REGISTER wants
    VM_MAYWRITE (EPERM)."""
    played = Play(row(), f"{SHARED}madvise P x mergeable\nuffdio_continue P x\nread P x\nfork P C\n")
    assert played.errnos[2] == k.EPERM
    assert not played.m.vma_flags[0] & k.VM_MERGEABLE and not played.m.vma_anon[0]
    assert played.state(process="C") == "none"


def test_hugetlb_of_it_uses_the_file() -> None:
    """hugetlb asks VM_MAYSHARE: the page is the file's, and a second mapping finds it there."""
    text = "map P x memfd_hugetlb 2M shared read readonly\nread P x\nmap P y of x shared\nwrite P y 0xff\n"
    assert verdict(row(), f"{text}expect P x 0xff\n") == "held"


def test_a_hole_of_a_hugetlb_file_is_filled_for_all() -> None:
    """A read through such a mapping gives the file a page, not the process one of its own: VM_MAYSHARE is asked."""
    x = Schedule(row(), TINY)
    order = TINY.bits
    file = x.file(k.FILE_HUGETLB, order)
    assert do_mmap(x.m, 0, 0, 1 << order, k.VM_READ | k.VM_SHARED | k.VM_HUGETLB, file, order, 1) == 0
    assert x.read(0, 0, 0) == 0
    assert cache_lookup(x.m, file, 0) != k.NO_PAGE
    assert not x.m.folio_flags[page_folio(x.m, cache_lookup(x.m, file, 0))] & k.FOLIO_ANON


def test_unsharing_leaves_it_alone_where_nobody_cleared_the_flag() -> None:
    """do_wp_page() itself asks VM_SHARED | VM_MAYSHARE: the page is the file's after the fault, too."""
    played = Play(row("6.1", unshare_breaks="cow_mapping"), f"{SHARED}read P x\n")
    mm, address = played.address()
    call(played.m, 0, FN_FAULT, mm, address, 0, k.FAULT_FLAG_UNSHARE, 0)
    assert run(played.m, 0) == k.FAULT_DONE
    assert played.view().kind == "file"
