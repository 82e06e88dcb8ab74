"""What a small machine must have for what is done on it: the one table, for scopes and for `small` lines.

Without it a step would be done on a machine that cannot be, and found at fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pinhold.scenario.advice import ADVICE
from pinhold.scenario.small import BOUNDS, Small
from pinhold.scenario.steps import Madvise, Map, Step, SwapIn, SwapOut, done_by

THP: Mapping[str, int] = {"levels": 2, "thps": 1}
HUGETLB: Mapping[str, int] = {"levels": 2, "hugetlb": 1}
SWAP: Mapping[str, int] = {"swap": 1}


def needed(step: Step) -> Mapping[str, int]:
    """Words of the small line, and the least that the step needs of each; a file is not asked for again."""
    match done_by(step):
        case Map(of=None) as mapped if mapped.memory.thp:
            return THP
        case Map(of=None) as mapped if mapped.memory.hugetlb:
            return {"levels": 3} if mapped.size == "1G" else HUGETLB
        case Madvise(advice=advice) if ADVICE[advice].thp:
            return THP
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
