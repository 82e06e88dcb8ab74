"""What a small machine must have for what is done on it: the one table, for scopes and for `small` lines.

Without it a step would be done on a machine that cannot be, and found at fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pinhold.scenario.small import BOUNDS, Small
from pinhold.scenario.step import Madvise, Map, Step, SwapIn, SwapOut, done_by
from pinhold.scenario.watch import HUGETLB_KINDS

THP: Mapping[str, int] = {"levels": 2, "thps": 1}
HUGETLB: Mapping[str, int] = {"levels": 2, "hugetlb": 1}
SWAP: Mapping[str, int] = {"swap": 1}


def needed(step: Step) -> Mapping[str, int]:
    """Words of the small line, and the least that the step needs of each."""
    match done_by(step):
        case Map(kind="thp" | "hugezero") | Madvise(advice="hugepage"):
            return THP
        case Map(kind=kind, size="1G") if kind in HUGETLB_KINDS:
            return {"levels": 3}
        case Map(kind=kind) if kind in HUGETLB_KINDS:
            return HUGETLB
        case SwapOut() | SwapIn():
            return SWAP
    return {}


def lacking(small: Small, step: Step) -> str | None:
    """What the machine lacks for the step, e.g. "levels 2"."""
    return " and ".join(missing(small, needed(step))) or None


def inconsistent(small: Small) -> str | None:
    """What the machine lacks for what it has itself, and what that is, e.g. "thps 1 for thp 1"."""
    for word in ("thp", "use_zero_page"):
        if getattr(small, word) and not small.thps:
            return f"thps 1 for {word} 1"
    for word, wanted in (("thps", THP), ("hugetlb", HUGETLB)):
        if getattr(small, word) and (lack := " and ".join(missing(small, wanted))):
            return f"{lack} for {word} {getattr(small, word)}"
    return None


def missing(small: Small, wanted: Mapping[str, int]) -> Iterator[str]:
    for word, least in wanted.items():
        if getattr(small, word) < least:
            yield f"{word} {least}" + (", which none has" if least > BOUNDS[word][1] else "")
