"""Evaluates requirements and expectations on what a session shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pinhold.scenario.observation import MIXED, Observation, PageView, Run
from pinhold.scenario.ran import Expected
from pinhold.scenario.ranges import encode_range
from pinhold.scenario.steps import (
    Expectation,
    ExpectByte,
    ExpectErrno,
    ExpectFrame,
    ExpectPinByte,
    ExpectPinSees,
    ExpectSound,
    Range,
    Require,
    Step,
)
from pinhold.targets.base import CannotDo, Session
from pinhold.targets.dispatch import on


@dataclass(frozen=True, slots=True)
class Check:
    """kind: "held", "violated" or "unknown"; reason: why, in words, for all but held; page, found: as of Expected."""

    kind: str
    reason: str | None = None
    page: int | None = None
    found: tuple[int, ...] = ()


def requirement(session: Session, step: Require) -> str | None:
    """None where the requirement is met, else what is the case, in words.

    A page under a huge entry is `present` too.  Raises CannotDo where the target cannot see it.
    """
    states = session.page_state(step.proc, step.range)
    if not states:
        return f"{step.proc} {step.range.region}: nothing to see"
    met = ("present", "huge") if step.state == "present" else (step.state,)
    for first, _, state in states:
        if state not in met:
            return f"{step.proc} {step.range.region}[{first}] is {state}, not {step.state}"
    return None


def check(session: Session, step: Expectation) -> Check:
    """Evaluate an expectation on bytes or frames; the runner knows about errnos.

    A page that differs violates it even where other pages could not be read.  What cannot be read is unknown.
    """
    try:
        return CHECKS[type(step)](session, step)
    except CannotDo as refusal:
        return Check("unknown", str(refusal))


def expected(step: Expectation, found: Check) -> Expected:
    """The expectation as data, and what was found where it is otherwise."""
    match step:
        case ExpectByte(proc, range, byte):
            said: tuple[str, tuple[str, ...], str | None] = "byte", (_side(proc, range),), _hex(byte)
        case ExpectPinByte(pin, byte):
            said = "pin byte", (f"pin {pin}",), _hex(byte)
        case ExpectPinSees(pin, proc, range):
            said = "pin sees", (f"pin {pin}", _side(proc, range)), None
        case ExpectFrame(proc, range, relation, other_proc, other_range):
            said = "frame", (_side(proc, range), _side(other_proc, other_range)), relation
        case ExpectErrno(errno):
            said = "errno", (), errno
        case _:
            said = "sound", (), None
    return Expected(*said, found.page, found.found)


def _side(proc: str, range: Range) -> str:
    return f"{proc} {encode_range(range)}"


def _byte(session: Session, step: ExpectByte) -> Check:
    found = _all_are(step.byte, session.contents(step.proc, step.range), f"{step.proc} {step.range.region}")
    return _with_advice(session, step.proc, step.range, found)


def _pin_byte(session: Session, step: ExpectPinByte) -> Check:
    return _all_are(step.byte, session.pin_contents(step.pin), f"pin {step.pin}")


def _pin_sees(session: Session, step: ExpectPinSees) -> Check:
    found = _sees(step, session.pin_contents(step.pin), session.contents(step.proc, step.range))
    return _with_advice(session, step.proc, step.range, found)


def _frame(session: Session, step: ExpectFrame) -> Check:
    return _frames(step, session.observe())


def _sound(session: Session, step: ExpectSound) -> Check:
    violated = "; ".join(session.unsound())
    return Check("violated", violated) if violated else Check("held")


CHECKS: Mapping[type[Step], Callable[[Session, Any], Check]] = dict(
    (
        on(ExpectByte, _byte),
        on(ExpectPinByte, _pin_byte),
        on(ExpectPinSees, _pin_sees),
        on(ExpectFrame, _frame),
        on(ExpectSound, _sound),
    )
)
"""Every expectation but that of an errno, which is no content of a session."""


def _with_advice(session: Session, proc: str, range: Range, found: Check) -> Check:
    """What could not be read, with the step that makes it readable where the process maps no page there.

    Looking must change nothing, so that a page which the process has not touched has no byte to tell.
    """
    if found.kind != "unknown":
        return found
    for first, _, state in session.page_state(proc, range):
        if state in ("none", "swapped"):
            is_absent = "maps no page" if state == "none" else "has swapped out its page"
            region = range.region
            advice = f"put a step 'read {proc} {region}' before this one"
            return Check("unknown", f"{proc} {is_absent} at {region}[{first}], so there is nothing to see: {advice}")
    return found


def _all_are(byte: int, runs: Sequence[Run], whose: str) -> Check:
    unread: int | None = None
    page = 0
    for run in runs:
        if run.byte is None:
            unread = run.first if unread is None else unread
        elif run.byte != byte:
            reason = f"{whose}[{run.first}] is {_hex(run.byte)}, expected {_hex(byte)}"
            return Check("violated", reason, page, (run.byte,))
        page += run.count
    if not runs:
        return Check("unknown", f"{whose}: no page could be read")
    return Check("held") if unread is None else Check("unknown", f"{whose}[{unread}] could not be read")


def _sees(step: ExpectPinSees, pin: Sequence[Run], memory: Sequence[Run]) -> Check:
    """Page by page, up to the shorter of both: vmsplice may hold less than the range."""
    unread: str | None = None
    pages = 0
    for count, held, seen in _side_by_side(pin, memory):
        at, page = step.range.first + pages, pages
        pages += count
        if held is None or seen is None or held == seen == MIXED:
            name = f"pin {step.pin}[{page}]" if held is None else f"{step.proc} {step.range.region}[{at}]"
            unread = unread or f"{name} could not be read"
        elif held != seen:
            where = f"{step.proc} {step.range.region}[{at}]"
            reason = f"the pin {step.pin} holds {_hex(held)} where {where} is {_hex(seen)}"
            return Check("violated", reason, page, (held, seen))
    if pages == 0:
        return Check("unknown", f"pin {step.pin}: no page could be read")
    return Check("held") if unread is None else Check("unknown", unread)


def _side_by_side(a: Sequence[Run], b: Sequence[Run]) -> Iterator[tuple[int, int | None, int | None]]:
    """(count, byte of a, byte of b) for runs of pages in which neither changes.

    Both lists are in page order and without gaps, so their pages are counted, whatever `first` counts from.
    """
    left, right = list(reversed(a)), list(reversed(b))
    taken_left = taken_right = 0
    while left and right:
        one, other = left[-1], right[-1]
        count = min(one.count - taken_left, other.count - taken_right)
        yield count, one.byte, other.byte
        taken_left, taken_right = taken_left + count, taken_right + count
        if taken_left == one.count:
            left.pop()
            taken_left = 0
        if taken_right == other.count:
            right.pop()
            taken_right = 0


def _frames(step: ExpectFrame, observation: Observation) -> Check:
    views = [_view(observation, step.proc, step.range), _view(observation, step.other_proc, step.other_range)]
    names = [
        f"{step.proc} {step.range.region}[{step.range.first}]",
        f"{step.other_proc} {step.other_range.region}[{step.other_range.first}]",
    ]
    for view, name in zip(views, names, strict=True):
        if view is not None and view.state in ("none", "swapped"):
            return Check("violated", f"{name} maps no frame: it is {view.state}")
        if view is None or view.frame is None:
            return Check("unknown", f"the frame of {name} cannot be seen")
    one, other = views
    assert one is not None and other is not None
    relation = "same" if one.frame == other.frame else "different"
    if relation == step.relation:
        return Check("held")
    are = "the same frame" if relation == "same" else "different frames"
    return Check("violated", f"{names[0]} and {names[1]} map {are}, expected {step.relation}")


def _view(observation: Observation, proc: str, range: Range) -> PageView | None:
    wanted = proc, range.region, range.first
    return next((v for v in observation.pages if (v.proc, v.region, v.page) == wanted), None)


def _hex(byte: int) -> str:
    return "mixed" if byte == MIXED else f"0x{byte:02x}"
