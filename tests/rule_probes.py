"""One probe for each rule: something small that comes out differently under each of the rule's values.

A probe takes a row of rules and returns what happened, as plain data.  EXPECTED says what the kernels that have a value
do: it is written from their sources, and where no kernel has the combination, from the meaning of the values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pinhold.mm import flags as k
from pinhold.mm import rules
from pinhold.mm.gup import (
    GET_USER_PAGES_FAST,
    PIN_USER_PAGES,
    PIN_USER_PAGES_FAST,
    is_valid_gup_args,
)
from pinhold.mm.huge_memory import split_huge_pmd
from pinhold.mm.machine import Machine, create
from pinhold.mm.madvise import MADV_COLLAPSE
from pinhold.mm.pin import GUP_PIN_COUNTING_BIAS, try_grab_folio
from pinhold.mm.pinning import pin_start
from pinhold.mm.state import TINY
from pinhold.mm.step import run, step
from pinhold.mm.task import FN_ACCESS, FN_FAULT, FN_FORK, FN_MADVISE, call
from pinhold.targets.model.target import CONFIG
from play import Play, Row, verdict

Probe = Callable[[Row], Any]


def gup_unshares(chosen: Row) -> Any:
    """A R/O long-term pin of a page-cache page, and of an anonymous page shared with a child: reliable?"""
    pin = "pin P x as p longterm\nwrite P x 0xff\nexpect p sees P x\n"
    cache = verdict(chosen, f"map P x memfd private\nread P x\n{pin}")
    return cache, verdict(chosen, f"map P x anon\nwrite P x 0x11\nfork P C\n{pin}")


unshare_breaks = gup_unshares
"""The same two: GUP asks, and the fault does not do it."""


def anon_exclusive(chosen: Row) -> Any:
    """A page in a pipe is write-protected by clearing soft-dirty: does the owner's next write stay in it?"""
    text = "map P x anon\nwrite P x 0x11\nvmsplice P x as p\nclear_softdirty P\nwrite P x 0xff\nexpect p sees P x\n"
    return verdict(chosen, text)


def wp_reuse(chosen: Row) -> Any:
    """The child has copied; the owner's page waits in the LRU batch: does the owner copy as well?"""
    played = Play(chosen, "map P x anon\nwrite P x 0x11\nfork P C\nwrite C x 0x22\nwrite P x 0xff\n")
    return played.sites[-1]


def wp_reuse_large(chosen: Row) -> Any:
    """A PTE-mapped THP that was shared with a child: a write with all its pages mapped, and with one page left."""
    shared = "map P x thp\nwrite P x 0x11\nmprotect P x[0] read\nmprotect P x[0] rw\nfork P C\nexit C\n"
    whole = Play(chosen, f"{shared}write P x[7] 0xff\n").sites[-1]
    return whole, Play(chosen, f"{shared}unmap P x[1:]\nwrite P x[0] 0xff\n").sites[-1]


def huge_wp_reuse(chosen: Row) -> Any:
    """The child holds a shared THP by vmsplice() and unmaps it: does the parent's next write reach the pipe?"""
    text = "map P x thp\nwrite P x 0x11\nfork P C\nvmsplice C x as p\nunmap C x\nwrite P x 0xff\nexpect p 0x11\n"
    return verdict(chosen, text)


def huge_zero_wp(chosen: Row) -> Any:
    """What another page of a huge-zero mapping is after a write to one."""
    return Play(chosen, "map P x hugezero\nread P x\nwrite P x[5] 0xff\n").view(page=0).kind


def huge_zero_special(chosen: Row) -> Any:
    """Who pins the huge zero folio for a short time, GUP-fast or the slow path."""
    return Play(chosen, "map P x hugezero\nread P x\npin P x as p fast\n").sites[-1]


def fork_copies_pinned(chosen: Row) -> Any:
    """A pin for writing: reliable over fork()?

    And what the child gets of a pinned page-cache page beside an anonymous one, and of a shared anonymous page that so
    many hold that it may be pinned: a copy, or the page.
    """
    pinned = "map P x anon\nwrite P x 0x11\npin P x as p write longterm\nfork P C\nwrite P x 0xff\nexpect p sees P x\n"
    reliable = verdict(chosen, pinned)
    cache = "map P x memfd private pages 2\nwrite P x[0] 0x11\nread P x[1]\npin P x[1] as p\nfork P C\n"
    kind = Play(chosen, cache).view(page=1, process="C").kind
    text = "map P x anon\nmap P y anon\nwrite P x 0x11\nwrite P y 0x11\npin P y as p write\nfork P C\nfork P D\n"
    shared = Play(chosen, text, stop=6)
    try_grab_folio(shared.m, shared.frame(), GUP_PIN_COUNTING_BIAS, k.FOLL_GET)
    shared.play()
    return reliable, kind, shared.frame() == shared.frame(process="D")


