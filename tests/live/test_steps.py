"""Steps on the running kernel, and what is seen after them."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from pathlib import Path

import pytest

from pinhold.scenario.observation import Observation, PageView, Run
from pinhold.scenario.parse import parse
from pinhold.scenario.steps import Drain, Ksm, Madvise, Mprotect, Mremap, Range, Read, Unpin, Write
from pinhold.targets.base import CannotDo
from pinhold.targets.live.kernel import Pool, RunningKernel
from pinhold.targets.runner import run_scenario


def view(observation: Observation, proc: str = "P", region: str = "x", page: int = 0) -> PageView:
    return next(v for v in observation.pages if (v.proc, v.region, v.page) == (proc, region, page))


def test_a_fresh_region_is_empty_and_looking_keeps_it_so(play):
    """Observations, contents and page states fault nothing in."""
    session = play("map P x anon pages 4")
    for _ in range(3):
        assert {(v.state, v.byte) for v in session.observe().pages} == {("none", None)}
        assert session.contents("P", Range("x")) == [Run(0, 4, None)]
        assert session.page_state("P", Range("x")) == [(0, 4, "none")]


def test_written_pages_read_back_page_by_page(play):
    """Contents come as runs of equal pages, with pages that nobody touched in between."""
    session = play("map P x anon pages 6\nwrite P x[1:3] 0x11\nwrite P x[3] 0x22\nread P x[5]")
    assert session.contents("P", Range("x")) == [
        Run(0, 1, None),
        Run(1, 2, 0x11),
        Run(3, 1, 0x22),
        Run(4, 1, None),
        Run(5, 1, 0),
    ]
    assert session.contents("P", Range("x", 2, 4)) == [Run(2, 1, 0x11), Run(3, 1, 0x22)]


def test_fork_shares_the_frame_until_the_write(play, frames_visible):
    """Parent and child map one frame after fork(); the parent's write gives it another."""
    lines = "map P x anon\nwrite P x 0x01\nfork P C\n"
    shared = play(lines).observe()
    assert view(shared).frame == view(shared, "C").frame is not None
    broken = play(lines + "write P x 0xff").observe()
    assert view(broken).frame != view(broken, "C").frame
    assert (view(broken).byte, view(broken, "C").byte) == (0xFF, 0x01)


def test_mapcount_and_exclusive_follow_fork_and_write(play, frames_visible):
    """kpagecount counts both mappings, and bit 34 of kpageflags goes at fork() and comes back with the copy."""
    seen = [
        view(play("map P x anon\nwrite P x 0x01\n" + more).observe()) for more in ("", "fork P C", "fork P C\nexit C")
    ]
    assert [v.mapcount for v in seen] == [1, 2, 1]
    if seen[0].exclusive is None:
        pytest.skip("needs PageAnonExclusive: kpageflags does not show it on this kernel")
    assert [v.exclusive for v in seen] == [True, False, False]


def test_what_an_entry_does_not_tell_is_none(play):
    """Whether it is writable or dirty nothing here shows; soft-dirty and uffd-wp, where pagemap does."""
    seen = view(play("map P x anon\nwrite P x 0x01").observe())
    assert (seen.writable, seen.dirty) == (None, None)
    assert seen.uffd_wp in (False, None)
    assert seen.soft_dirty in (True, None)


def test_kinds_of_pages(play, frames_visible):
    """The zero page, anonymous memory and page cache are told apart."""
    session = play(
        "map P z zeropage\nread P z\nmap P a anon\nwrite P a 0x01\nmap P m memfd\nread P m\n"
        "map P t tmpfile\nread P t\nmap P f file shared\nwrite P f 0x01"
    )
    kinds = {v.region: v.kind for v in session.observe().pages}
    assert kinds == {"z": "zero", "a": "anon", "m": "file", "t": "file", "f": "file"}
    assert {v.region: v.anon for v in session.observe().pages} == {k: k == "a" for k in kinds}
    assert {v.level for v in session.observe().pages} == {"pte"}
    assert view(session.observe(), region="z").mapcount == 0


def test_memory_without_permission_is_not_read(play):
    """A present page under PROT_NONE has no byte, and reading it is EFAULT, not the end of the process."""
    session = play("map P x anon pages 2\nwrite P x 0x07\nmprotect P x[1] none")
    assert [(v.state, v.byte) for v in session.observe().pages] == [("present", 7), ("present", None)]
    assert session.contents("P", Range("x")) == [Run(0, 1, 7), Run(1, 1, None)]
    assert session.do(Read("P", Range("x"))).errno == errno.EFAULT
    assert session.do(Write("P", Range("x"), 8)).errno == errno.EFAULT
    assert view(session.observe()).byte == 8


