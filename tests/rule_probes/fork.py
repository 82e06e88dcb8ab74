"""Probes of the rules of fork()."""

from __future__ import annotations

from typing import Any

from pinhold.mm import flags as k
from pinhold.mm.pin import GUP_PIN_COUNTING_BIAS, try_grab_folio
from play import Play, Row, verdict
from rule_probes.registry import probe


@probe(
    {
        "none": ("violated", "file", True),
        "any": ("held", "anon", False),
        "anonymous": ("held", "file", False),
        "exclusive": ("held", "file", True),
    }
)
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


@probe({"yes": "present", "no": "none"})
def fork_copies_hugetlb_files(chosen: Row) -> Any:
    """What the child has mapped of a private hugetlb file of which the parent has only read."""
    return Play(chosen, "map P x memfd_hugetlb 2M private\nread P x\nfork P C\n").state(process="C")


@probe({"no": "violated", "yes": "held"})
def fork_copies_pinned_hugetlb(chosen: Row) -> Any:
    """Whether a hugetlb page pinned for writing is reliable over fork()."""
    pinned = "map P x hugetlb 2M\nwrite P x 0x11\npin P x as p write longterm\n"
    return verdict(chosen, f"{pinned}fork P C\nwrite P x 0xff\nexpect p sees P x\n")


@probe({"always": 0, "vma_writable": k.EFAULT})
def fork_hugetlb_copy_writable(chosen: Row) -> Any:
    """Whether the child can write to its copy of a pinned hugetlb page in a mapping that is read-only."""
    pinned = "map P x hugetlb 2M\nwrite P x 0x11\npin P x as p write longterm\n"
    return Play(chosen, f"{pinned}mprotect P x read\nfork P C\nwrite C x 0xff\n").errnos[-1]


@probe({"no": (0x11, False), "by_chance": (0, True)})
def fork_skips_pud(chosen: Row) -> Any:
    """What a child reads of a 1 GiB page, and whether the parent's stays exclusive, where chance is unkind."""
    text = "map P x hugetlb 1G\nwrite P x 0x11\nfork P C\nread C x\n"
    played = Play(chosen, text, fork_skips_pud=1)
    return played.view(process="C").byte, played.view().exclusive