def fork_copies_hugetlb_files(chosen: Row) -> Any:
    """What the child has mapped of a private hugetlb file of which the parent has only read."""
    return Play(chosen, "map P x memfd_hugetlb 2M private\nread P x\nfork P C\n").state(process="C")


def fork_copies_pinned_hugetlb(chosen: Row) -> Any:
    """Whether a hugetlb page pinned for writing is reliable over fork()."""
    pinned = "map P x hugetlb 2M\nwrite P x 0x11\npin P x as p write longterm\n"
    return verdict(chosen, f"{pinned}fork P C\nwrite P x 0xff\nexpect p sees P x\n")


def fork_hugetlb_copy_writable(chosen: Row) -> Any:
    """Whether the child can write to its copy of a pinned hugetlb page in a mapping that is read-only."""
    pinned = "map P x hugetlb 2M\nwrite P x 0x11\npin P x as p write longterm\n"
    return Play(chosen, f"{pinned}mprotect P x read\nfork P C\nwrite C x 0xff\n").errnos[-1]


def fork_skips_pud(chosen: Row) -> Any:
    """What a child reads of a 1 GiB page, and whether the parent's stays exclusive, where chance is unkind."""
    text = "map P x hugetlb 1G\nwrite P x 0x11\nfork P C\nread C x\n"
    played = Play(chosen, text, fork_skips_pud=1)
    return played.view(process="C").byte, played.view().exclusive


def machine(chosen: Row, text: str) -> tuple[Play, Machine]:
    """A played scenario on a small machine of three tasks, for stepping on by hand."""
    played = Play(chosen, text, geometry=TINY)
    return played, played.m


def step_while(m: Machine, task: int, *, limit: int = 200) -> int:
    """Let the task step until it is done or blocked."""
    for _ in range(limit):
        outcome = step(m, task)
        if outcome != k.AGAIN:
            return outcome
    raise AssertionError("the task does not end")


def write_protect_seq(chosen: Row) -> Any:
    """GUP-fast has begun when fork() begins: does its pin stand, or does it start anew behind fork()'s lock?"""
    played, m = machine(chosen, "map P x anon\nwrite P x 0x11\n")
    mm, address = played.address()
    pin_start(m, 1, 0, mm, address, address + 1, k.FOLL_PIN | k.FOLL_WRITE | k.WANT_FAST, k.USER_NONE)
    while not m.task_irqs_off[1]:
        step(m, 1)
    call(m, 2, FN_FORK, mm, 0, 0, 0, 1)
    step(m, 2)
    outcome = step_while(m, 1)
    held = m.pin_count[0]
    step_while(m, 2)
    return "pinned" if outcome == k.DONE else "waits", held, step_while(m, 1)


def zero_page_pin_exempt(chosen: Row) -> Any:
    """References on the zero page while one pin of it is asked for, and what the pin returns."""
    played = Play(chosen, "map P x zeropage\nread P x\npin P x as p\n")
    return played.m.folio_refcount[k.ZERO_PFN], played.errnos[-1]


ORDER_ONE = replace(TINY, levels=6, bits=1)
"""Page tables of two entries: a THP has two pages."""


def pincount_large(chosen: Row) -> Any:
    """References and exact pins of a THP of two pages, both pinned for writing."""
    played = Play(chosen, "map P x thp pages 2\nwrite P x 0x11\npin P x as p write\n", geometry=ORDER_ONE)
    return played.m.folio_refcount[played.frame()], played.m.folio_pincount[played.frame()]


def foll_force(chosen: Row) -> Any:
    """Whether a forced write to an untouched read-only mapping needs a second fault, on the first one's page, and what
    it goes by after that."""
    played = Play(chosen, "map P x anon read\npoke P x 0x11\n")
    sites = {"wp_reuse_exclusive", "foll_write_dropped", "foll_force_follows"} & set(played.sites[-1])
    return played.errnos[-1], sorted(sites), played.writable()


def hugetlb_force_write(chosen: Row) -> Any:
    """A forced write to read-only hugetlb: the errno, and whether the entry is writable then."""
    played = Play(chosen, "map P x hugetlb 2M read\npin P x as p write force\n")
    return played.errnos[-1], played.writable()