def test_a_hole_stays_a_hole(play):
    """What munmap() leaves is never filled by the interpreter: access is EFAULT, madvise() is ENOMEM."""
    session = play("map P x anon pages 3\nwrite P x 0x07\nunmap P x[1]")
    assert [v.state for v in session.observe().pages] == ["present", "none", "present"]
    assert session.do(Write("P", Range("x", 1, 2), 1)).errno == errno.EFAULT
    assert session.do(Madvise("P", Range("x"), "dontneed")).errno == errno.ENOMEM


def test_dontfork_leaves_the_child_without_the_pages(play):
    """Pages under MADV_DONTFORK are missing in the child, and present in the parent."""
    session = play("map P x anon pages 2\nwrite P x 0x07\nmadvise P x[1] dontfork\nfork P C")
    seen = session.observe()
    assert [view(seen, p, "x", n).state for p in "PC" for n in (0, 1)] == ["present", "present", "present", "none"]


def test_mremap_moves_pages_to_a_region_of_their_own(play):
    """The moved pages are those of the new region, and gone from the old one."""
    session = play("map P x anon pages 4\nwrite P x 0x05\nwrite P x[3] 0x06\nmremap P x[2:] to y")
    assert session.contents("P", Range("y")) == [Run(0, 1, 5), Run(1, 1, 6)]
    assert session.contents("P", Range("x")) == [Run(0, 2, 5), Run(2, 2, None)]


def test_two_mappings_of_one_file(play):
    """A shared mapping shows a write through another, a private one keeps its copy."""
    session = play(
        "map P x memfd shared\nmap P y of x private\nmap P z of x shared\n"
        "write P x 0x01\nread P y\nread P z\nwrite P y 0x02"
    )
    assert {v.region: v.byte for v in session.observe().pages} == {"x": 1, "y": 2, "z": 1}


def test_a_child_maps_its_parents_file(play):
    """A region's file can be mapped again in another process."""
    session = play("map P x memfd shared\nfork P C\nwrite P x 0x03\nmap C y of x shared read\nread C y")
    assert view(session.observe(), "C", "y").byte == 3


def test_grandchildren_and_orphans(play):
    """A process lives on when its parent exits, and can fork and be waited for."""
    session = play("map P x anon\nwrite P x 0x01\nfork P C\nfork C D\nexit C\nwrite D x 0x02\nfork D E\nexit D")
    assert {v.proc: v.byte for v in session.observe().pages} == {"P": 1, "E": 2}


def test_exited_processes_are_not_observed(play):
    """An observation shows live processes only."""
    assert {v.proc for v in play("map P x anon\nfork P C\nexit C").observe().pages} == {"P"}


def test_vmsplice_holds_16_pages_and_shows_them(play):
    """A pipe takes 16 pages at most, can be read again and again, and keeps what was unmapped."""
    session = play("map P x anon pages 20\nwrite P x[:8] 0x01\nwrite P x[8:] 0x02\nvmsplice P x as p\nunmap P x")
    assert session.last.errno == 0
    for _ in range(3):
        assert session.pin_contents("p") == [Run(0, 8, 1), Run(8, 8, 2)]
    assert {(v.owner, v.range, v.flags) for v in session.observe().pins} == {("P", "x[:16]", "FOLL_GET")}
    assert session.do(Unpin("p")).errno == 0
    assert session.observe().pins == ()


def test_vmsplice_lets_the_bytes_show_after_reading_only(play):
    """A pin's byte belongs to the observation after the step that read it, and to no later one."""
    session = play("map P x anon\nwrite P x 0x04\nvmsplice P x as p")
    assert [v.byte for v in session.observe().pins] == [None]
    session.pin_contents("p")
    assert [v.byte for v in session.observe().pins] == [4]
    session.do(Drain())
    assert [v.byte for v in session.observe().pins] == [None]


def test_a_pin_ends_with_its_process(play):
    """The pins of a process go when it exits, those of others stay."""
    session = play(
        "map P x anon\nwrite P x 0x03\nvmsplice P x as q\nfork P C\nwrite C x 0x09\nvmsplice C x as p\nexit C"
    )
    assert {v.pin for v in session.observe().pins} == {"q"}
    assert session.pin_contents("q") == [Run(0, 1, 3)]
    with pytest.raises(CannotDo, match="p holds nothing"):
        session.pin_contents("p")


