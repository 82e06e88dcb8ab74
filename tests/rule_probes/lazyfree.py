"""Probes of the rules of MADV_FREE."""

from __future__ import annotations

from typing import Any

from pinhold.mm import flags as k
from pinhold.mm import rules
from play import Play, Row
from rule_probes.registry import probe
from rule_probes.swap import PARTLY_SHARED_THP

FREED_THP = (
    "map P x thp\nwrite P x 0x11\nmadvise P x[0] dontfork\n{fork}madvise P x[0] dofork\n"
    "madvise P x free\n{then}madvise P x pageout\n"
)
"""A THP mapped by PTEs, advised MADV_FREE and paged out."""


@probe({"splits": (False, False), "splits_by_first": (False, True), "whole": (True, False)})
def madv_free_large(chosen: Row) -> Any:
    """Whether a THP that PTEs map is one still once all of it is lazyfree, and once half of it is, whose pages nobody
    else maps, though a child maps the first."""
    text = FREED_THP.format(fork="", then="")
    played = Play(chosen, text, stop=5)
    half = Play(chosen, f"{PARTLY_SHARED_THP}madvise P x[256:] free\n")
    return played.m.folio_order[played.frame()] > 0, half.m.folio_order[half.frame(process="C")] > 0


@probe(
    {
        "discarded": ("none", "none"),
        "swap_backed": ("present", "swapped"),
        "kept": ("present", "none"),
    }
)
def lazyfree_held(chosen: Row) -> Any:
    """A lazyfree page that a pipe holds is paged out, and again once it is let go: where is it?"""
    text = "map P x anon\nwrite P x 0x11\nmadvise P x free\nvmsplice P x as p\nmadvise P x pageout\n"
    played = Play(chosen, f"{text}unpin p\nmadvise P x pageout\n", stop=5)
    return played.state(), played.play().state()


@probe({"split_folio": ("none", True), "split": ("none", False), "whole": ("present", False)})
def lazyfree_thp(chosen: Row) -> Any:
    """A lazyfree THP is paged out, and one of its pages read: is another mapped, by a huge entry?  And is one that
    somebody holds mapped so still?"""
    freed = "map P x thp\nwrite P x 0x11\nmadvise P x free\n"
    held = Play(chosen, f"{freed}vmsplice P x[1] as p\nmadvise P x pageout\n")
    return Play(chosen, f"{freed}madvise P x pageout\nread P x[1]\n").state(), held.entry() & k.PTE_PSE != 0


@probe(
    {
        "single": ("none", False),
        "any_rights": ("present", True),
        "same_rights": ("present", False),
    }
)
def lazyfree_batch(chosen: Row) -> Any:
    """Of a lazyfree THP, one page is written: does another stay; and a read-only one is put back: is it writable?"""
    whole = {"madv_free_large": rules.BY_NAME["madv_free_large"].names.index("whole")}
    written = Play({**chosen, **whole}, FREED_THP.format(fork="", then="write P x[1] 0x12\n"))
    shared = FREED_THP.format(fork="fork P C\nvmsplice C x[1] as p\nunmap C x\n", then="")
    return written.state(), Play({**chosen, **whole}, shared).writable(page=1)
