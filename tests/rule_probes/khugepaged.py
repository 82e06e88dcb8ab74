"""Probes of the rules of MADV_COLLAPSE."""

from __future__ import annotations

from typing import Any

from pinhold.mm import flags as k
from pinhold.mm.madvise import MADV_COLLAPSE
from pinhold.mm.step import run
from pinhold.mm.task import FN_MADVISE, call
from play import Play, Row
from rule_probes.registry import probe


def collapsed(chosen: Row, text: str, start: int, end: int) -> int:
    """The errno of MADV_COLLAPSE of pages [start, end) of x."""
    played = Play(chosen, text)
    mm, address = played.address()
    call(played.m, 0, FN_MADVISE, mm, address + start, address + end, MADV_COLLAPSE, 0)
    return -run(played.m, 0)


BASE_PAGES = "map P x anon pages 512\nwrite P x[0] 0x11\nmadvise P x hugepage\n"


@probe({"none": (k.EINVAL, k.EINVAL), "writable": (0, k.EINVAL), "any": (0, 0)})
def madv_collapse(chosen: Row) -> Any:
    """The errno for base pages that are mapped writable, and for some that are not."""
    return collapsed(chosen, BASE_PAGES, 0, 512), collapsed(chosen, f"{BASE_PAGES}mprotect P x read\n", 0, 512)


@probe({"einval": k.EINVAL, "eagain": k.EAGAIN})
def madv_collapse_held(chosen: Row) -> Any:
    """The errno where one of the pages is pinned."""
    return collapsed(chosen, f"{BASE_PAGES}pin P x[0] as p\n", 0, 512)


@probe({"stops": False, "goes_on": True})
def madv_collapse_gap(chosen: Row) -> Any:
    """Whether the second PMD is collapsed, where the first maps nothing."""
    played = Play(chosen, "map P x anon pages 1024\nwrite P x[512] 0x11\nmadvise P x hugepage\n")
    mm, address = played.address()
    call(played.m, 0, FN_MADVISE, mm, address, address + 1024, MADV_COLLAPSE, 0)
    run(played.m, 0)
    return played.entry("x", 512) & k.PTE_PSE != 0


@probe({"einval": k.EINVAL, "nothing": 0})
def madv_collapse_part(chosen: Row) -> Any:
    """The errno for one page in the midst of a PMD."""
    return collapsed(chosen, BASE_PAGES, 1, 2)