def test_a_step_does_nothing_where_one_of_its_places_is_not_mapped(play):
    """Though the place that is done first would fail by itself: what it would have answered is of another scenario."""
    session = play("map P x anon pages 2\nunmap P x[0]")
    step = Ksm("P", Range("x"), "P", Range("y"))
    with pytest.raises(CannotDo, match="y is not mapped in P"):
        session.do(step)


def test_the_pins_frame_is_remembered(play, frames_visible):
    """After the parent's copy-on-write, the pipe holds the child's frame and not the parent's."""
    session = play("map P x anon pages 3\nwrite P x 0x01\nfork P C\nvmsplice C x as p\nwrite P x 0x02")
    seen = session.observe()
    assert [v.page for v in seen.pins] == [0, 2]
    for pin in seen.pins:
        assert pin.frame == view(seen, "C", "x", pin.page).frame != view(seen, "P", "x", pin.page).frame


def need_huge(session) -> None:
    """Skips where the kernel, which may lack the memory, gave a base page instead; huge pages are seen as such."""
    if session.page_state("P", Range("x")) == [(0, 1, "present"), (1, 511, "none")]:
        pytest.skip("needs a huge page: the kernel had none to give")
    assert session.page_state("P", Range("x")) == [(0, 512, "huge")]


def test_a_huge_page_and_its_split(play, thp):
    """One huge entry is `huge`, and a PMD to every page of it; protecting one page of it leaves 512 entries."""
    session = play("map P x thp\nwrite P x[0] 0x01")
    need_huge(session)
    assert {v.level for v in session.observe().pages} == {"pmd"}
    for prot in ("read", "rw"):
        session.do(Mprotect("P", Range("x", 1, 2), prot))
    assert session.page_state("P", Range("x")) == [(0, 512, "present")]
    assert {v.level for v in session.observe().pages} == {"pte"}


def test_the_huge_zero_page(play, thp):
    """A read of advised memory maps the huge zero page, which is of kind zero even to an ordinary user."""
    session = play("map P x hugezero\nread P x[0]")
    need_huge(session)
    assert {v.kind for v in session.observe().pages} == {"zero"}


def test_part_of_a_huge_page_moves(play, thp):
    """Half a huge page moved by mremap() keeps its content; nothing is left where it was."""
    session = play("map P x thp\nwrite P x 0x03\nmremap P x[256:] to y")
    assert session.contents("P", Range("y")) == [Run(0, 256, 3)]
    assert session.page_state("P", Range("x")) == [(0, 256, "present"), (256, 256, "none")]


def test_limits_and_capabilities_of_one_process(play):
    """RLIMIT_MEMLOCK and CAP_IPC_LOCK change in the process that is named, not in its parent."""
    session = play("map P x anon\nfork P C\nmemlock C 4\ncapability C ipc_lock off")
    parent, child = (session._tree._members[name].pid for name in "PC")
    limits = [Path(f"/proc/{pid}/limits").read_text() for pid in (parent, child)]
    memlock = [next(li for li in text.splitlines() if "locked memory" in li).split()[3] for text in limits]
    assert memlock[1] == str(4 * 4096) != memlock[0]
    status = Path(f"/proc/{child}/status").read_text()
    effective = int(next(li for li in status.splitlines() if li.startswith("CapEff")).split()[1], 16)
    assert effective >> 14 & 1 == 0


def test_drain_and_advice_that_every_kernel_knows(play):
    """Steps without a visible effect succeed, and fault nothing in."""
    session = play("map P x anon pages 2\ndrain\nmadvise P x nohugepage\nmadvise P x dofork\nmadvise P x dontneed")
    assert session.last.errno == 0
    assert {v.state for v in session.observe().pages} == {"none"}


def test_populate_read_and_write(play, frames_visible):
    """MADV_POPULATE_READ maps the zero page, MADV_POPULATE_WRITE a fresh one."""
    try:
        session = play("map P x anon\nmap P y anon\nmadvise P x populate_read\nmadvise P y populate_write")
    except CannotDo as reason:
        pytest.skip(str(reason))
    assert {v.region: v.kind for v in session.observe().pages} == {"x": "zero", "y": "anon"}