def swapin_exclusive(chosen: Row) -> Any:
    """Whether a page that comes back from swap is exclusive: by a read, and by a write after a child had it too."""
    text = "map P x anon\nwrite P x 0x11\nswapout P x\n"
    shared = Play(chosen, f"{text}fork P C\nexit C\nwrite P x 0x22\n")
    return Play(chosen, f"{text}read P x\n").view().exclusive, "swapin_exclusive" in shared.sites[-1]


def swapin_maps_writable(chosen: Row) -> Any:
    """Whether a page that a read brings back from swap is mapped writable."""
    return Play(chosen, "map P x anon\nwrite P x 0x11\nswapout P x\nread P x\n").writable()


def swapout_skips_pinned(chosen: Row) -> Any:
    """How far reclaim goes with a pinned page: its state, and whether it got into the swap cache."""
    played = Play(chosen, "map P x anon\nwrite P x 0x11\npin P x as p write longterm\nmadvise P x pageout\n")
    folio = played.m.run_page[0]
    return played.state(), played.m.folio_flags[folio] & k.FOLIO_SWAPCACHE != 0


PARTLY_SHARED_THP = (
    "map P x thp\nwrite P x 0x11\nmprotect P x[0] read\nmprotect P x[0] rw\nfork P C\nwrite C x[256:] 0x22\n"
)
"""A THP mapped by PTEs, of which a child maps the first half."""


def mapped_shared(chosen: Row) -> Any:
    """Page-out of the half of a THP that a child has copied, and of the same where the parent maps nothing else."""
    pageout = "madvise P x[256:] pageout\n"
    played = Play(chosen, f"{PARTLY_SHARED_THP}{pageout}")
    return played.state(page=256), Play(chosen, f"{PARTLY_SHARED_THP}unmap P x[:256]\n{pageout}").state(page=256)


def pageout_shared_large(chosen: Row) -> Any:
    """Page-out meets half a THP that is shared with a child: does it reach the pages behind?"""
    played = Play(
        chosen,
        "map P x thp\nwrite P x 0x11\nmprotect P x[0] read\nmprotect P x[0] rw\nfork P C\nwrite P x[256:] 0x22\n"
        "madvise P x pageout\n",
    )
    return played.state(page=0), played.state(page=256)


def swap_large(chosen: Row) -> Any:
    """A page of a THP that was paged out is read: does it come back whole from a disk that rotates, from another?"""
    text = "map P x thp\nwrite P x 0x11\nmadvise P x pageout\nread P x[3]\n"
    played = [Play(chosen, text, swap_clusters=clusters) for clusters in (0, 1)]
    return tuple({p.state(page=page) for page in (0, 3, 511)} == {"present"} for p in played)


def mprotect_upgrade(chosen: Row) -> Any:
    """Which entries come out of mprotect() writable: a written page, a clean one from swap, a THP."""
    toggle = "mprotect P x read\nmprotect P x rw\n"
    written = Play(chosen, f"map P x anon\nwrite P x 0x11\n{toggle}").writable()
    clean = Play(chosen, f"map P x anon\nwrite P x 0x11\nswapout P x\nread P x\n{toggle}").writable()
    return written, clean, Play(chosen, f"map P x thp\nwrite P x 0x11\n{toggle}").writable()


def soft_dirty_skips_pinned(chosen: Row) -> Any:
    """Whether a page pinned for writing stays writable when soft-dirty is cleared."""
    return Play(chosen, "map P x anon\nwrite P x 0x11\npin P x as p write longterm\nclear_softdirty P\n").writable()


def fault(played: Play, flags: int, region: str = "x") -> int:
    """The result of one fault with these flags."""
    mm, address = played.address(region)
    call(played.m, 0, FN_FAULT, mm, address, 0, flags, 0)
    return run(played.m, 0)


def fault_flag_sanity(chosen: Row) -> Any:
    """A fault that is to write and to unshare at once: refused?"""
    return fault(Play(chosen, "map P x anon\n"), k.FAULT_FLAG_WRITE | k.FAULT_FLAG_UNSHARE) == -k.EFAULT


def gup_args(chosen: Row) -> Any:
    """What GUP's entry points return for FOLL_GET in pin_*, for FOLL_NOFAULT in *_fast, and for an internal flag."""
    m = create(TINY, chosen, CONFIG)
    calls = (
        (PIN_USER_PAGES, k.FOLL_GET),
        (GET_USER_PAGES_FAST, k.FOLL_LONGTERM),
        (PIN_USER_PAGES_FAST, k.FOLL_NOFAULT),
        (PIN_USER_PAGES, k.FOLL_TOUCH),
    )
    return tuple(is_valid_gup_args(m, api, flags) for api, flags in calls)


