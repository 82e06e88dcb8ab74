"""What each user of a pin is charged in locked memory, by running: for base pages, and for parts of huge ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from pinhold.ask.cell import refusal
from pinhold.ask.flags import Request
from pinhold.ask.target import AskTarget
from pinhold.mm.state import X86_64
from pinhold.scenario.parse import parse
from pinhold.scenario.steps import PIN_USERS, Capability, Map, Pin, Scenario, Write
from pinhold.targets.base import Livelock
from pinhold.targets.model.session import ModelSession

PAGES = 16
USERS = tuple(user for user in PIN_USERS if user != "none")


@dataclass(frozen=True, slots=True)
class Charged:
    """Memory whose charge is asked for.  lines: make it; pages: what of it is pinned."""

    name: str
    lines: str
    pages: str = "x"


UNTOUCHED = Charged(f"{PAGES} pages that nobody has touched yet", f"map P x anon pages {PAGES}\nwatch x\n")
CHARGED = (
    UNTOUCHED,
    Charged("one 4 KiB page of a THP", "map P x thp\nwrite P x 0x11\n", "x[0]"),
    Charged("one hugetlb page of 2 MiB", "map P x hugetlb 2M\nwrite P x 0x11\n"),
)


@dataclass(frozen=True, slots=True)
class Charge:
    """pages: counted against RLIMIT_MEMLOCK, None where there is no pin; fresh: pages of memory that the pin made the
    kernel allocate."""

    pages: int | None
    fresh: int = 0


def charge(request: Request, user: str, memory: Charged, release: str) -> Charge:
    """What pinning that memory costs that user, of a process that CAP_IPC_LOCK frees of nothing; huge pages have their
    real size."""
    if refusal(request, release):
        return Charge(None)
    made = _scenario(memory, user)
    with AskTarget(release, request.walk_flags, geometry=X86_64).open(made) as session:
        before = 0
        for step in made.steps:
            if isinstance(step, Pin):
                before = _anonymous(session)
            try:
                if isinstance(step, Map | Write | Capability | Pin) and session.do(step).errno:
                    return Charge(None)
            except Livelock:  # rules that no kernel had together: no pin, as the rows above say
                return Charge(None)
        return Charge(session.m.pin_charge[session.names.pins["p"]], _anonymous(session) - before)


def _anonymous(session: ModelSession) -> int:
    """Watched pages that are anonymous."""
    return sum(view.kind == "anon" for view in session.observe().pages)


@cache
def _scenario(memory: Charged, user: str) -> Scenario:
    return parse(
        f"scenario {memory.name}\n{memory.lines}capability P ipc_lock off\npin P {memory.pages} as p user {user}\n"
    )
