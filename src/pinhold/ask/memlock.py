"""What each user of a pin is charged in locked memory for pages that nobody has touched yet, by running."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from pinhold.ask.cell import refusal
from pinhold.ask.flags import Request
from pinhold.ask.target import AskTarget
from pinhold.scenario.parse import parse
from pinhold.scenario.step import PIN_USERS, Map, Pin, Scenario

PAGES = 16
USERS = tuple(user for user in PIN_USERS if user != "none")


@dataclass(frozen=True, slots=True)
class Charge:
    """pages: counted against RLIMIT_MEMLOCK, None where there is no pin; fresh: pages of memory that the pin made the
    kernel allocate."""

    pages: int | None
    fresh: int = 0


def charge(request: Request, user: str, release: str) -> Charge:
    """What pinning PAGES untouched anonymous pages costs that user."""
    if refusal(request, release):
        return Charge(None)
    made = _scenario(user)
    with AskTarget(release, request.walk_flags).open(made) as session:
        for step in made.steps:
            if isinstance(step, Map | Pin) and session.do(step).errno:
                return Charge(None)
        fresh = sum(view.kind == "anon" for view in session.observe().pages)
        return Charge(session.m.pin_charge[session.pins["p"]], fresh)


@cache
def _scenario(user: str) -> Scenario:
    return parse(f"scenario untouched pages\nmap P x anon pages {PAGES}\nwatch x\npin P x as p user {user}\n")
