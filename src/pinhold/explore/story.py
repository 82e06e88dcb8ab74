"""A counterexample for people: a numbered table, a paragraph, and a scenario that other targets can run."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import cast

from pinhold.explore.replay import Moment, Replay
from pinhold.explore.result import NO_SITE, Violation
from pinhold.explore.via import Via
from pinhold.explore.world import World
from pinhold.mm import releases, rules
from pinhold.mm.invariants import INVARIANTS
from pinhold.mm.kernel import PATCHES
from pinhold.mm.properties import (
    CACHE_UNTOUCHED_BY_PRIVATE,
    FILE_WRITES_TOLD,
    LONGTERM_PIN_RELIABLE,
    PRIVATE_WRITES_UNSEEN,
    PROPERTIES,
    WRITE_PIN_RELIABLE,
    ZERO_PAGE_STAYS_ZERO,
)
from pinhold.mm.sites import SITES
from pinhold.scenario import steps as s
from pinhold.scenario.bounds import MAX_TITLE
from pinhold.scenario.kinds import KINDS
from pinhold.scenario.printer import format_scenario
from pinhold.scenario.verdict import Verdict
from pinhold.targets.model.room import processes
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

WIDTH = 118
"""Columns, where nobody says otherwise."""
LEAST_BESIDE = 28
"""Columns that text needs beside what it is about; where there are fewer it stands below."""


def verdict(violation: Violation) -> str:
    """What is wrong, as a sentence without its full stop."""
    if violation.stuck:
        return "every task waits for another"
    if violation.cycle:
        return f"the last {violation.cycle} go round for ever, and no operation ends"
    if violation.site != NO_SITE:
        site = SITES[violation.site]
        return f"{site.function} decides {site.name}: {decision(site.sentence, site.rule)}"
    wrong = [sentence for bit, sentence in PROPERTIES.items() if violation.properties & bit]
    wrong += [INVARIANTS[violation.invariant]] if violation.invariant else []
    return "; ".join(wrong)


def story(world: World, path: tuple[Via, ...], violation: Violation, width: int = WIDTH) -> str:
    """The table of moves and the paragraph under it, in so many columns."""
    moments = list(Replay(world, path).moments())
    widest = max(len(m.task) for m in moments) if moments else 4
    lines = []
    for number, moment in enumerate(moments, 1):
        if violation.cycle and number == len(moments) - violation.cycle + 1:
            lines += ["", "from here on round and round:", ""]
        does = moment.does if moment.begins is not None else f"  … {moment.does}"
        told = [*moment.changes, *(f"({decision(d.sentence, d.rule)})" for d in moment.decided)]
        head = f"{number:4}  {moment.task:{widest}}  {does:<{min(38, width // 3)}}"
        lines += wrapped(f"{head}  ", "; ".join(told), width)
    lines += ["", *textwrap.wrap(paragraph(world, moments, violation), width)]
    return "\n".join(lines)


def decision(sentence: str, rule: str) -> str:
    return f"{sentence} [{rule}]" if rule else sentence


def wrapped(head: str, text: str, width: int) -> list[str]:
    """The text beside the head, or below it where there is no room."""
    beside = width - len(head) >= LEAST_BESIDE
    indent = " " * (len(head) if beside else 10)
    pieces = textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    if beside and pieces:
        return [head + pieces[0][len(head) :], *pieces[1:]]
    return [*textwrap.wrap(head.rstrip(), width, subsequent_indent=indent, drop_whitespace=False), *pieces]


def paragraph(world: World, moments: Sequence[Moment], violation: Violation) -> str:
    """In one paragraph: how many moves, of whom, what is wrong then, and what was switched."""
    tasks = list(dict.fromkeys(m.task for m in moments))
    begun = [m.does for m in moments if m.begins is not None]
    if moments:
        after = "Of" if violation.cycle else "After"
        text = f"{after} {len(moments)} steps of {' and '.join(tasks)} ({'; '.join(begun)}), {verdict(violation)}."
        race = " It takes a race." if violation.site == NO_SITE else " They run side by side."
        text += " One operation after the other does it." if sequential(moments) else race
    else:
        text = f"After the set-up, before any step of a task, {verdict(violation)}."
    switched = differences(world)
    if switched:
        text += " Switched against the release: " + "; ".join(switched) + "."
    if PATCHES:
        text += f" In the place of mm/'s: {'; '.join(map(str, PATCHES))}."
    return text


def differences(world: World) -> list[str]:
    """The rules of the world that are not its release's: an older value is without the commit of the release's, a newer
    one with its own."""
    switched = []
    for rule, value in releases.row(world.scope.rules).items():
        switch, here = rules.BY_NAME[rule], world.row[rule]
        commit = releases.commit(rule, world.scope.rules, max(value, here))
        if here != value:
            by = f", {'without' if here < value else 'with'} {commit}" if commit else ""
            switched.append(f"{rule}={switch.names[here]} ({switch.function}{by})")
    return switched


def sequential(moments: Sequence[Moment]) -> bool:
    """Whether no task moves while another is in the middle of an operation."""
    busy: str | None = None
    for moment in moments:
        if busy not in (None, moment.task):
            return False
        busy = None if moment.ends else moment.task
    return True


def scenario(world: World, path: tuple[Via, ...], violation: Violation) -> str:
    """What was found as a scenario that shows it: one operation after the other for every target, or a race with its
    schedule for models; so, too, what shows in no byte of x86-64's larger machine."""
    moments = list(Replay(world, path).moments())
    title = f"{world.scope.name}: {verdict(violation)}"[:MAX_TITLE]
    shown = s.Scenario(title, tuple(one_by_one(world, moments, violation))) if sequential(moments) else None
    wanted = "livelock" if violation.cycle else "violated"
    if shown is None or violation.site != NO_SITE or outcome(world, shown).kind != wanted:
        shown = s.Scenario(title, tuple(schedule(world, moments, violation)), small=world.scope.small)
    scope = world.scope
    asked = f" --find {SITES[violation.site].name}" if violation.site != NO_SITE else ""
    asked = " --livelock" if violation.cycle else asked
    how = f"{asked}{switched_rules(world, ' --without ')}{with_patches()}"
    remark = f"# found by: pinhold explore {scope.name} --rules {scope.rules}{how}\n"
    remark += f"# shown by: --on {model_name(world)}{with_patches()}\n" if shows(outcome(world, shown)) else ""
    return remark + format_scenario(shown)