def test_collapse_maps_a_thp_unless_somebody_holds_a_page(play):
    """MADV_COLLAPSE copies base pages into a THP, which holds the same bytes; a page in a pipe keeps it from it."""
    text = "map P x anon pages 512\nwrite P x 0x07\nwrite P x[9] 0x09\nmadvise P x hugepage\n"
    try:
        held = play(f"{text}vmsplice P x[9] as p\nmadvise P x collapse")
        session = play(f"{text}madvise P x collapse")
    except CannotDo as reason:
        pytest.skip(str(reason))
    assert held.last.errno in (errno.EAGAIN, errno.EINVAL)
    if session.last.errno == errno.ENOMEM:
        pytest.skip("the kernel found no free huge page")
    assert session.last.errno == 0
    assert session.page_state("P", Range("x")) == [(0, 512, "huge")]
    assert session.contents("P", Range("x")) == [Run(0, 9, 7), Run(9, 1, 9), Run(10, 502, 7)]


def test_swap_that_is_not_there_is_named(play, no_swap):
    """Without swap the step is refused with what is missing."""
    for step in ("swapout P x", "madvise P x pageout"):
        with pytest.raises(CannotDo, match="needs swap: none is configured here"):
            play(f"map P x anon\nwrite P x 0x01\n{step}")


def test_soft_dirty_that_is_not_tracked_is_named(live, play):
    """A kernel without soft-dirty cannot keep a page read-only through mprotect(), and says so."""
    if live.info().config["MEM_SOFT_DIRTY"] == "y":
        assert play("map P x anon\nwrite P x 0x01\nclear_softdirty P").last.errno == 0
        return
    with pytest.raises(CannotDo, match=r"tracks no soft-dirty .*so the page would not stay read-only"):
        play("map P x anon\nwrite P x 0x01\nclear_softdirty P")


@pytest.mark.parametrize("size", ["2M", "1G"])
def test_hugetlb_uses_the_pool_or_says_what_it_lacks(play, size):
    """One page works where one is free that nobody has reserved; else what the pool has is said, before mmap()."""
    pool = RunningKernel().hugepages(size)
    if pool is None:
        with pytest.raises(CannotDo, match="this machine has no such size"):
            play(f"map P x hugetlb {size}")
        return
    try:
        session = play(f"map P x hugetlb {size}\nread P x")
    except CannotDo as reason:
        assert re.fullmatch(r"needs 1 free hugepage of [12] [MG]iB: the pool has 0 free of \d+.* here", str(reason))
        return
    if pool.free == 0:
        pytest.skip("needs a pool that nobody changes meanwhile: this one has got a page")
    if session.last.errno:
        pytest.skip("needs a pool that nobody changes meanwhile: this one has lost its last page")
    seen = view(session.observe())
    assert (seen.state, seen.kind, seen.byte) == ("present", "hugetlb", 0)
    assert (seen.level, seen.anon) == ({"2M": "pmd", "1G": "pud"}[size], True)


def test_pages_that_a_scenario_needs_later_are_asked_for_first(live, monkeypatch):
    """Parent and child may each need a page of their own: with one of four free, mapping is refused already."""
    scenario = parse("scenario t\nmap P x hugetlb 2M\nwrite P x 0x01\nfork P C\nwrite C x 0x02\nexpect P x 0x01\n")
    monkeypatch.setattr(RunningKernel, "hugepages", lambda machine, size: Pool(1, 4, 3))
    verdict = run_scenario(live, scenario).verdict
    assert (verdict.kind, verdict.step) == ("skipped", 0)
    assert verdict.reason == ("needs 2 free hugepages of 2 MiB: the pool has 1 free of 4 (3 more are reserved) here")


def test_a_part_of_a_private_hugetlb_mapping_is_not_moved_here(play):
    """The kernel would lose the reserve of the rest until it is booted again: refused before anything is done."""
    try:
        session = play("map P x hugetlb 2M pages 1024")
    except CannotDo as reason:
        pytest.skip(str(reason))
    if session.last.errno:
        pytest.skip(session.last.note)
    with pytest.raises(CannotDo, match="lose the reserve of what stays"):
        session.do(Mremap("P", Range("x", 512), "y"))


