"""Comparing two targets is comparing two lists of observations.

A field that one side could not see is passed over.  A pin that one side alone holds is a difference.  Frames have no
names that two targets share, so they are compared as a relation: within one observation the views of one frame on one
side are views of one frame on the other, and from one observation to the next a page keeps its frame on both sides
or on neither.  The second rule follows a page, not a frame's name: the number of a frame that was freed may come back
at another page within the same step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from operator import attrgetter
from typing import Protocol

from pinhold.scenario.counts import known
from pinhold.scenario.errnos import errno_name
from pinhold.scenario.observation import MIXED, Observation, PageView, PinView

KEPT, FRESH = "the frame of the step before", "a new frame"
"""Both values of a difference in whether a page kept its frame."""

_FIELDS: Mapping[type, tuple[Sequence[str], Callable[[object], Sequence[object]]]] = {
    view: (names, attrgetter(*names))
    for view, names in (
        (
            PageView,
            (
                *("state", "level", "kind", "anon", "exclusive", "mapcount"),
                *("writable", "dirty", "soft_dirty", "uffd_wp", "byte"),
            ),
        ),
        (PinView, ("owner", "range", "flags", "byte")),
    )
}
"""What is compared of a view, beside its frame, what explains another field before it; and what reads it all."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where two runs differ.

    index: of the observation; where: "P x[0]", "pin p[0]" or "" for the step itself; field: of the view ("state",
    "frame", "level", "counts.refcount", ...), "held" of a pin, "errno" or "length"; left, right: both values in words;
    kind: of the page, where a side knows it.
    """

    index: int
    where: str
    field: str
    left: str
    right: str
    kind: str | None = None

    def words(self, left: str = "left", right: str = "right", step: str | None = None) -> str:
        """One sentence; left and right name the targets, step is the text of the step that was observed."""
        if self.field == "length":
            return f"{left} made {self.left}, {right} made {self.right}"
        when = f"after {step}" if step else f"in observation {self.index + 1}"
        what = f"{self.where}: {self.field}" if self.where else self.field
        return f"{when}, {what}: {self.left} on {left}, {self.right} on {right}"

    def __str__(self) -> str:
        return self.words()


@dataclass(frozen=True, slots=True)
class Comparison:
    """difference: the first one or None; compared: how many fields both sides saw (0: nothing was compared)."""

    difference: Difference | None
    compared: int


def compare(a: Sequence[Observation], b: Sequence[Observation]) -> Comparison:
    """Compare field by field up to the first difference; None fields are passed over."""
    compared = 0
    before: tuple[Observation, Observation] | None = None
    for index, (left, right) in enumerate(zip(a, b, strict=False)):
        pair = Pair(index, left, right, before)
        difference = next(pair.differences(), None)
        compared += pair.compared
        if difference is not None:
            return Comparison(difference, compared)
        before = left, right
    if len(a) != len(b):
        return Comparison(Difference(min(len(a), len(b)), "", "length", _observations(a), _observations(b)), compared)
    return Comparison(None, compared)


class Recorded(Protocol):
    """A step of a run: which one of its scenario, and what was seen after it, if it was done."""

    @property
    def index(self) -> int: ...

    @property
    def observation(self) -> Observation | None: ...


def compare_runs(a: Iterable[Recorded], b: Iterable[Recorded]) -> Comparison:
    """Compare two runs of one scenario up to the first step that one side alone has done: behind it, what one shows is
    not what the other was asked for."""
    done = zip((each for each in a if each.observation), (each for each in b if each.observation), strict=False)
    both = [(one.observation, other.observation) for one, other in takewhile(lambda p: p[0].index == p[1].index, done)]
    return compare([one for one, _ in both if one], [other for _, other in both if other])


def first_difference(a: Sequence[Observation], b: Sequence[Observation]) -> Difference | None:
    """The first difference between two runs of one scenario, or None."""
    return compare(a, b).difference


_Frames = dict[str, int]
"""Place to frame, of the page views that show one."""


class Pair:
    """The observations that two targets made after the same step.

    before: those after the step before, or None.  compared: how many fields both sides saw, as far as was looked.
    """

    def __init__(
        self, index: int, left: Observation, right: Observation, before: tuple[Observation, Observation] | None
    ) -> None:
        self.compared = 0
        self._index = index
        self._errnos = left.errno, right.errno
        self._pins = _pins(left), _pins(right)
        self._left = _views(left)
        self._right = _views(right)
        self._before = before

    def differences(self) -> Iterator[Difference]:
        """Whatever differs: values, then frames within the observation, then those that only one side has kept."""
        yield from self._values()
        yield from self._frames()
        if self._before is not None:
            yield from self._kept(*map(_frames, self._before))

    def _values(self) -> Iterator[Difference]:
        """Anything but frames."""
        left, right = self._errnos
        if left is not None and right is not None:
            self.compared += 1
            if left != right:
                yield Difference(self._index, "", "errno", errno_name(left), errno_name(right))
        left_pins, right_pins = self._pins
        for pin in left_pins | right_pins:
            self.compared += 1
            if pin not in left_pins or pin not in right_pins:
                held = (_value("held", pin in pins) for pins in self._pins)
                yield Difference(self._index, f"pin {pin}", "held", *held)
        for place, view in self._left.items():
            other = self._right.get(place)
            if other is None:
                continue
            fields, values = _FIELDS[type(view)]
            for field, mine, theirs in zip(fields, values(view), values(other), strict=True):
                if mine is not None and theirs is not None:
                    self.compared += 1
                    if mine != theirs:
                        yield self._difference(place, field, _value(field, mine), _value(field, theirs))
            if isinstance(view, PageView) and isinstance(other, PageView):
                yield from self._counts(place, view, other)

    def _counts(self, place: str, view: PageView, other: PageView) -> Iterator[Difference]:
        """What no process sees."""
        if view.counts is None or other.counts is None:
            return
        for field, mine, theirs in known(view.counts, other.counts):
            self.compared += 1
            if mine != theirs:
                yield self._difference(place, f"counts.{field}", _value(field, mine), _value(field, theirs))

    def _frames(self) -> Iterator[Difference]:
        """Views whose frame is shared with an earlier view on one side only."""
        first_of_left: dict[int, str] = {}
        first_of_right: dict[int, str] = {}
        for place, view in self._left.items():
            other = self._right.get(place)
            if other is None or view.frame is None or other.frame is None:
                continue
            self.compared += 1
            left = first_of_left.setdefault(view.frame, place)
            right = first_of_right.setdefault(other.frame, place)
            if left != right:
                yield self._difference(place, "frame", *_sharing(place, left, right))

    def _kept(self, left_before: _Frames, right_before: _Frames) -> Iterator[Difference]:
        """Pages that kept their frames since the observation before on one side only."""
        for place, view in self._left.items():
            other = self._right.get(place)
            if other is None or not isinstance(view, PageView) or view.frame is None or other.frame is None:
                continue
            if place not in left_before or place not in right_before:
                continue
            self.compared += 1
            left, right = view.frame == left_before[place], other.frame == right_before[place]
            if left != right:
                yield self._difference(place, "frame", *((KEPT if kept else FRESH) for kept in (left, right)))

    def _difference(self, place: str, field: str, left: str, right: str) -> Difference:
        views = self._left[place], self._right[place]
        kind = next((view.kind for view in views if isinstance(view, PageView) and view.kind is not None), None)
        return Difference(self._index, place, field, left, right, kind)


def _sharing(place: str, left: str, right: str) -> tuple[str, str]:
    """Whose frame `place` shows on each side, left and right being the first places that show it."""
    other = left if left != place else right
    words = {True: f"the frame of {other}", False: f"another frame than {other}"}
    return words[left == other], words[right == other]


def place_of(view: PageView) -> str:
    """Where a page is, as a difference says it."""
    return f"{view.proc} {view.region}[{view.page}]"


def _views(observation: Observation) -> dict[str, PageView | PinView]:
    views: dict[str, PageView | PinView] = {place_of(v): v for v in observation.pages}
    views.update({f"pin {v.pin}[{v.page}]": v for v in observation.pins})
    return views


def _pins(observation: Observation) -> dict[str, None]:
    return dict.fromkeys(view.pin for view in observation.pins)


def _frames(observation: Observation) -> _Frames:
    return {place_of(v): v.frame for v in observation.pages if v.frame is not None}


def _value(field: str, value: object) -> str:
    if field == "byte" and isinstance(value, int):
        return "mixed bytes" if value == MIXED else f"0x{value:02x}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _observations(observations: Sequence[Observation]) -> str:
    return "1 observation" if len(observations) == 1 else f"{len(observations)} observations"