def longterm_dirty_tracked(chosen: Row) -> Any:
    """The errno of a writable long-term pin of a shared mapping of an ordinary file."""
    return Play(chosen, "map P x file shared\npin P x as p write longterm\n").errnos[-1]


def direct_io(chosen: Row) -> Any:
    """Whether a page shared with a child is still shared after a direct write of it."""
    played = Play(chosen, "map P x anon\nwrite P x 0x11\nfork P C\ndirect write P x as s\n")
    return played.frame() == played.frame(process="C")


def io_uring_gup(chosen: Row) -> Any:
    """Whether a fixed buffer of a written page is pinned without mmap_lock."""
    return "fast_pinned" in Play(chosen, "map P x anon\nwrite P x 0x11\nio_uring P x as p\n").sites[-1]


def io_uring_files(chosen: Row) -> Any:
    """The errno of a fixed buffer of hugetlb, of shared shmem, and of a shared file."""
    kinds = ("memfd_hugetlb 2M", "memfd", "file")
    return tuple(Play(chosen, f"map P x {kind} shared\nio_uring P x as p\n").errnos[-1] for kind in kinds)


def io_uring_ring(chosen: Row) -> Any:
    """The errno of a fixed buffer of as many pages as the limit has."""
    text = "map P x anon pages 4\ncapability P ipc_lock off\nmemlock P 4\nio_uring P x as p\n"
    return Play(chosen, text).errnos[-1]


def io_uring_pinned_vm(chosen: Row) -> Any:
    """What a fixed buffer counts in pinned_vm without CAP_IPC_LOCK, and with it."""
    text = "map P x anon\nwrite P x 0x11\ncapability P ipc_lock {}\nio_uring P x as p\n"
    return tuple(Play(chosen, text.format(capable)).m.mm_pinned_vm[0] for capable in ("off", "on"))


def lru_batch(chosen: Row) -> Any:
    """References on the first of twenty fresh pages."""
    played = Play(chosen, "map P x anon pages 20\nwrite P x 0x11\n")
    return played.m.folio_refcount[played.frame()]


def mremap_hugetlb(chosen: Row) -> Any:
    """The errno of mremap() of hugetlb."""
    return Play(chosen, "map P x hugetlb 2M\nwrite P x 0x11\nmremap P x to y\n").errnos[-1]


def mremap_several_vmas(chosen: Row) -> Any:
    """The errno of mremap() of a range of which one page has other rights."""
    text = "map P x anon pages 3\nwrite P x 0x11\nmprotect P x[1] read\nmremap P x to y\n"
    return Play(chosen, text).errnos[-1]


def hugetlb_unmap_address(chosen: Row) -> Any:
    """The child has moved its mapping, and no huge page is free: does the owner's write come to an end?"""
    shared = "map P x hugetlb 2M\nwrite P x 0x11\nmap P z hugetlb 2M pages 7680\nfork P C\nmremap C x to y\n"
    return verdict(chosen, f"{shared}write P x 0xff\nexpect P x 0xff\n")


def hugetlb_restores_reserve(chosen: Row) -> Any:
    """Huge pages reserved once the one that was mapped has been discarded, and when a child still had it."""
    text = "map P x hugetlb 2M\nwrite P x 0x11\n{}madvise P x dontneed\n{}"
    alone = Play(chosen, text.format("", ""))
    return alone.m.hugetlb_reserved[0], Play(chosen, text.format("fork P C\n", "exit C\n")).m.hugetlb_reserved[0]


def madv_dontneed_hugetlb(chosen: Row) -> Any:
    """The errno of MADV_DONTNEED of hugetlb."""
    return Play(chosen, "map P x hugetlb 2M\nwrite P x 0x11\nmadvise P x dontneed\n").errnos[-1]


def dontneed_frees_tables(chosen: Row) -> Any:
    """A THP that was mapped by PTEs is discarded page by page, and written again: by a huge entry?"""
    text = "map P x thp\nwrite P x 0x11\nmadvise P x[0] dontneed\nmadvise P x dontneed\nwrite P x 0x22\n"
    return Play(chosen, text).entry() & k.PTE_PSE != 0


