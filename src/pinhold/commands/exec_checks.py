"""What `pinhold exec-test` asks of a program that pins: small scenarios of what it declares, and flags that explain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pinhold.ask.flags import Request
from pinhold.ask.target import AskTarget
from pinhold.mm import flags as k
from pinhold.scenario.parse import parse
from pinhold.scenario.steps import Scenario
from pinhold.targets.live.pins.base import FOLL_GET, Gives
from pinhold.targets.runner import run_scenario


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to see.  words: what; write: whether its pins are writable; scenario: that shows it."""

    words: str
    write: bool
    scenario: Scenario


def checks(gives: Gives) -> Iterator[Check]:
    """For each kind of pin that is declared, the simplest first; none where no step asks for such a pin."""
    for write in sorted(gives.write):
        take = _taking(gives, write)
        if take is not None:
            for words, lines in _each(gives, write, take):
                yield Check(words, write, parse(f"scenario {words}\n{lines}\n"))


def _taking(gives: Gives, write: bool) -> Callable[[str], str] | None:
    """The step that asks for such a pin of a range, as `p`."""
    fast = True in gives.fast
    if not gives.held:
        return None
    if gives.takes == FOLL_GET:
        return (lambda pages: f"vmsplice P {pages} as p\n") if fast and not write else None
    said = (("write", write), ("longterm", True in gives.longterm), ("fast", fast))
    words = " ".join(word for word, so in said if so)
    return lambda pages: f"pin P {pages} as p {words}\n"


OWN = "map P x anon pages 4\nwrite P x 0x11\n"
_SEES = 'expect p sees P x "the pin sees what the process writes"'


def _each(gives: Gives, write: bool, take: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Words and lines."""
    reads, pins = gives.readable, gives.takes != FOLL_GET
    read = "expect p 0x11\n" if reads else ""
    yield "a pin of pages of the process's own", f"{OWN}{take('x[1:3]')}{read}unpin p"
    yield "a hole in the address space is refused, EFAULT", f"{OWN}unmap P x\n{take('x')}expect errno EFAULT"
    if write:
        yield (
            "memory that may only be read is refused, EFAULT",
            f"{OWN}mprotect P x read\n{take('x')}expect errno EFAULT",
        )
    if pins and not write:
        memory = "map P x memfd shared readonly read pages 4\nread P x\n"
        yield "shared memory that may only be read is pinned", f"{memory}{take('x')}expect errno OK"
    if pins and write:
        memory = "map P x file shared pages 4\nwrite P x 0x11\n"
        yield (
            "a shared file on a disk is refused, EFAULT, long-term since 6.5",
            f"{memory}{take('x')}expect errno EFAULT",
        )
    if reads:
        yield "a write of the process after that", f"{OWN}{take('x')}write P x 0x22\n{_SEES}"
    if write and gives.writable:
        yield "a write through the pin", f"{OWN}{take('x')}device write p 0x33\nexpect P x 0x33"
    if reads and pins:
        yield "fork(), then a write", f"{OWN}{take('x')}fork P C\nwrite P x 0x22\n{_SEES}"
    if reads and pins and not write:
        memory = "map P x zeropage pages 4\nread P x\n"
        yield "memory that was only read, then a write", f"{memory}{take('x')}write P x 0x22\n{_SEES}"
        memory = "map P x memfd private pages 4\nread P x\n"
        yield "a private file that was only read, then a write", f"{memory}{take('x')}write P x 0x22\n{_SEES}"
    if pins:
        yield "nothing is pinned after unpin", f"{OWN}{take('x')}unpin p\nfork P C\nexpect P x same C x"


WAYS: tuple[tuple[Request, Request], ...] = tuple(
    (Request(pin, read), Request(pin, write))
    for pin, read, write in (
        (True, k.FOLL_LONGTERM, k.FOLL_LONGTERM | k.FOLL_WRITE),
        (True, 0, k.FOLL_WRITE),
        (False, 0, k.FOLL_WRITE),
        (True, k.FOLL_LONGTERM | k.FOLL_WRITE, k.FOLL_LONGTERM | k.FOLL_WRITE),
        (True, k.FOLL_LONGTERM | k.FOLL_WRITE | k.FOLL_FORCE, k.FOLL_LONGTERM | k.FOLL_WRITE | k.FOLL_FORCE),
        (True, k.FOLL_WRITE | k.FOLL_FORCE, k.FOLL_WRITE | k.FOLL_FORCE),
    )
)
"""How drivers call GUP for a read-only and for a writable pin, the right ones and the mistakes."""


def explanations(seen: Mapping[Check, str], release: str, rules: Mapping[str, int]) -> list[Request]:
    """The calls that, made in the place of what is declared, come to just the verdicts that were seen.

    seen: verdicts of checks of one kind of pin, on a kernel with the rules of that release; rules: its later fixes.
    """
    return [
        request
        for request in dict.fromkeys(way[check.write] for way in WAYS for check in seen)
        if all(
            run_scenario(AskTarget(release, request.walk_flags, rules), check.scenario).verdict.kind == kind
            for check, kind in seen.items()
        )
    ]
