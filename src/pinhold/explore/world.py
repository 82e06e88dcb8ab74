"""A scope made ready: the first state, and each task's operations as numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pinhold.explore.moves import ACT_CALL, ACT_DEVICE_WRITE, ACT_PIN
from pinhold.explore.pushes import depth
from pinhold.explore.record import SearchMachine
from pinhold.explore.scope import BadScope, Scope
from pinhold.explore.symmetry.renaming import rename_pins
from pinhold.explore.via import WENT_ON, ActionNumber, TaskNumber
from pinhold.mm import task as t
from pinhold.mm.machine import boot
from pinhold.scenario import steps as s
from pinhold.scenario.advice import ADVICE
from pinhold.scenario.printer import format_step
from pinhold.targets.base import Broken, CannotDo, Livelock
from pinhold.targets.dispatch import on
from pinhold.targets.model.calls import CALLS, call_of, wanted
from pinhold.targets.model.session import ModelSession

Numbers = tuple[int, ...]
"""kind, function, mm, addr, end, flags, arg: what `moves.begin` takes behind the task."""

NOTHING: Numbers = (0,) * 7
"""Those of a task that goes on."""


@dataclass(frozen=True)
class Action:
    """One operation of one task."""

    task: TaskNumber
    step: s.Step
    numbers: Numbers

    def __str__(self) -> str:
        return format_step(self.step)


@dataclass(frozen=True)
class World:
    """What a search needs.  machine: its bytes are the first state and all constants; actions: all tasks', in order;
    menu: for each task the range of its actions; regions: first page and size."""

    scope: Scope
    row: Mapping[str, int]
    machine: SearchMachine
    actions: tuple[Action, ...]
    menu: tuple[range, ...]
    regions: Mapping[str, tuple[int, int]]

    def numbers(self, action: ActionNumber) -> Numbers:
        return NOTHING if action == WENT_ON else self.actions[action].numbers


def world(scope: Scope, row: Mapping[str, int]) -> World:
    """The scope under the rules of a row.  Raises BadScope where its set-up or an operation fails."""
    m = boot(SearchMachine(scope.geometry), row, scope.small.configuration)
    m.set_constant("content_tokens", int(scope.content))
    m.set_constant("content_unknown", int(not scope.content))
    session = ModelSession(m, scope.scenario, scope.rules)
    for step in scope.scenario.steps:
        try:
            errno = session.do(step).errno  # type: ignore[arg-type]
        except (CannotDo, Broken, Livelock) as error:
            raise BadScope(f"{scope.name}: set-up: {format_step(step)}: {error}") from None
        if errno:
            raise BadScope(f"{scope.name}: set-up: {format_step(step)} fails with errno {errno}")
    make_pools(m, scope.pins, session.names.pins)
    translator = _Translator(scope, session)
    actions: list[Action] = []
    menu = []
    for number, (_, steps) in enumerate(scope.operations):
        first = len(actions)
        actions += (Action(TaskNumber(number), step, translator.numbers(step)) for step in steps)
        menu.append(range(first, len(actions)))
    m.set_constant("pools", int(bool(scope.pools)))
    m.set_constant("pin_users", int(any(kind == ACT_PIN and user for kind, user, *_ in (a.numbers for a in actions))))
    m.task_result[0] = 0
    stacks = tuple(depth(actions[i].numbers for i in operations) for operations in menu)
    m = m.arranged(replace(m.geometry, stacks=stacks))
    return World(scope, row, m, tuple(actions), tuple(menu), translator.regions)


def make_pools(m: SearchMachine, pools: Mapping[str, range], held: Mapping[str, int]) -> None:
    """Say which slots are one pool, and move each pin that the set-up holds to the first slot of its own."""
    for slots in pools.values():
        for slot in slots:
            m.pool_rest[slot] = slots.stop - 1 - slot
    places = {slot: pools[name].start for name, slot in held.items()}
    free = (slot for slot in range(len(m.new_pin)) if slot not in places.values())
    for slot in range(len(m.new_pin)):
        m.new_pin[slot] = places[slot] if slot in places else next(free)
    rename_pins(m)


class _Translator:
    """Steps as calls of the specification's functions, with the places that the set-up has made."""

    def __init__(self, scope: Scope, session: ModelSession) -> None:
        self.scope = scope
        self.session = session
        self.m = session.m
        self.regions = session.names.regions["P"]
        self.m_of = {name: number for number, name in enumerate(scope.processes)}

    def numbers(self, step: s.Step) -> Numbers:
        try:
            return self.made(step)
        except CannotDo as refusal:
            raise BadScope(f"{self.scope.name}: '{format_step(step)}': {refusal}") from None

    def made(self, step: s.Step) -> Numbers:
        """Raises CannotDo, BadScope."""
        if type(step) not in NUMBERS:
            raise BadScope(f"{self.scope.name}: '{format_step(step)}' is not an operation of a scope")
        return NUMBERS[type(step)](self, step)

    def one_call(self, step: s.Step) -> Numbers:
        if isinstance(step, (s.Write, s.Poke)) and not self.scope.content:
            step = replace(step, byte=0)
        return (ACT_CALL, *call_of(self.m, step, self))

    def mm(self, proc: str) -> int:
        if proc not in self.m_of:
            raise BadScope(f"{self.scope.name}: no {proc} in this scope")
        return self.m_of[proc]

    def span(self, proc: str, r: s.Range) -> tuple[int, int, int]:
        if proc not in self.m_of or r.region not in self.regions:
            raise BadScope(f"{self.scope.name}: no {proc} {r.region} in this scope")
        start, size = self.regions[r.region]
        return self.mm(proc), start + r.first, start + (size if r.end is None else r.end)

    def call(self, function: int, span: tuple[int, int, int], flags: int = 0, arg: int = 0) -> Numbers:
        return (ACT_CALL, function, *span, flags, arg)

    def slot(self, name: str) -> int:
        """The first slot of the pin's pool."""
        if name not in self.scope.pins:
            raise BadScope(f"{self.scope.name}: no step takes a pin {name}")
        return self.scope.pins[name].start

    def fork(self, a: s.Fork) -> Numbers:
        return self.call(t.FN_FORK, (self.mm(a.proc), 0, 0), 0, self.mm(a.child))

    def ksm(self, a: s.Ksm) -> Numbers:
        """As everywhere the step gives the advice itself: here before the first move."""
        mm, page, end = self.span(a.proc, a.range)
        other, other_page, other_end = self.span(a.other_proc, a.other_range)
        if end != page + 1 or other_end != other_page + 1:
            raise BadScope(f"{self.scope.name}: '{format_step(a)}': in a scope KSM merges one page with one other")
        for span in ((mm, page, end), (other, other_page, other_end)):
            if self.m.mm_alive[span[0]] and self.session.operate(t.FN_MADVISE, span, ADVICE["mergeable"].number) < 0:
                raise BadScope(f"{self.scope.name}: '{format_step(a)}' splits its mapping: vmas = N makes room")
        return self.call(t.FN_KSM_MERGE, (mm, page, other_page), 0, other)

    def hold(self, a: s.Hold) -> Numbers:
        flags, user = wanted(self.m, a)
        return (ACT_PIN, user, *self.span(a.proc, a.range), flags, self.slot(a.pin))

    def unpin(self, a: s.Unpin) -> Numbers:
        return self.call(t.FN_UNPIN, (0, 0, 0), 0, self.slot(a.pin))

    def device_write(self, a: s.DeviceWrite) -> Numbers:
        return (ACT_DEVICE_WRITE, 0, 0, 0, 0, a.byte if self.scope.content else 0, self.slot(a.pin))


NUMBERS: Mapping[type[s.Step], Callable[[_Translator, Any], Numbers]] = {
    **dict.fromkeys(CALLS, _Translator.one_call),
    **dict(
        (
            on(s.Fork, _Translator.fork),
            on(s.Ksm, _Translator.ksm),
            on(s.Pin, _Translator.hold),
            on(s.Vmsplice, _Translator.hold),
            on(s.IoUring, _Translator.hold),
            on(s.Unpin, _Translator.unpin),
            on(s.DeviceWrite, _Translator.device_write),
        )
    ),
}
"""What can be an operation of a scope."""