def outcome(world: World, shown: s.Scenario) -> Verdict:
    """What comes of the scenario on the model with the rules of the world."""
    target = ModelTarget(world.scope.rules)
    target.row = dict(world.row)
    return run_scenario(target, shown).verdict


def shows(verdict: Verdict) -> bool:
    """Whether a run that came to this verdict shows that something is wrong."""
    return verdict.kind not in ("held", "unknown", "skipped")


def model_name(world: World) -> str:
    """The target whose rules the world has."""
    return f"model:{world.scope.rules}{switched_rules(world, ',')}"


def with_patches() -> str:
    """The options that put the patches in force again."""
    return "".join(f" --with {shlex.quote(patch.file)}" for patch in PATCHES)


def one_by_one(world: World, moments: Sequence[Moment], violation: Violation) -> list[s.Step]:
    """The operations, and an expectation on bytes that shows what is wrong."""
    steps: list[s.Step] = [*world.scope.scenario.steps]
    bytes_ = iter(range(0x11, 0x100))
    for moment in moments:
        step = moment.begins
        if step is not None:
            if isinstance(step, (s.Write, s.Poke, s.DeviceWrite)):
                step = replace(step, byte=next(bytes_))
            steps.append(step)
    if violation.properties & FILE_WRITES_TOLD:
        steps = refused(steps)
    return [*steps, *ending(world, steps, violation, moments[-1].wrong if moments else ())]


