"""Profiles: what a random scenario is about, as weights of verbs, kinds of memory and advice.

A profile names what it favours; everything else of the language has the weight `rest`, so that a step, a kind or an
advice that is new to the language is generated without being named here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Profile:
    """kinds, verbs, advice: weights of those that it favours, by name.  needs: names of a target's configuration
    (TargetInfo.config) that must not be 0 for it.  processes: alive at a time, at most.  anywhere: how often a range is
    taken without a look at what is mapped there, for the errnos."""

    kinds: Mapping[str, float] = field(default_factory=dict)
    verbs: Mapping[str, float] = field(default_factory=dict)
    advice: Mapping[str, float] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    rest: float = 0.3
    processes: int = 3
    anywhere: float = 0.06


PROFILES: Mapping[str, Profile] = {
    "anon": Profile({"anon": 4, "zeropage": 1}, {"mremap": 1, "mprotect": 1, "clear_softdirty": 1}),
    "file": Profile({"memfd": 2, "tmpfile": 1, "file": 2}, {"writeback": 1}),
    "thp": Profile(
        {"thp": 4, "hugezero": 2},
        {"madvise": 3, "mremap": 1, "mprotect": 1, "fork": 0.6},
        {"collapse": 2, "hugepage": 1, "nohugepage": 1, "dontneed": 1, "pageout": 1, "free": 1},
        needs=("thp",),
    ),
    "hugetlb": Profile({"hugetlb": 3, "memfd_hugetlb": 3}, needs=("hugetlb_2M",)),
    "swap": Profile(
        {"anon": 3, "memfd": 1, "thp": 2},
        {"swapout": 3, "swapin": 1, "madvise": 2, "clear_softdirty": 0.6},
        {"pageout": 2, "free": 3},
        needs=("swap",),
    ),
    "ksm": Profile(
        {"anon": 4, "thp": 0.5, "memfd": 0.5},
        {"ksm": 4, "write": 3, "fork": 1, "pin": 1, "swapout": 1, "mremap": 1, "madvise": 1},
        {"mergeable": 2, "unmergeable": 1},
        needs=("ksm",),
    ),
    "userfaultfd": Profile({"memfd": 4, "memfd_hugetlb": 1}, {"uffdio_continue": 4, "madvise": 1}),
    "pins": Profile(
        {"anon": 3, "memfd": 1, "file": 1, "thp": 1, "zeropage": 1},
        {"pin": 3, "io_uring": 2, "vmsplice": 2, "unpin": 1, "device read": 1, "device write": 1.5, "poke": 1}
        | {"capability": 1, "memlock": 1},
    ),
    "memlock": Profile(
        {"anon": 1, "thp": 3},
        {"io_uring": 4, "pin": 2, "unpin": 1, "memlock": 5, "capability": 4, "fork": 1},
    ),
    "fork": Profile({"anon": 3, "memfd": 1, "thp": 1}, {"fork": 3, "exit": 1}, processes=5),
    "mixed": Profile(rest=1.0),
    "wild": Profile(rest=1.0, processes=5, anywhere=0.5),
}