def test_a_long_term_pin_needs_gup_test(live, play):
    """Nothing else answers a read-only long-term pin: the refusal names the need and the reason."""
    if live.info().mechanisms["gup_test"] == "available":
        assert play("map P x anon\npin P x as p longterm\nexpect p 0x00").last.note == "gup_test"
        return
    with pytest.raises(CannotDo, match=r"needs a read-only long-term pin: .*/sys/kernel/debug/gup_test"):
        play("map P x anon\npin P x as p longterm\nexpect p 0x00")


def test_vmsplice_never_answers_a_pin(play):
    """A reference by FOLL_GET is no pin, also when it is asked for by name."""
    with pytest.raises(CannotDo, match="vmsplice gives references by FOLL_GET only"):
        play("map P x anon\nwrite P x 0x01\npin P x as p via vmsplice")


def test_files_are_gone_at_the_end(live, tmp_path, monkeypatch):
    """The file behind a region exists while the scenario runs, and not after."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    scenario = parse("scenario test\nmap P x file\nmap P y tmpfile\nmremap P x to z\n")
    with live.open(scenario) as session:
        for step in scenario.steps:
            assert session.do(step).errno == 0
        assert len(os.listdir(tmp_path)) == 1
    assert os.listdir(tmp_path) == []


def test_more_memory_than_there_is_is_refused(live):
    """A scenario that would take more than half of the free memory is refused before it maps."""
    reason = RunningKernel().missing_memory(1 << 50)
    assert reason is not None and "MiB free here" in reason
    assert RunningKernel().missing_memory(4096) is None


def test_uffdio_continue_where_nothing_is_mapped_is_the_calls_own_errno(play, frames_visible):
    """There is nothing to register there, and UFFDIO_CONTINUE says ENOENT; memory without minor faults is EINVAL."""
    assert play("map P x memfd private pages 3\nunmap P x[0]\nuffdio_continue P x").last.errno == errno.ENOENT
    assert play("map P x memfd private\nunmap P x\nuffdio_continue P x").last.errno == errno.ENOENT
    assert play("map P x anon\nuffdio_continue P x").last.errno == errno.EINVAL


def test_what_moves_keeps_its_holes_and_its_place_within_a_huge_page(play, thp):
    """mremap() leaves a hole a hole, and a part of a THP region lies in its new 2 MiB as it lay in the old."""
    session = play("map P b anon pages 3\nwrite P b 0x01\nunmap P b[1]\nmremap P b to c\nmprotect P c rw")
    assert session.last.errno in (errno.ENOMEM, errno.EFAULT)  # EFAULT by mremap(), up to 6.16, and no c
    session = play("map P b thp pages 1024\nmremap P b[256:1024] to c\nwrite P c 0x01")
    assert session.page_state("P", Range("c"))[1:] == [(256, 512, "huge")]


def test_uffdio_continue_maps_what_is_in_the_page_cache(play, frames_visible):
    """The file's page, in a private and in a shared mapping; where something is mapped it says so."""
    session = play("map P x memfd private pages 2\nmap P y of x shared\nread P y\nuffdio_continue P x[0]")
    seen = session.observe()
    assert seen.errno == 0
    assert view(seen).frame == view(seen, region="y").frame is not None
    assert play("map P x memfd private\nread P x\nuffdio_continue P x").observe().errno == errno.EEXIST


def test_writeback_writes_a_shared_file_and_needs_a_mapping(play):
    """msync() of a file is done, and the bytes stay; where nothing is mapped it is ENOMEM."""
    seen = play("map P x file shared\nwrite P x 0x11\nwriteback P x").observe()
    assert seen.errno == 0
    assert view(seen).byte == 0x11
    assert play("map P x file shared\nunmap P x\nwriteback P x").observe().errno == errno.ENOMEM


def test_memory_advised_free_goes_unless_it_is_written(play):
    """MADV_PAGEOUT discards, without swap, what was not written since MADV_FREE; what was, and what is held, stays."""
    lines = "map P x anon pages 3\nwrite P x 0x11\nvmsplice P x[2] as p\nmadvise P x free\nwrite P x[1] 0x22\n"
    session = play(lines + "madvise P x pageout\nread P x")
    assert session.contents("P", Range("x")) == [Run(0, 1, 0), Run(1, 1, 0x22), Run(2, 1, 0x11)]


def test_only_anonymous_memory_can_be_advised_free(play):
    """EINVAL for a file, mapped privately too."""
    for how in ("shared", "private"):
        session = play(f"map P x memfd {how}\nwrite P x 0x11")
        assert session.do(Madvise("P", Range("x"), "free")).errno == errno.EINVAL
