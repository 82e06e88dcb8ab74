"""Probes of the rules of write and unshare faults, and of fresh pages."""

from __future__ import annotations

from typing import Any

from pinhold.mm import flags as k
from pinhold.mm.step import run
from pinhold.mm.task import FN_FAULT, call
from play import Play, Row, verdict
from rule_probes.gup import gup_unshares
from rule_probes.registry import probe


@probe(
    {
        "none": ("livelock", "livelock"),
        "anon": ("livelock", "held"),
        "cow_mapping": ("held", "held"),
    }
)
def unshare_breaks(chosen: Row) -> Any:
    """What gup_unshares asks for: a GUP that asks in vain asks for ever."""
    return gup_unshares(chosen)


@probe({"no": "violated", "yes": "held"})
def anon_exclusive(chosen: Row) -> Any:
    """A page in a pipe is write-protected by clearing soft-dirty: does the owner's next write stay in it?"""
    text = "map P x anon\nwrite P x 0x11\nvmsplice P x as p\nclear_softdirty P\nwrite P x 0xff\nexpect p sees P x\n"
    return verdict(chosen, text)


@probe(
    {
        "mapcount": ["wp_reuse_mapcount"],
        "references": ["wp_copy"],
        "references_drained": ["wp_reuse_refcount"],
    }
)
def wp_reuse(chosen: Row) -> Any:
    """The child has copied; the owner's page waits in the LRU batch: does the owner copy as well?"""
    played = Play(chosen, "map P x anon\nwrite P x 0x11\nfork P C\nwrite C x 0x22\nwrite P x 0xff\n")
    return played.sites[-1]


@probe(
    {
        "references": (["wp_copy"], ["wp_reuse_refcount"]),
        "never": (["wp_copy"], ["wp_copy"]),
        "exclusive_mm": (["wp_reuse_large"], ["wp_copy"]),
    }
)
def wp_reuse_large(chosen: Row) -> Any:
    """A PTE-mapped THP that was shared with a child: a write with all its pages mapped, and with one page left."""
    shared = "map P x thp\nwrite P x 0x11\nmprotect P x[0] read\nmprotect P x[0] rw\nfork P C\nexit C\n"
    whole = Play(chosen, f"{shared}write P x[7] 0xff\n").sites[-1]
    return whole, Play(chosen, f"{shared}unmap P x[1:]\nwrite P x[0] 0xff\n").sites[-1]


@probe({"mapcount": "violated", "references": "held"})
def huge_wp_reuse(chosen: Row) -> Any:
    """The child holds a shared THP by vmsplice() and unmaps it: does the parent's next write reach the pipe?"""
    text = "map P x thp\nwrite P x 0x11\nfork P C\nvmsplice C x as p\nunmap C x\nwrite P x 0xff\nexpect p 0x11\n"
    return verdict(chosen, text)


@probe({"split": "zero", "thp": "anon"})
def huge_zero_wp(chosen: Row) -> Any:
    """What another page of a huge-zero mapping is after a write to one."""
    return Play(chosen, "map P x hugezero\nread P x\nwrite P x[5] 0xff\n").view(page=0).kind


def fault(played: Play, flags: int, region: str = "x") -> int:
    """The result of one fault with these flags."""
    mm, address = played.address(region)
    call(played.m, 0, FN_FAULT, mm, address, 0, flags, 0)
    return run(played.m, 0)


@probe({"no": False, "yes": True})
def fault_flag_sanity(chosen: Row) -> Any:
    """A fault that is to write and to unshare at once: refused?"""
    return fault(Play(chosen, "map P x anon\n"), k.FAULT_FLAG_WRITE | k.FAULT_FLAG_UNSHARE) == -k.EFAULT


@probe({"15": 1, "31": 2})
def lru_batch(chosen: Row) -> Any:
    """References on the first of twenty fresh pages."""
    played = Play(chosen, "map P x anon pages 20\nwrite P x 0x11\n")
    return played.m.folio_refcount[played.frame()]
