"""Probes of the rules of NUMA balancing."""

from __future__ import annotations

from typing import Any

from pinhold.mm import flags as k
from play import Play, Row
from rule_probes.registry import probe


def hinted(played: Play) -> bool:
    """Whether a NUMA scan has made the page inaccessible, and nothing accessible since."""
    return played.entry() & (k.PTE_PRESENT | k.PTE_PROTNONE) == k.PTE_PROTNONE


@probe(
    {
        "mapped_twice": (True, True, True),
        "referenced": (False, False, True),
        "shared_or_pinned": (False, True, True),
        "any_pinned": (False, True, False),
    }
)
def numa_skips(chosen: Row) -> Any:
    """Whether the scan makes a page inaccessible that is pinned, one that is held by reference, and a pinned THP."""
    holds = (("anon", "pin P x as p write"), ("anon", "vmsplice P x as p"), ("thp", "pin P x as p write"))
    return tuple(
        hinted(Play(chosen, f"map P x {kind}\nwrite P x 0x11\ndrain\n{hold}\nnuma_hint P x\n")) for kind, hold in holds
    )


@probe({"saved": (True, True), "judged": (False, True)})
def numa_write(chosen: Row) -> Any:
    """Whether the inaccessible entry of a written page has its write bit, and whether it has it after the next read."""
    played = Play(chosen, "map P x anon\nwrite P x 0x11\ndrain\nnuma_hint P x\nread P x\n", stop=4)
    return played.writable(), played.play().writable()


@probe({"read_only": False, "as_it_was": True})
def numa_huge_fails(chosen: Row) -> Any:
    """Whether the entry of a pinned THP is writable after a hinting fault."""
    return Play(chosen, "map P x thp\nwrite P x 0x11\npin P x as p write\nnuma_hint P x\nread P x\n").writable()