def vma_merges_anon(chosen: Row) -> Any:
    """A written page takes the advice of the rest, of which nothing is written, and the other way round: is it one VMA,
    so that fork() copies the zero page of the rest as well?"""
    begin = "map P x anon pages 2\nmadvise P x[1] mergeable\nread P x[1]\nwrite P x[0] 0x11\n"
    changes = ("madvise P x[0] mergeable\n", "madvise P x[1] unmergeable\n")
    return tuple(Play(chosen, f"{begin}{change}fork P C\n").state(page=1, process="C") for change in changes)


def mprotect_unaccounts(chosen: Row) -> Any:
    """The same, where a written part is read-only and the rest becomes so."""
    begin = "map P x anon pages 2\nmadvise P x[1] mergeable\nread P x[1]\nwrite P x[0] 0x11\n"
    change = "mprotect P x[0] read\nmadvise P x[1] unmergeable\nmprotect P x[1] read\n"
    return Play(chosen, f"{begin}{change}fork P C\n").state(page=1, process="C")


def dofork_hugetlb(chosen: Row) -> Any:
    """The errno of MADV_DOFORK of hugetlb, and whether a child has the page then."""
    text = "map P x hugetlb 2M\nwrite P x 0x11\nmadvise P x dontfork\nmadvise P x dofork\nfork P C\n"
    played = Play(chosen, text)
    return played.errnos[-2], played.state(process="C")


def madv_populate(chosen: Row) -> Any:
    """The errno of MADV_POPULATE_WRITE."""
    return Play(chosen, "map P x anon\nmadvise P x populate_write\n").errnos[-1]


def collapsed(chosen: Row, text: str, start: int, end: int) -> int:
    """The errno of MADV_COLLAPSE of pages [start, end) of x."""
    played = Play(chosen, text)
    mm, address = played.address()
    call(played.m, 0, FN_MADVISE, mm, address + start, address + end, MADV_COLLAPSE, 0)
    return -run(played.m, 0)


BASE_PAGES = "map P x anon pages 512\nwrite P x[0] 0x11\nmadvise P x hugepage\n"


def madv_collapse(chosen: Row) -> Any:
    """The errno for base pages that are mapped writable, and for some that are not."""
    return collapsed(chosen, BASE_PAGES, 0, 512), collapsed(chosen, f"{BASE_PAGES}mprotect P x read\n", 0, 512)


def madv_collapse_held(chosen: Row) -> Any:
    """The errno where one of the pages is pinned."""
    return collapsed(chosen, f"{BASE_PAGES}pin P x[0] as p\n", 0, 512)


def madv_collapse_gap(chosen: Row) -> Any:
    """Whether the second PMD is collapsed, where the first maps nothing."""
    played = Play(chosen, "map P x anon pages 1024\nwrite P x[512] 0x11\nmadvise P x hugepage\n")
    mm, address = played.address()
    call(played.m, 0, FN_MADVISE, mm, address, address + 1024, MADV_COLLAPSE, 0)
    run(played.m, 0)
    return played.entry("x", 512) & k.PTE_PSE != 0


def madv_collapse_part(chosen: Row) -> Any:
    """The errno for one page in the midst of a PMD."""
    return collapsed(chosen, BASE_PAGES, 1, 2)


def touch_pmd(chosen: Row) -> Any:
    """Whether a pin for reading leaves the entry of a huge page that nobody has written dirty."""
    played = Play(chosen, "map P x hugezero\nread P x\npin P x as p\n")
    return played.entry() & k.PTE_DIRTY != 0


def hugetlb_wp_reuse(chosen: Row) -> Any:
    """The child holds a shared huge page by vmsplice() and unmaps it: does the parent's next write reach the pipe?"""
    text = "map P x hugetlb 2M\nwrite P x 0x11\nfork P C\nvmsplice C x as p\nunmap C x\nwrite P x 0xff\n"
    return verdict(chosen, f"{text}expect p 0x11\n")


def uffd_continue(chosen: Row) -> Any:
    """The errno of UFFDIO_CONTINUE, and whether it maps a page of a private and of a shared mapping dirty."""
    played = [Play(chosen, f"map P x memfd {how}\nuffdio_continue P x\n") for how in ("private", "shared")]
    return played[0].errnos[-1], *(p.entry() & k.PTE_DIRTY != 0 for p in played)


def hinted(played: Play) -> bool:
    """Whether a NUMA scan has made the page inaccessible, and nothing accessible since."""
    return played.entry() & (k.PTE_PRESENT | k.PTE_PROTNONE) == k.PTE_PROTNONE


