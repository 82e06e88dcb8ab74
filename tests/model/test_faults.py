"""Faults asked for directly: senseless flags, unsharing, and what reuse looks at."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from play import Play, row, verdict
from rule_probes.wp import fault

UNSHARE, WRITE = k.FAULT_FLAG_UNSHARE, k.FAULT_FLAG_WRITE


@pytest.mark.parametrize("mapping", ["anon", "memfd shared", "hugetlb 2M", "thp"])
def test_a_fault_cannot_write_and_unshare(mapping: str) -> None:
    """SIGSEGV since 6.2, whatever is mapped."""
    for release in ("6.2", "6.12", "6.18"):
        assert fault(Play(row(release), f"map P x {mapping}\n"), UNSHARE | WRITE) == -k.EFAULT


def test_a_write_fault_needs_the_right_to_write() -> None:
    """Without VM_WRITE only a COW mapping may be written to, by force."""
    for release in ("6.2", "6.12", "6.18"):
        assert fault(Play(row(release), "map P x memfd shared read\n"), WRITE) == -k.EFAULT
        assert fault(Play(row(release), "map P x memfd private read\n"), WRITE) >= 0


def test_unsharing_outside_a_cow_mapping_is_a_read() -> None:
    """The shared page is mapped and nothing is copied."""
    played = Play(row("6.2"), "map P x memfd shared read\n")
    assert fault(played, UNSHARE) == 0
    assert (played.view().state, played.view().kind) == ("present", "file")


@pytest.mark.parametrize("memory", ["zeropage", "memfd private", "hugezero", "memfd_hugetlb 2M private"])
def test_unsharing_gives_an_exclusive_copy_that_stays_read_only(memory: str) -> None:
    """Since 6.2 of anything in a COW mapping; the next write needs a fault and no other page."""
    played = Play(row("6.2"), f"map P x {memory}\nread P x\n")
    assert fault(played, UNSHARE) == 0
    assert (played.view().exclusive, played.writable()) == (True, False)
    before = played.frame()
    assert fault(played, WRITE) >= 0
    assert (played.frame(), played.writable()) == (before, True)


def test_an_unshared_huge_zero_page_is_writable_since_it_is_a_thp() -> None:
    """From 6.13 on a whole THP replaces the huge zero folio, mapped as for a write."""
    played = Play(row("6.18"), "map P x hugezero\nread P x\n")
    assert fault(played, UNSHARE) == 0
    assert (played.writable(), played.entry() & k.PTE_PSE != 0) == (True, True)


@pytest.mark.parametrize("memory", ["zeropage", "memfd private"])
def test_6_1_leaves_what_is_not_anonymous_alone(memory: str) -> None:
    """There an unshare fault of the zero page or the page cache does nothing."""
    played = Play(row("6.1"), f"map P x {memory}\nread P x\n")
    before = played.entry()
    assert fault(played, UNSHARE) == 0
    assert played.frame() == before >> k.PFN_SHIFT


def test_unsharing_a_page_that_only_the_process_has_marks_it() -> None:
    """After the child is gone the page is marked exclusive in place."""
    played = Play(row("6.2"), "map P x anon\nwrite P x 0x11\nfork P C\nexit C\n")
    before = played.frame()
    assert not played.view().exclusive
    assert fault(played, UNSHARE) == 0
    assert (played.frame(), played.view().exclusive, played.writable()) == (before, True, False)


@pytest.mark.parametrize("release", ["5.10", "6.1", "6.2", "6.12", "6.18"])
@pytest.mark.parametrize("size", ["2M", "1G"])
def test_hugetlb_reuse_is_by_mapcount_in_every_release(release: str, size: str) -> None:
    """A child's vmsplice() of a hugetlb page that it then unmaps sees the parent's next write: known, not mended."""
    leak = f"map P x hugetlb {size}\nwrite P x 0x11\nfork P C\nvmsplice C x as p\nunmap C x\nwrite P x 0xff\n"
    assert verdict(row(release), f"{leak}expect p 0xff\n") == "held"


@pytest.mark.parametrize(("release", "leaks"), [("5.10", True), ("6.1", False), ("6.18", False)])
def test_a_thp_leaks_to_a_childs_pipe_in_5_10_only(release: str, leaks: bool) -> None:
    """There the PMD is reused by map counts; a PTE-mapped THP is judged by references, and does not leak."""
    splice = "fork P C\nvmsplice C x as p\nunmap C x\nwrite P x 0xff\n"
    whole = f"map P x thp\nwrite P x 0x11\n{splice}expect p {'0xff' if leaks else '0x11'}\n"
    assert verdict(row(release), whole) == "held"
    split = f"map P x thp\nwrite P x 0x11\nmprotect P x[0] read\nmprotect P x[0] rw\n{splice}expect p 0x11\n"
    assert verdict(row(release), split) == "held"


@pytest.mark.parametrize("release", ["5.10", "6.1", "6.18"])
def test_a_write_to_a_shared_thp_copies_one_page(release: str) -> None:
    """The mapping is split, the folio stays, and 511 pages are still shared."""
    played = Play(row(release), "map P x thp\nwrite P x 0x11\nfork P C\nwrite P x[5] 0xff\n")
    assert played.frame(page=5) != played.frame(page=5, process="C")
    assert played.frame(page=6) == played.frame(page=6, process="C")
    assert played.m.folio_order[played.frame(page=5)] == 0


def test_5_10_copies_a_page_that_is_still_in_the_swap_cache() -> None:
    """Read back from swap the page has a second reference: the write copies there, and does not since 5.19."""
    text = "map P x anon\nwrite P x 0x11\nswapout P x\nread P x\nwrite P x 0xff\n"
    assert "wp_copy" in Play(row("5.10"), text).sites[-1]
    assert "wp_copy" not in Play(row("6.1"), text).sites[-1]


def test_a_copied_page_leaves_the_swap_cache() -> None:
    """With its last mapping gone the old page is freed, and its slot too."""
    played = Play(row("5.10"), "map P x anon\nwrite P x 0x11\nswapout P x\nread P x\nwrite P x 0xff\n")
    assert [page for page in played.m.swap_page if page >= 0] == []


def test_a_read_fault_maps_cached_neighbours() -> None:
    """Sixteen pages from the window's start, or from the mapping's where that comes later."""
    played = Play(row("6.2"), "map P x file private pages 64\nunmap P x[:5]\nread P x[7]\n")
    present = [page for page in range(5, 64) if played.state(page=page) == "present"]
    assert present == list(range(5, 21))


@pytest.mark.parametrize("release", ["6.18", "7.3"])
@pytest.mark.parametrize("locked", [False, True])
def test_a_large_folio_that_is_locked_is_not_reused(release: str, locked: bool) -> None:
    """A write to a PTE-mapped THP that is the process's alone only tries for its lock, and else copies."""
    text = (
        "map P x thp\nwrite P x 0x11\nmprotect P x[0] read\nmprotect P x[0] rw\nfork P C\nexit C\nwrite P x[7] 0xff\n"
    )
    played = Play(row(release), text, stop=-1)
    folio = played.frame()
    played.m.folio_flags[folio] |= k.FOLIO_LOCKED if locked else 0
    assert played.play().sites[-1] == ["wp_copy" if locked else "wp_reuse_large"]
    assert (played.frame(page=7) == folio + 7) == (not locked)


def test_fault_around_passes_over_what_is_not_uptodate() -> None:
    """Pages of shmem that were allocated and that nobody has asked for yet; an ordinary file's are all there."""
    for kind, mapped in (("memfd", [2, 5]), ("file", [0, 1, 2, 3, 4, 5, 6, 7])):
        played = Play(row("6.12"), f"map P x {kind} pages 8\nread P x[2]\nread P x[5]\n")
        assert [page for page in range(8) if played.entry(page=page)] == mapped
    again = Play(row("6.12"), "map P x memfd pages 8\nread P x[2]\nmap P y of x\nuffdio_continue P y[6]\nread P y[0]\n")
    assert [page for page in range(8) if again.entry("y", page)] == [0, 2, 6]
