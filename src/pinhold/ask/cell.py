"""One cell of the answer: pin some memory on one release's model, let its owner write, and compare.

The owner writes at once, after a fork(), and after mprotect() to read-only and back: three scenarios a cell.  What a
short pin does not follow is its snapshot; of a long-term pin the same is stale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pinhold.ask.flags import Request
from pinhold.ask.memory import Memory
from pinhold.ask.target import SMALL, AskTarget
from pinhold.mm import flags as k
from pinhold.mm.gup import NO_PAGES, is_valid_gup_args
from pinhold.mm.machine import create
from pinhold.mm.releases import row
from pinhold.mm.sites import SITES
from pinhold.mm.sites.gup import GUP_ARGS_INVALID
from pinhold.mm.state import Geometry
from pinhold.scenario.errnos import errno_name
from pinhold.scenario.parse import parse
from pinhold.scenario.ran import Decision
from pinhold.scenario.steps import ExpectPinSees, Pin, Scenario
from pinhold.targets.model.decisions import decision
from pinhold.targets.model.target import CONFIG
from pinhold.targets.runner import Result, run_scenario

RELIABLE, STALE, SNAPSHOT, LEAKS, ABSENT = "reliable", "stale", "snapshot", "leaks", "no such flag"
UNTIL = {"fork": "until fork", "mprotect": "until mprotect"}
NOTHING = "0 pages"
FAILING = frozenset({STALE, SNAPSHOT, LEAKS, *UNTIL.values()})
"""Words of a pin that is there, but does not hold what its owner sees."""

SAYABLE = k.FOLL_WRITE | k.FOLL_LONGTERM | k.FOLL_FORCE
"""Flags that a `pin` step has words for."""

EVENTS = {"write": "", "fork": "fork P K\n", "mprotect": "mprotect P x read\nmprotect P x rw\n"}
"""What happens between the pin and the owner's write."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One answer.

    word: RELIABLE, STALE, SNAPSHOT, LEAKS, one of UNTIL, ABSENT, NOTHING, an errno's name, or the verdict of a run
    that could not be judged.  event: after which event of EVENTS it was decided; scenario: that run, None where none
    was needed.  decisions: what the kernel decided in all runs of the cell, each once.
    """

    word: str
    event: str = ""
    scenario: Scenario | None = None
    decisions: tuple[Decision, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether there is no pin at all."""
        return self.word not in (RELIABLE, *FAILING)


def refusal(request: Request, release: str, fast: bool = False, rules: Mapping[str, int] | None = None) -> Cell | None:
    """What the entry point returns for flags that it does not accept, whatever the memory; None where it goes on."""
    if request.missing_in(release):
        return Cell(ABSENT)
    result = _gup_args(request.api(fast), request.passed, release, tuple((rules or {}).items()))
    if result == 0:
        return None
    site = SITES[GUP_ARGS_INVALID]
    value = (row(release) | dict(rules or {}))[site.rule]
    return Cell(NOTHING if result == NO_PAGES else errno_name(-result), decisions=(decision(site, release, value),))


@cache
def _gup_args(api: int, passed: int, release: str, rules: tuple[tuple[str, int], ...]) -> int:
    """What is_valid_gup_args() returns."""
    return is_valid_gup_args(create(SMALL, row(release) | dict(rules), CONFIG), api, passed)


def cell(  # noqa: PLR0913
    request: Request,
    memory: Memory,
    release: str,
    *,
    fast: bool = False,
    dontfork: bool = False,
    rules: Mapping[str, int] | None = None,
    only: str = "",
    geometry: Geometry = SMALL,
    user: str = "",
) -> Cell:
    """Compute one cell, by running.  dontfork: the process advises MADV_DONTFORK first; rules: switches other than the
    release's; only: look at no other event than this; user: the interface that pins, where it refuses some memory."""
    refused = refusal(request, release, fast, rules)
    if refused is not None:
        return refused
    target = AskTarget(release, request.walk_flags, rules, geometry, user)
    decisions: dict[Decision, None] = {}
    # Where the process may not write yet, its write begins with mprotect() anyway.
    events = tuple(event for event in EVENTS if memory.writable or event != "mprotect")
    for event in (only,) if only else events:
        made = scenario(memory, event, request.passed, fast, dontfork, geometry)
        result = run_scenario(target, made)
        decisions.update(dict.fromkeys(d for r in result.steps if r.outcome for d in r.outcome.decisions))
        word = _word(result)
        if word != RELIABLE:
            break
    if word == STALE:
        word = UNTIL.get(event) or (STALE if request.longterm else SNAPSHOT)
    return Cell(word, event, made, tuple(decisions))


def _word(result: Result) -> str:
    """What one run came to."""
    for record in result.steps:
        if isinstance(record.step, Pin) and record.outcome and record.outcome.errno:
            return errno_name(record.outcome.errno)
    if result.verdict.kind == "held":
        return RELIABLE
    if result.verdict.kind == "violated":
        last = result.steps[-1].step
        return STALE if isinstance(last, ExpectPinSees) or getattr(last, "text", None) == _DEVICE_SEEN else LEAKS
    return result.verdict.kind


_DEVICE_SEEN = "the owner sees what the device writes"


@cache
def scenario(
    memory: Memory,
    event: str,
    flags: int,
    fast: bool = False,
    dontfork: bool = False,
    geometry: Geometry = SMALL,
) -> Scenario:
    """Pin the memory, let the event happen, let the owner write, and expect both sides to see the same."""
    words = [
        word
        for word, wanted in (
            ("write", flags & k.FOLL_WRITE),
            ("longterm", flags & k.FOLL_LONGTERM),
            ("force", flags & k.FOLL_FORCE),
            ("fast", fast),
        )
        if wanted
    ]
    pages = memory.pages
    lines = [
        f"scenario {memory.group}: {memory.name}",
        memory.lines.rstrip(),
        *(("madvise P x dontfork",) if dontfork else ()),
        " ".join((f"pin P {pages} as p", *words)),
        *EVENTS[event].splitlines(),
        *(() if memory.writable else ("mprotect P x rw",)),
        f"write P {pages} 0x22",
        f'expect p sees P {pages} "the pin sees what the owner writes"',
    ]
    if flags & k.FOLL_WRITE:
        lines += ["device write p 0x33", f'expect P {pages} 0x33 "{_DEVICE_SEEN}"']
    if memory.bystander:
        proc, region, byte = memory.bystander.split()
        lines += [f"read {proc} {region}", f'expect {proc} {region} {byte} "nobody else sees it"']
    return parse("\n".join(lines) + "\n", geometry.pmd_pages, geometry.pud_pages)