def numa_skips(chosen: Row) -> Any:
    """Whether the scan makes a page inaccessible that is pinned, one that is held by reference, and a pinned THP."""
    holds = (("anon", "pin P x as p write"), ("anon", "vmsplice P x as p"), ("thp", "pin P x as p write"))
    return tuple(
        hinted(Play(chosen, f"map P x {kind}\nwrite P x 0x11\ndrain\n{hold}\nnuma_hint P x\n")) for kind, hold in holds
    )


def numa_write(chosen: Row) -> Any:
    """Whether the inaccessible entry of a written page has its write bit, and whether it has it after the next read."""
    played = Play(chosen, "map P x anon\nwrite P x 0x11\ndrain\nnuma_hint P x\nread P x\n", stop=4)
    return played.writable(), played.play().writable()


def numa_huge_fails(chosen: Row) -> Any:
    """Whether the entry of a pinned THP is writable after a hinting fault."""
    return Play(chosen, "map P x thp\nwrite P x 0x11\npin P x as p write\nnuma_hint P x\nread P x\n").writable()


def gup_protnone(chosen: Row) -> Any:
    """Whether the page is inaccessible still after a pin for reading."""
    return hinted(Play(chosen, "map P x anon\nwrite P x 0x11\ndrain\nnuma_hint P x\npin P x as p\n"))


def ksm_protects_exclusive(chosen: Row) -> Any:
    """A page that a read brought back from swap is pinned for reading: does KSM merge it with an equal one?"""
    text = (
        "map P x anon pages 2\nwrite P x 0x11\nswapout P x[0]\nread P x[0]\npin P x[0] as p longterm\n"
        "ksm P x[0] with P x[1]\n"
    )
    played = Play(chosen, text)
    return played.frame() == played.frame(page=1)


def break_ksm(chosen: Row) -> Any:
    """Whether a page is writable once KSM has taken back its merge."""
    text = "map P x anon pages 2\nwrite P x 0x11\nksm P x[0] with P x[1]\nmadvise P x unmergeable\n"
    played = Play(chosen, text)
    return played.view().kind, played.writable()


def thp_split_locks(chosen: Row) -> Any:
    """Parent and child share a THP, and reuse goes by mappings: the child splits its mapping as soon as the parent's
    write has looked.  Is the parent's entry writable then?"""
    mapcount = {"huge_wp_reuse": rules.BY_NAME["huge_wp_reuse"].names.index("mapcount")}
    played, m = machine({**chosen, **mapcount}, "map P x thp\nwrite P x 0x11\nfork P C\n")
    mm, address = played.address()
    call(m, 1, FN_ACCESS, mm, address, address + 1, k.FAULT_FLAG_WRITE, 0x12)
    step(m, 1)
    step(m, 1)
    child, address = played.address(process="C")
    assert split_huge_pmd(m, child, address) == 0
    step(m, 1)
    return bool(played.entry() & k.PTE_PSE), played.writable()


def thp_split_zero_pages(chosen: Row) -> Any:
    """Of a THP that MADV_FREE splits, what is the page that was written, and what one that was not?"""
    played = Play(chosen, "map P x thp\nwrite P x[0] 0x11\nmadvise P x[8:16] free\n")
    return played.view(page=0).kind, played.view(page=1).kind


FREED_THP = (
    "map P x thp\nwrite P x 0x11\nmadvise P x[0] dontfork\n{fork}madvise P x[0] dofork\n"
    "madvise P x free\n{then}madvise P x pageout\n"
)
"""A THP mapped by PTEs, advised MADV_FREE and paged out."""


def madv_free_large(chosen: Row) -> Any:
    """Whether a THP that PTEs map is one still once all of it is lazyfree, and once half of it is, whose pages nobody
    else maps, though a child maps the first."""
    text = FREED_THP.format(fork="", then="")
    played = Play(chosen, text, stop=5)
    half = Play(chosen, f"{PARTLY_SHARED_THP}madvise P x[256:] free\n")
    return played.m.folio_order[played.frame()] > 0, half.m.folio_order[half.frame(process="C")] > 0


def lazyfree_held(chosen: Row) -> Any:
    """A lazyfree page that a pipe holds is paged out, and again once it is let go: where is it?"""
    text = "map P x anon\nwrite P x 0x11\nmadvise P x free\nvmsplice P x as p\nmadvise P x pageout\n"
    played = Play(chosen, f"{text}unpin p\nmadvise P x pageout\n", stop=5)
    return played.state(), played.play().state()


