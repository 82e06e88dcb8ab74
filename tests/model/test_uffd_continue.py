"""UFFDIO_CONTINUE, and CVE-2022-2590, which takes the dirty page that it maps for a private copy."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from pinhold.mm.gup import GUP_FAULTED
from pinhold.mm.madvise import MADV_DONTNEED
from pinhold.mm.properties import CACHE_UNTOUCHED_BY_PRIVATE
from pinhold.mm.task import FN_ACCESS_REMOTE, FN_GUP_SLOW, FN_MADVISE, FN_UFFDIO_CONTINUE
from play import Play, row
from schedule import Schedule

WRITER, OTHER = 0, 1


@pytest.mark.parametrize(
    ("rules", "violated"),
    [
        ({"foll_force": "foll_cow"}, CACHE_UNTOUCHED_BY_PRIVATE),
        ({"foll_force": "foll_cow", "uffd_continue": "dirty_if_writable"}, 0),
        ({}, 0),
    ],
)
def test_cve_2022_2590(rules: dict[str, str], violated: int) -> None:
    """The forced write's copy is discarded, and UFFDIO_CONTINUE maps the page cache's page in its place, dirty."""
    x = Schedule(row("6.1", **rules))
    x.map(0, 0, 1, k.VM_READ, x.file(k.FILE_SHMEM))
    x.read(OTHER, 0, 0)
    x.steps = 0
    x.begin(WRITER, FN_ACCESS_REMOTE, 0, arg=7)
    x.until(WRITER, FN_GUP_SLOW, GUP_FAULTED)
    x.begin(OTHER, FN_MADVISE, 0, flags=MADV_DONTNEED)
    assert x.finish(OTHER) == 0
    x.begin(OTHER, FN_UFFDIO_CONTINUE, 0)
    assert x.finish(OTHER) == 0
    assert x.finish(WRITER) == 0
    print(f"{rules}: {x.steps} steps")
    assert x.violated == violated
    assert x.m.page_content[x.m.cache_page[0]] == (7 if violated else 0)


def test_what_it_maps_is_the_files_page() -> None:
    """Read-only in a private mapping, writable in a shared one, counted like any mapping of the page."""
    for how, writable in (("private", False), ("shared", True)):
        played = Play(row("6.2"), f"map P x memfd {how}\nuffdio_continue P x\n")
        assert played.view().kind == "file"
        assert played.view().mapcount == 1
        assert played.writable() == writable


def test_what_it_cannot_map() -> None:
    """Something is mapped already; the mapping is not of shmem, or has a hole; a part was mapped."""
    mapped = "map P x memfd private pages 3\n"
    for text, errno in (
        (f"{mapped}read P x[0]\nuffdio_continue P x[0]\n", k.EEXIST),
        (f"{mapped}write P x[1]  0x11\nuffdio_continue P x\n", k.EAGAIN),
        (f"{mapped}unmap P x[1]\nuffdio_continue P x\n", k.ENOENT),
        ("map P x anon\nuffdio_continue P x\n", k.EINVAL),
        ("map P x file private\nuffdio_continue P x\n", k.EINVAL),
    ):
        assert Play(row("6.2"), text).errnos[-1] == errno, text


def test_a_file_without_the_page() -> None:
    """Nothing in the page cache: EFAULT, and nothing is read in."""
    x = Schedule(row("6.2"))
    x.map(0, 0, 1, k.VM_READ, x.file(k.FILE_SHMEM))
    x.begin(OTHER, FN_UFFDIO_CONTINUE, 0)
    assert x.finish(OTHER) == -k.EFAULT
    assert x.m.cache_page[0] == k.NO_PAGE


@pytest.mark.parametrize(
    ("how", "after", "kept"),
    [
        ("private", "uffdio_continue P x", "present"),
        ("private", "read P x\nuffdio_continue P x", "present"),
        ("private", "read P x", "none"),
        ("shared", "uffdio_continue P x", "none"),
    ],
)
def test_a_private_mapping_has_its_anon_vma_from_uffdio_continue_on(how: str, after: str, kept: str) -> None:
    """fork() then copies the entries of such a mapping, also where the call came to nothing (EEXIST); a shared one
    gets no anon_vma, and the child faults in for itself."""
    played = Play(row(), f"map P x memfd {how}\n{after}\nfork P C\n")
    assert played.state(process="C") == kept


def test_every_mapping_in_the_range_is_asked_before_what_is_missing() -> None:
    """Anonymous memory around a hole is refused as such; shmem with a hole is not there; nor is what begins in one."""
    for text, errno in (
        ("map P x anon pages 3\nunmap P x[1]\nuffdio_continue P x\n", k.EINVAL),
        ("map P x memfd pages 3\nunmap P x[1]\nuffdio_continue P x\n", k.ENOENT),
        ("map P x memfd pages 3\nunmap P x[0]\nuffdio_continue P x\n", k.ENOENT),
        ("map P x memfd shared readonly read pages 2\nunmap P x[1]\nuffdio_continue P x\n", k.EPERM),
    ):
        assert Play(row("6.12"), text).errnos[-1] == errno, text
