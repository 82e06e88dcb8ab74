"""Probes of the rules of swap."""

from __future__ import annotations

from typing import Any

from pinhold.mm import flags as k
from pinhold.mm.rules.swap import SWAP_WHOLE
from play import Play, Row
from rule_probes.registry import probe


@probe(
    {
        "counts_on_write": (False, True),
        "mark_or_references": (True, True),
        "mark": (True, False),
    }
)
def swapin_exclusive(chosen: Row) -> Any:
    """Whether a page that comes back from swap is exclusive: by a read, and by a write after a child had it too."""
    text = "map P x anon\nwrite P x 0x11\nswapout P x\n"
    shared = Play(chosen, f"{text}fork P C\nexit C\nwrite P x 0x22\n")
    return Play(chosen, f"{text}read P x\n").view().exclusive, "swapin_exclusive" in shared.sites[-1]


@probe({"write_fault": False, "vma_writable": True})
def swapin_maps_writable(chosen: Row) -> Any:
    """Whether a page that a read brings back from swap is mapped writable."""
    return Play(chosen, "map P x anon\nwrite P x 0x11\nswapout P x\nread P x\n").writable()


@probe({"no": ("present", True), "yes": ("present", False)})
def swapout_skips_pinned(chosen: Row) -> Any:
    """How far reclaim goes with a pinned page: its state, and whether it got into the swap cache."""
    played = Play(chosen, "map P x anon\nwrite P x 0x11\npin P x as p write longterm\nmadvise P x pageout\n")
    folio = played.m.run_page[0]
    return played.state(), played.m.folio_flags[folio] & k.FOLIO_SWAPCACHE != 0


@probe({"no": "none", "yes": "present"})
def reclaim_skips_pinned(chosen: Row) -> Any:
    """Of a file with dirty pages, all pinned, none goes; a fault for the first: does fault-around map the second?"""
    text = "map P x tmpfile pages 2\npin P x as p\nmadvise P x pageout\nread P x[0]\n"
    return Play(chosen, text).state(page=1)


PARTLY_SHARED_THP = (
    "map P x thp\nwrite P x 0x11\nmprotect P x[0] read\nmprotect P x[0] rw\nfork P C\nwrite C x[256:] 0x22\n"
)
"""A THP mapped by PTEs, of which a child maps the first half."""


@probe(
    {
        "page": ("swapped", "swapped"),
        "guess": ("present", "swapped"),
        "mm_ids": ("present", "present"),
    }
)
def mapped_shared(chosen: Row) -> Any:
    """Page-out of the half of a THP that a child has copied, and of the same where the parent maps nothing else."""
    pageout = "madvise P x[256:] pageout\n"
    played = Play(chosen, f"{PARTLY_SHARED_THP}{pageout}")
    return played.state(page=256), Play(chosen, f"{PARTLY_SHARED_THP}unmap P x[:256]\n{pageout}").state(page=256)


@probe({"gives_up": ("present", "present"), "goes_on": ("present", "swapped")})
def pageout_shared_large(chosen: Row) -> Any:
    """Page-out meets half a THP that is shared with a child: does it reach the pages behind?"""
    played = Play(
        chosen,
        "map P x thp\nwrite P x 0x11\nmprotect P x[0] read\nmprotect P x[0] rw\nfork P C\nwrite P x[256:] 0x22\n"
        "madvise P x pageout\n",
    )
    return played.state(page=0), played.state(page=256)


@probe(
    {
        "split": (False, False),
        "whole_in_clusters": (False, True),
        "whole": (True, True),
    }
)
def swap_large(chosen: Row) -> Any:
    """A page of a THP that was paged out is read: does it come back whole from a disk that rotates, from another?"""
    text = "map P x thp\nwrite P x 0x11\nmadvise P x pageout\nread P x[3]\n"
    played = [Play(chosen, text, swap_clusters=clusters) for clusters in (0, 1)]
    return tuple({p.state(page=page) for page in (0, 3, 511)} == {"present"} for p in played)


@probe({"written": ("present", "present"), "noted": ("swapped", "present")})
def swap_zero_filled(chosen: Row) -> Any:
    """A THP of zeros, and one that has a byte, are paged out whole, and a page of each is read: does another come?"""
    whole = {**chosen, "swap_large": SWAP_WHOLE}
    texts = (
        f"map P x thp\nwrite P x 0x00\n{byte}madvise P x pageout\nread P x[3]\n" for byte in ("", "write P x[9] 1\n")
    )
    return tuple(Play(whole, text).state(page=5) for text in texts)


@probe({"end_of_file": "none", "end_of_window": "present"})
def readahead_mark(chosen: Row) -> Any:
    """A file of 17 pages is written back and reclaimed; a read brings all of them: is the ninth from the end mapped?"""
    text = "map P x file shared pages 17\nwrite P x 1\nwriteback P x\nmadvise P x pageout\nread P x[3]\n"
    return Play(chosen, text).state(page=9)