def schedule(world: World, moments: Sequence[Moment], violation: Violation) -> Iterator[s.Step]:
    """The operations with the order of their atomic steps, on the scope's own machine."""
    yield from world.scope.scenario.steps
    begun = [moment.begins for moment in moments if moment.begins is not None]
    yield from advice(world, [step for step in begun if isinstance(step, s.Ksm)])
    bytes_ = iter(range(0x11, 0x100))
    turn: s.Advance | None = None
    for moment in moments:
        step = moment.begins
        if world.scope.content and isinstance(step, (s.Write, s.Poke, s.DeviceWrite)):
            step = replace(step, byte=next(bytes_))
        if turn is not None and (step is not None or moment.chance or turn.chance or turn.task != moment.task):
            yield turn
            turn = None
        if isinstance(step, s.DeviceWrite):
            yield step
            continue
        if step is not None:
            yield s.Start(moment.task, cast(s.Action, step))
        turn = s.Advance(moment.task, 1 + (turn.steps if turn is not None else 0), moment.chance)
    if turn is not None:
        yield turn
    if violation.stuck or violation.cycle:
        yield s.Settle()
    yield s.ExpectSound("no safety property is violated")


def advice(world: World, merged: Iterable[s.Ksm]) -> Iterator[s.Step]:
    """What KSM may merge, said before the first step, as the search does; children forked later have it from their
    parents."""
    there = processes(world.scope.scenario.steps)
    pages = dict.fromkeys(page for a in merged for page in ((a.proc, a.range), (a.other_proc, a.other_range)))
    return (s.Madvise(proc, r, "mergeable") for proc, r in pages if proc in there)


def switched_rules(world: World, before: str) -> str:
    """The rules that are not the release's, each behind a word."""
    row = releases.row(world.scope.rules)
    changed = (r for r in rules.RULES if world.row[r.name] != row[r.name])
    return "".join(f"{before}{rule.name}={rule.names[world.row[rule.name]]}" for rule in changed)


def refused(steps: Sequence[s.Step]) -> list[s.Step]:
    """The way as far as the pin that a device writes by, which a mended kernel refuses; the rest no page shows."""
    pin = next(step.pin for step in reversed(steps) if isinstance(step, s.DeviceWrite))
    last = max(i for i, step in enumerate(steps) if isinstance(step, s.Hold) and step.pin == pin)
    return [*steps[: last + 1], s.ExpectErrno("EFAULT", "such a pin is refused")]


def ending(world: World, steps: Sequence[s.Step], violation: Violation, wrong: Sequence[str]) -> Iterator[s.Step]:
    """Steps that make visible what the frames show: a last write by the owner, and who sees it.

    wrong: pins that violate a property.
    """
    pins = {step.pin: step for step in steps if isinstance(step, s.Hold)}
    unpinned = {step.pin for step in steps if isinstance(step, s.Unpin)}
    live = [step for name, step in pins.items() if name not in unpinned]
    live.sort(key=lambda step: step.pin in wrong)
    if violation.properties & (LONGTERM_PIN_RELIABLE | WRITE_PIN_RELIABLE) and live:
        pin = live[-1]
        yield s.Write(pin.proc, pin.range, 0xFF)
        yield s.ExpectPinSees(pin.pin, pin.proc, pin.range, "the pin sees what its owner sees")
    elif violation.properties & PRIVATE_WRITES_UNSEEN and live:
        pin = live[-1]
        writer = next(proc for proc in world.scope.processes if proc != pin.proc)
        yield s.Write(writer, pin.range, 0xFF)
        yield s.ExpectPinByte(pin.pin, written(world), "the other process's write is not seen")
    elif violation.properties & CACHE_UNTOUCHED_BY_PRIVATE:
        region = next(m for m in world.scope.maps if m.memory.descriptor and not m.memory.hugetlb)
        yield replace(region, region="again", of=region.region, shared=False, prot="read")
        yield s.Read("P", s.Range("again"))
        yield s.ExpectByte("P", s.Range("again"), 0, "the file is unchanged")
    elif violation.properties & ZERO_PAGE_STAYS_ZERO:
        zero = next(kind for kind in KINDS.values() if kind.zero and kind.thp == bool(world.scope.small.thps))
        yield s.Map("P", "again", zero.name)
        yield s.Read("P", s.Range("again"))
        yield s.ExpectByte("P", s.Range("again"), 0, "fresh memory is zero")


def written(world: World) -> int:
    """The byte that the set-up left in the memory."""
    return next((step.byte for step in reversed(world.scope.scenario.steps) if isinstance(step, s.Write)), 0)
