"""`pinhold exec-test`: whether a program for --pin exec: keeps the protocol, and pins as it declares."""

from __future__ import annotations

import shlex
import textwrap
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pinhold.ask.flags import Request
from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.exec_checks import Check, checks, explanations
from pinhold.commands.given import deadline, luggage, reply_seconds
from pinhold.commands.registry import close, describe, make_target, model_of, ready
from pinhold.report import terminal
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.steps import ExpectErrno
from pinhold.scenario.verdict import BROKEN, EXIT_HELD, EXIT_VIOLATED
from pinhold.targets.base import Target, Unavailable
from pinhold.targets.batch import run_each
from pinhold.targets.live.pins.external import PREFIX, External, NotStarted
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result, run_scenario

_WIDTH = 100
_TOLD = 6
"""So many lines of a conversation are shown where it failed."""

SAME, STALE, DIFFERS, FAILED, NOT_RUN, UNKNOWN = "ok", "STALE", "DIFFERS", "FAILED", "not run", "unknown"
AS_DECLARED = (SAME, STALE)
"""A pin can be as declared, and yet not see what its owner writes."""

PROTOCOL = "`pinhold docs mechanisms` has the protocol, `pinhold examples exec` programs that keep it"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check came to: on the real kernel, and on its model with the declared flags.

    told: the end of what was said to the program and by it, where it runs here.
    """

    check: Check
    real: Result
    model: Result
    told: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        ours, theirs = self.real.verdict.kind, self.model.verdict.kind
        if ours in BROKEN or ours == "livelock":
            return FAILED
        if ours == theirs and _errnos(self.real) == _errnos(self.model):
            return STALE if ours == "violated" and not self.about_errno else SAME
        if ours == "unknown":
            return UNKNOWN
        return NOT_RUN if ours == "skipped" and not any(_errnos(self.real)) else DIFFERS

    @property
    def about_errno(self) -> bool:
        """Whether it asks what the pin itself comes to."""
        return isinstance(self.check.scenario.steps[-1], ExpectErrno)

    @property
    def reason(self) -> str:
        verdict = self.real.verdict
        return "" if verdict.kind == "held" else verdict.reason or verdict.text or verdict.kind


def _errnos(result: Result) -> list[int]:
    return [record.outcome.errno for record in result.steps if record.outcome is not None]


def main(options: Namespace) -> int:
    """0: as it declares; 1: not; 4: nothing could be seen."""
    target_name = options.on
    command = options.program.removeprefix(PREFIX)
    if target_name != "live" and not target_name.startswith("vm:"):
        raise UsageError(f"exec-test is for real kernels, and {target_name!r} is none: give --on live or --on vm:REL")
    options.pin = [f"{PREFIX}{command}"]
    bags = luggage(options, [target_name])
    said: list[str] = []
    program = _greeted(command, options, said)
    if program is None:
        return EXIT_VIOLATED
    limit = deadline(options, [target_name])
    target = make_target(target_name, pins=[program], luggage=bags, deadline=limit)
    ready(target)
    try:
        info = describe(target)
        _say(f"On {target.name}, Linux {info.rules or info.release}: {_in_a_word(program)}.")
        model = model_of(info)
        seen = list(_seen(target, info, model, list(checks(program.gives)), said))
    finally:
        close(target)
    print()
    for paragraph in _explained(seen, model):
        _say(paragraph)
    return _end(command, target_name, options.module or (), seen)


def _greeted(command: str, options: Namespace, said: list[str]) -> External | None:
    """The program, once it has said what it declares; None where it did not, which is told."""
    try:
        program = External(command, reply_seconds(options), said.append)
    except NotStarted as reason:
        raise UsageError(str(reason)) from None
    except Unavailable as reason:
        _say(f"{FAILED}: {reason}")
        _say(f"A program begins with one line, before it opens anything: {PROTOCOL}.")
        return None
    print(f"{command} said: {program.hello}")
    return program


def _in_a_word(program: External) -> str:
    gives = program.gives
    able = [word for word, so in (("read back", gives.readable), ("written through", gives.writable)) if so]
    can = f", which can be {' and '.join(able)}" if able else ", which can be neither read back nor written through"
    return f"{program.in_words}{can}"


def _seen(target: Target, info: TargetInfo, model: Target, asked: Sequence[Check], said: list[str]) -> Iterator[Seen]:
    """Each check, printed as it is known."""
    kind: bool | None = None
    reason = ""
    for check, real in zip(asked, run_each(target, [check.scenario for check in asked]), strict=True):
        one = Seen(check, real, run_scenario(model, check.scenario), tuple(said[-_TOLD:]))
        said.clear()
        if check.write != kind:
            kind = check.write
            print(f"\n{'writable' if kind else 'read-only'} pins")
        for line in _line(one, "the same" if one.reason and one.reason == reason else one.reason, info):
            print(line)
        reason = one.reason
        yield one


def _line(seen: Seen, reason: str, info: TargetInfo) -> Iterator[str]:
    tail = f": {reason}" if reason else ""
    if seen.word == SAME and reason:
        tail = f": Linux {_series(info)} pins it"
    if seen.word == STALE:
        tail = f": so are such pins on Linux {_series(info)}, {reason}"
    if seen.word == DIFFERS and not reason:
        tail = f": not so on Linux {_series(info)}, {seen.model.verdict.reason or seen.model.verdict.kind}"
    indent = " " * 11
    yield from textwrap.wrap(
        f"  {seen.word:8} {seen.check.words}{tail}", terminal.width(_WIDTH), subsequent_indent=indent,
        break_on_hyphens=False,
    )  # fmt: skip
    if seen.word == FAILED:
        room = terminal.width(_WIDTH) - len(indent)
        yield from (f"{indent}{line[:room]}" for line in seen.told)


def _series(info: TargetInfo) -> str:
    return ".".join((info.rules or info.release).split(".")[:2])


def _end(command: str, target: str, modules: Sequence[str], seen: Sequence[Seen]) -> int:
    """What follows from all of it; the status."""
    words = [one.word for one in seen]
    if not seen:
        raise NothingToRun(
            "no step of a scenario asks for such pins: they have to be held, and references (get) are asked for "
            "read-only and GUP-fast alone"
        )
    wrong = [one for one in seen if one.word in (DIFFERS, FAILED)]
    if wrong:
        broken = f" {PROTOCOL}." if any(one.word == FAILED for one in wrong) else ""
        _say(f"Not as it declares in {len(wrong)} of {len(seen)} checks.{broken}")
        return EXIT_VIOLATED
    if not {*words} & {*AS_DECLARED}:
        raise NothingToRun(f"nothing could be seen: {seen[0].reason}")
    good = sum(word in AS_DECLARED for word in words)
    if STALE in words:
        _say("What is STALE is so by the flags, on this kernel: `pinhold ask FOLL_LONGTERM` says what to pass instead.")
    print(f"As it declares in {good} of {len(seen)} checks. Next:")
    along = "".join(f" --module {shlex.quote(file)}" for file in modules)
    print(f"  pinhold run stock seed --on {target}{along} --pin {shlex.quote(PREFIX + command)}")
    return EXIT_HELD


def _say(paragraph: str) -> None:
    print("\n".join(textwrap.wrap(paragraph, terminal.width(_WIDTH), break_on_hyphens=False)))


def _explained(seen: Sequence[Seen], model: Target) -> Iterator[str]:
    """Which calls of GUP come to what was seen, where the declared one does not."""
    for write in (False, True):
        mine = [one for one in seen if one.check.write == write and one.word in (*AS_DECLARED, DIFFERS)]
        if not isinstance(model, ModelTarget) or all(one.word in AS_DECLARED for one in mine):
            continue
        calls = explanations({one.check: one.real.verdict.kind for one in mine}, model.release, model.row)
        kind = "writable" if write else "read-only"
        if calls:
            asked = _asked(calls[0])
            yield (
                f"What the {kind} pins came to is what {' or '.join(call.call for call in calls)} comes to: does the "
                f"driver call that? `pinhold ask {asked}` says what it promises, and what to pass instead."
            )


def _asked(request: Request) -> str:
    words = request.words if request.pin else "|".join(w for w in ("FOLL_GET", request.words) if w != "0")
    return shlex.quote(words)
