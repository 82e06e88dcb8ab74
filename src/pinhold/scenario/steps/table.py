"""The table of steps: what a record of one says, and what is read from all of them.

A record is the step's class.  Its fields are what a line states; `@step` says how it is written (its forms), which
errnos it may meet, and whether a task of a schedule can start it.  What it uses, makes and ends is in the forms, whose
parts name it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, TypeVar, dataclass_transform

from pinhold.scenario.forms import Columns, Form, Named, Pages, Role, Thing
from pinhold.scenario.meets import Meets
from pinhold.scenario.ranges import Range
from pinhold.scenario.tokens import Cursor, Mismatch


@dataclass(frozen=True, slots=True)
class Reference:
    """One thing that a step names, in that field."""

    role: Role
    thing: Thing
    name: str
    field: str


@dataclass(frozen=True, slots=True)
class Place:
    """Pages that a step names, in that field, of the process that another field names."""

    proc: str
    range: Range
    field: str


@dataclass(frozen=True, slots=True)
class Step:
    """What one line states.  meets: the errnos that it may end with; startable: a task can start it, as it has atomic
    steps."""

    forms: ClassVar[tuple[Form, ...]] = ()
    meets: ClassVar[Meets] = Meets()
    startable: ClassVar[bool] = False
    _names: ClassVar[tuple[Named, ...]] = ()
    _pages: ClassVar[tuple[Pages, ...]] = ()

    def references(self) -> Iterator[Reference]:
        """What it names, each once, in the order of its line."""
        for part in self._names:
            name = getattr(self, part.name)
            if name is not None:
                yield Reference(part.role, part.thing, name, part.name)

    def named(self, role: Role, thing: Thing) -> str | None:
        """The name of the first thing of that kind, with that role."""
        return next((ref.name for ref in self.references() if ref.role is role and ref.thing is thing), None)

    def made(self) -> Reference | None:
        """What it makes, if it makes something that has a name."""
        return next((ref for ref in self.references() if ref.role is Role.MAKES), None)

    def places(self) -> Iterator[Place]:
        """The pages that it is about, or compares."""
        for part in self._pages:
            yield Place(getattr(self, part.proc), getattr(self, part.name), part.name)


@dataclass(frozen=True, slots=True)
class Action(Step):
    """A step that a target does."""


@dataclass(frozen=True, slots=True)
class Schedule(Action):
    """A step that takes operations apart, for a scenario on a small machine."""


@dataclass(frozen=True, slots=True)
class Statement(Step):
    """A step that changes nothing: the runner looks whether it is so."""


S = TypeVar("S", bound=Step)

STEPS: list[type[Step]] = []
"""All of them, in the order of the manual."""

_BY_VERB: dict[str, list[tuple[type[Step], Form]]] = {}
"""By the first word of the line."""


@dataclass_transform(frozen_default=True)
def step(*forms: Form, meets: Meets = Step.meets, startable: bool = False) -> Callable[[type[S]], type[S]]:
    """Makes a class the record of a step, with what is not in its fields."""

    def record(cls: type[S]) -> type[S]:
        made = dataclass(frozen=True, slots=True)(cls)
        made.forms, made.meets, made.startable = forms, meets, startable
        made._names = tuple({part.name: part for form in forms for part in form.names()}.values())
        made._pages = tuple({part.name: part for form in forms for part in form.pages()}.values())
        STEPS.append(made)
        for form in forms:
            _BY_VERB.setdefault(form.verb, []).append((made, form))
        return made

    return record


def actions() -> tuple[type[Action], ...]:
    """Those that a target does."""
    return tuple(each for each in STEPS if issubclass(each, Action))


def startable() -> tuple[type[Action], ...]:
    """Those that a task can start."""
    return tuple(each for each in actions() if each.startable)


HEADERS = ("scenario", "watch", "xfail", "vm_only", "observe", "small")
"""First words of lines that are no steps."""


def forms() -> Iterator[tuple[type[Step], Form]]:
    """All forms, in the order of the manual."""
    return ((each, form) for each in STEPS for form in each.forms)


def startable_verbs() -> tuple[str, ...]:
    """The first words of what `start` takes."""
    return tuple(verb for verb, known in _BY_VERB.items() if all(each.startable for each, _ in known))


def parse_step(line: Cursor) -> tuple[Step, Columns]:
    """The step that one line states, and the column of each field.

    Where several forms begin alike and none fits, the error tells what the ones that came furthest expected.
    """
    verb = line.peek()
    if verb is None or verb.is_text or verb.text not in _BY_VERB:
        raise line.mismatch(*HEADERS, *_BY_VERB)
    failures: list[Mismatch] = []
    for each, form in _BY_VERB[verb.text]:
        try:
            return form.parse(line.rewound(), each)
        except Mismatch as failure:
            failures.append(failure)
    furthest = max(failure.column for failure in failures)
    last = [failure for failure in failures if failure.column == furthest]
    raise Mismatch(furthest, [e for failure in last for e in failure.expected], last[0].found)


def show_step(step: Step) -> list[str]:
    """The words of the line that states the step."""
    for form in step.forms:
        if (words := form.show(step)) is not None:
            return words
    raise TypeError(f"no form for {step!r}")
