"""Probes of the rules of hugetlb."""

from __future__ import annotations

from typing import Any

from pinhold.mm import flags as k
from pinhold.mm.folio import page_folio
from play import Play, Row, verdict
from rule_probes.registry import probe


@probe({"unchecked": (0, True), "refused": (k.EFAULT, False), "supported": (0, False)})
def hugetlb_force_write(chosen: Row) -> Any:
    """A forced write to read-only hugetlb: the errno, and whether the entry is writable then."""
    played = Play(chosen, "map P x hugetlb 2M read\npin P x as p write force\n")
    return played.errnos[-1], played.writable()


@probe({"no": False, "yes": True})
def hugetlb_touch(chosen: Row) -> Any:
    """A shared mapping that was read becomes writable, and is pinned to be written to by who touches: is its entry
    dirty?"""
    text = "map P x memfd_hugetlb 2M shared read\nread P x\nmprotect P x rw\npin P x as p write longterm user vfio\n"
    return Play(chosen, text).entry() & k.PTE_DIRTY != 0


@probe({"one": 2, "each_page": 513})
def hugetlb_cache_refs(chosen: Row) -> Any:
    """References of a huge page of a file that one process maps."""
    played = Play(chosen, "map P x memfd_hugetlb 2M shared\nwrite P x 0x11\n")
    return played.m.folio_refcount[page_folio(played.m, played.frame())]


@probe({"no": k.EINVAL, "yes": 0})
def mremap_hugetlb(chosen: Row) -> Any:
    """The errno of mremap() of hugetlb."""
    return Play(chosen, "map P x hugetlb 2M\nwrite P x 0x11\nmremap P x to y\n").errnos[-1]


@probe({"owner": "livelock", "each_mapping": "held"})
def hugetlb_unmap_address(chosen: Row) -> Any:
    """The child has moved its mapping, and no huge page is free: does the owner's write come to an end?"""
    shared = "map P x hugetlb 2M\nwrite P x 0x11\nmap P z hugetlb 2M pages 7680\nfork P C\nmremap C x to y\n"
    return verdict(chosen, f"{shared}write P x 0xff\nexpect P x 0xff\n")


@probe({"no": (0, 0), "each_unmap": (1, 1), "last_unmap": (1, 0)})
def hugetlb_restores_reserve(chosen: Row) -> Any:
    """Huge pages reserved once the one that was mapped has been discarded, and when a child still had it."""
    text = "map P x hugetlb 2M\nwrite P x 0x11\n{}madvise P x dontneed\n{}"
    alone = Play(chosen, text.format("", ""))
    return alone.m.hugetlb_reserved[0], Play(chosen, text.format("fork P C\n", "exit C\n")).m.hugetlb_reserved[0]


@probe({"no": k.EINVAL, "yes": 0})
def madv_dontneed_hugetlb(chosen: Row) -> Any:
    """The errno of MADV_DONTNEED of hugetlb."""
    return Play(chosen, "map P x hugetlb 2M\nwrite P x 0x11\nmadvise P x dontneed\n").errnos[-1]


@probe({"allowed": (0, "present"), "refused": (k.EINVAL, "none")})
def dofork_hugetlb(chosen: Row) -> Any:
    """The errno of MADV_DOFORK of hugetlb, and whether a child has the page then."""
    text = "map P x hugetlb 2M\nwrite P x 0x11\nmadvise P x dontfork\nmadvise P x dofork\nfork P C\n"
    played = Play(chosen, text)
    return played.errnos[-2], played.state(process="C")


@probe({"mapcount": "violated", "references": "held"})
def hugetlb_wp_reuse(chosen: Row) -> Any:
    """The child holds a shared huge page by vmsplice() and unmaps it: does the parent's next write reach the pipe?"""
    text = "map P x hugetlb 2M\nwrite P x 0x11\nfork P C\nvmsplice C x as p\nunmap C x\nwrite P x 0xff\n"
    return verdict(chosen, f"{text}expect p 0x11\n")
