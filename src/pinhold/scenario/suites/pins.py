"""The suite `pins`: what a read-only pin still sees after its owner's next write, by kind of private memory.

Long-term pins have to see it on every kind.  A short pin is a snapshot of what is not anonymous (the seed's Note 1) and
has to see the write to anonymous memory.  Each by the slow path and by GUP-fast.
"""

from __future__ import annotations

from dataclasses import dataclass

from pinhold.scenario.parse import parse
from pinhold.scenario.suites.case import Test
from pinhold.scenario.titles import title_of
from pinhold.scenario.watch import PMD_PAGES, PUD_PAGES

RELIABLE = "Longterm R/O pin is reliable"
SEES = "Short R/O pin sees its owner's memory"
SNAPSHOT = "Short R/O pin is a snapshot"


@dataclass(frozen=True, slots=True)
class Memory:
    """before: lines that make it, up to the pin; after: lines between the pin and the write; anonymous: its page is."""

    name: str
    before: str
    after: str = ""
    anonymous: bool = True


MEMORY = (
    Memory("shared zeropage", "map P x zeropage\nread P x", anonymous=False),
    Memory("memfd", "map P x memfd\nread P x", anonymous=False),
    Memory("tmpfile", "map P x tmpfile\nread P x", anonymous=False),
    Memory("huge zeropage", "map P x hugezero\nread P x[0]\nrequire P x[0] huge", anonymous=False),
    Memory("memfd hugetlb (2048 kB)", "map P x memfd_hugetlb 2M\nread P x", anonymous=False),
    Memory("memfd hugetlb (1048576 kB)", "map P x memfd_hugetlb 1G\nread P x", anonymous=False),
    Memory("base page shared with a child", "map P x anon\nwrite P x 0x00\nfork P C"),
    Memory("THP shared with a child", "map P x thp\nwrite P x 0x00\nrequire P x huge\nfork P C"),
    Memory("exclusive base page", "map P x anon\nwrite P x 0x00"),
    Memory("exclusive THP", "map P x thp\nwrite P x 0x00\nrequire P x huge"),
    Memory("exclusive base page, fork() after the pin", "map P x anon\nwrite P x 0x00", "fork P C"),
)


def scenarios(pmd_pages: int = PMD_PAGES, pud_pages: int = PUD_PAGES) -> tuple[Test, ...]:
    """The tests, those of a kind of pin together."""
    tests: list[Test] = []
    for term in ("longterm", "short"):
        for path, flag in (("GUP", ""), ("GUP-fast", " fast")):
            for memory in MEMORY:
                text, result = lines(memory, term, flag)
                title = title_of(f"R/O {term} {path} pin", memory.name)
                scenario = parse(f"scenario {title}\n{text}", pmd_pages, pud_pages)
                tests.append(Test(len(tests) + 1, scenario, result))
    return tuple(tests)


def lines(memory: Memory, term: str, flag: str) -> tuple[str, str]:
    """The scenario's steps, and what its result line says."""
    longterm = " longterm" if term == "longterm" else ""
    result = RELIABLE if longterm else SEES if memory.anonymous else SNAPSHOT
    expected = f'expect p 0x00 "{result}"' if result == SNAPSHOT else f'expect p sees P x "{result}"'
    steps = (memory.before, f"pin P x as p{longterm}{flag}", memory.after, "write P x 0xff", expected, "unpin p")
    return "\n".join(step for step in steps if step), result