def lazyfree_thp(chosen: Row) -> Any:
    """A lazyfree THP is paged out, and one of its pages read: is another mapped, by a huge entry?"""
    text = "map P x thp\nwrite P x 0x11\nmadvise P x free\nmadvise P x pageout\nread P x[1]\n"
    return Play(chosen, text).state()


def pmd_modify_dirty(chosen: Row) -> Any:
    """A THP is written after MADV_FREE, made read-only, and paged out: what does it read as?"""
    text = "map P x thp\nwrite P x 0x11\nmadvise P x free\nwrite P x 0x22\nmprotect P x read\n"
    return Play(chosen, f"{text}madvise P x pageout\nread P x\n").view().byte


def lazyfree_batch(chosen: Row) -> Any:
    """Of a lazyfree THP, one page is written: does another stay; and a read-only one is put back: is it writable?"""
    whole = {"madv_free_large": rules.BY_NAME["madv_free_large"].names.index("whole")}
    written = Play({**chosen, **whole}, FREED_THP.format(fork="", then="write P x[1] 0x12\n"))
    shared = FREED_THP.format(fork="fork P C\nvmsplice C x[1] as p\nunmap C x\n", then="")
    return written.state(), Play({**chosen, **whole}, shared).writable(page=1)


EXPECTED: dict[Probe, dict[str, Any]] = {
    gup_unshares: {
        "none": ("violated", "violated"),
        "anon": ("violated", "held"),
        "cow_longterm": ("held", "held"),
    },
    anon_exclusive: {"no": "violated", "yes": "held"},
    wp_reuse: {
        "mapcount": ["wp_reuse_mapcount"],
        "references": ["wp_copy"],
        "references_drained": ["wp_reuse_refcount"],
    },
    wp_reuse_large: {
        "references": (["wp_copy"], ["wp_reuse_refcount"]),
        "never": (["wp_copy"], ["wp_copy"]),
        "exclusive_mm": (["wp_reuse_large"], ["wp_copy"]),
    },
    huge_wp_reuse: {"mapcount": "violated", "references": "held"},
    huge_zero_wp: {"split": "zero", "thp": "anon"},
    huge_zero_special: {
        "no": ["unshare_not_longterm", "fast_pinned"],
        "yes": ["fast_falls_back", "unshare_not_longterm"],
    },
    fork_copies_pinned: {
        "none": ("violated", "file", True),
        "any": ("held", "anon", False),
        "anonymous": ("held", "file", False),
        "exclusive": ("held", "file", True),
    },
    fork_copies_hugetlb_files: {"yes": "present", "no": "none"},
    fork_copies_pinned_hugetlb: {"no": "violated", "yes": "held"},
    fork_hugetlb_copy_writable: {"always": 0, "vma_writable": k.EFAULT},
    fork_skips_pud: {"no": (0x11, False), "by_chance": (0, True)},
    write_protect_seq: {"no": ("pinned", 1, k.DONE), "yes": ("waits", 0, k.DONE)},
    zero_page_pin_exempt: {"no": (1 + GUP_PIN_COUNTING_BIAS, 0), "yes": (1, 0), "slow_fails": (1, k.ENOMEM)},
    pincount_large: {"more_than_two_pages": (1 + 2 * GUP_PIN_COUNTING_BIAS, 0), "large": (3, 2)},
    foll_force: {
        "drops_write": (0, ["foll_write_dropped", "wp_reuse_exclusive"], False),
        "foll_cow": (0, ["foll_force_follows", "wp_reuse_exclusive"], False),
        "exclusive": (0, ["foll_force_follows"], False),
    },
    hugetlb_force_write: {"unchecked": (0, True), "refused": (k.EFAULT, False), "supported": (0, False)},
    swapin_exclusive: {
        "counts_on_write": (False, True),
        "mark_or_references": (True, True),
        "mark": (True, False),
    },
    swapin_maps_writable: {"write_fault": False, "vma_writable": True},
    swapout_skips_pinned: {"no": ("present", True), "yes": ("present", False)},
    mapped_shared: {
        "page": ("swapped", "swapped"),
        "guess": ("present", "swapped"),
        "mm_ids": ("present", "present"),
    },
    pageout_shared_large: {"gives_up": ("present", "present"), "goes_on": ("present", "swapped")},
    swap_large: {
        "split": (False, False),
        "whole_in_clusters": (False, True),
        "whole": (True, True),
    },
    mprotect_upgrade: {
        "none": (False, False, False),
        "exclusive_dirty": (True, False, False),
        "exclusive": (True, True, True),
    },
    soft_dirty_skips_pinned: {"no": False, "yes": True},
    fault_flag_sanity: {"no": False, "yes": True},
    gup_args: {
        "per_entry_point": (-k.EINVAL, -k.EINVAL, -k.EINVAL, 0),
        "per_entry_point_nofault": (-k.EINVAL, -k.EINVAL, 0, 0),
        "is_valid_gup_args": (1, -k.EINVAL, 0, 1),
    },
    longterm_dirty_tracked: {"allowed": 0, "refused": k.EFAULT},
    direct_io: {"foll_get": True, "foll_pin": False},
    io_uring_gup: {"slow": False, "fast": True},
    io_uring_files: {
        "hugetlb": (0, k.EOPNOTSUPP, k.EOPNOTSUPP),
        "hugetlb_shmem": (0, 0, k.EOPNOTSUPP),
        "any": (0, 0, 0),
    },
    io_uring_ring: {"charged": k.ENOMEM, "free": 0},
    io_uring_pinned_vm: {"all": (1, 1), "user_pays": (1, 0)},
    lru_batch: {"15": 1, "31": 2},
    mremap_hugetlb: {"no": k.EINVAL, "yes": 0},
    mremap_several_vmas: {"no": k.EFAULT, "yes": 0},
    hugetlb_unmap_address: {"owner": "livelock", "each_mapping": "held"},
    hugetlb_restores_reserve: {"no": (0, 0), "each_unmap": (1, 1), "last_unmap": (1, 0)},
    madv_dontneed_hugetlb: {"no": k.EINVAL, "yes": 0},
    dontneed_frees_tables: {"no": False, "yes": True},
    vma_merges_anon: {"neighbour_has": ("none", "present"), "either_has": ("present", "present")},
    mprotect_unaccounts: {"no": "present", "yes": "none"},
    dofork_hugetlb: {"allowed": (0, "present"), "refused": (k.EINVAL, "none")},
    madv_populate: {"no": k.EINVAL, "yes": 0},
    madv_collapse: {"none": (k.EINVAL, k.EINVAL), "writable": (0, k.EINVAL), "any": (0, 0)},
    madv_collapse_held: {"einval": k.EINVAL, "eagain": k.EAGAIN},
    madv_collapse_gap: {"stops": False, "goes_on": True},
    madv_collapse_part: {"einval": k.EINVAL, "nothing": 0},
    hugetlb_wp_reuse: {"mapcount": "violated", "references": "held"},
    uffd_continue: {
        "absent": (k.EINVAL, 0, 0),
        "dirty_if_writable": (0, False, True),
        "dirty": (0, True, True),
    },
    touch_pmd: {"any": True, "writes": False},
    numa_skips: {
        "mapped_twice": (True, True, True),
        "referenced": (False, False, True),
        "shared_or_pinned": (False, True, True),
        "any_pinned": (False, True, False),
    },
    numa_write: {"saved": (True, True), "judged": (False, True)},
    numa_huge_fails: {"read_only": False, "as_it_was": True},
    gup_protnone: {"faults": False, "follows": True},
    ksm_protects_exclusive: {"no": True, "yes": False},
    thp_split_zero_pages: {"stay": ("anon", "anon"), "zero_page": ("anon", "zero")},
    madv_free_large: {"splits": (False, False), "splits_by_first": (False, True), "whole": (True, False)},
    lazyfree_held: {
        "discarded": ("none", "none"),
        "swap_backed": ("present", "swapped"),
        "kept": ("present", "none"),
    },
    pmd_modify_dirty: {"kept": 0x22, "lost": 0},
    lazyfree_thp: {"split": "none", "whole": "present"},
    lazyfree_batch: {
        "single": ("none", False),
        "any_rights": ("present", True),
        "same_rights": ("present", False),
    },
    thp_split_locks: {"no": (True, True), "yes": (False, False)},
    break_ksm: {"write": ("anon", True), "unshare": ("anon", False)},
}
"""Probe -> what it gives on the row of 6.2 with each value of the rule that it is named after."""

UNSHARE_BREAKS = {
    "none": ("livelock", "livelock"),
    "anon": ("livelock", "held"),
    "cow_mapping": ("held", "held"),
}
"""What gup_unshares gives with the values of unshare_breaks: a GUP that asks in vain asks for ever."""

PROBES: dict[str, Probe] = {probe.__name__: probe for probe in EXPECTED} | {"unshare_breaks": unshare_breaks}
OUTCOMES = {probe.__name__: outcomes for probe, outcomes in EXPECTED.items()} | {"unshare_breaks": UNSHARE_BREAKS}
