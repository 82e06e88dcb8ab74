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
    pair: Pair | None = None
    for index, (left, right) in enumerate(zip(a, b, strict=False)):
        pair = Pair(index, left, right, pair)
        difference = next(pair.differences(), None)
        compared += pair.compared
        if difference is not None:
            return Comparison(difference, compared)
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


_Place = tuple[str, str, int] | tuple[str, int]
"""Process, region and page; or pin and page."""

_Views = dict[_Place, PageView | PinView]


class Pair:
    """The observations that two targets made after the same step.

    before: those after the step before, if there is one.  compared: how many fields both sides saw, as far as was
    looked.

    Many targets tell what looks as it did before by the same view.  Where both sides do, it is known what comes of it.
    """

    def __init__(self, index: int, left: Observation, right: Observation, before: Pair | None = None) -> None:
        self.compared = 0
        self._index = index
        self._errnos = left.errno, right.errno
        self._pins = _pins(left), _pins(right)
        self._left = _views(left)
        self._right = _views(right)
        self._both = [
            (place, view, other) for place, view in self._left.items() if (other := self._right.get(place)) is not None
        ]
        self._before: tuple[_Views, _Views] = ({}, {}) if before is None else (before._left, before._right)
        self._alike: dict[_Place, int] = {}
        """Of the views of which no value differs: how many values both sides saw."""
        self._unchanged = {} if before is None else self._since(before)

    def _since(self, before: Pair) -> dict[_Place, int]:
        """What of it is just as it was."""
        left, right, alike = before._left.get, before._right.get, before._alike
        return {
            place: alike[place]
            for place, view, other in self._both
            if left(place) is view and right(place) is other and place in alike
        }

    def differences(self) -> Iterator[Difference]:
        """Whatever differs: values, then frames within the observation, then those that only one side has kept."""
        yield from self._values()
        yield from self._frames()
        yield from self._kept()

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
        for place, view, other in self._both:
            if place in self._unchanged:
                alike = self._unchanged[place]
                self.compared += alike
                self._alike[place] = alike
            else:
                yield from self._view(place, view, other)

    def _view(self, place: _Place, view: PageView | PinView, other: PageView | PinView) -> Iterator[Difference]:
        """The values of one place."""
        before, differs = self.compared, False
        for difference in self._fields(place, view, other):
            differs = True
            yield difference
        if not differs:
            self._alike[place] = self.compared - before

    def _fields(self, place: _Place, view: PageView | PinView, other: PageView | PinView) -> Iterator[Difference]:
        """What of them differs."""
        fields, values = _FIELDS[type(view)]
        for field, mine, theirs in zip(fields, values(view), values(other), strict=True):
            if mine is not None and theirs is not None:
                self.compared += 1
                if mine != theirs:
                    yield self._difference(place, field, _value(field, mine), _value(field, theirs))
        if isinstance(view, PageView) and isinstance(other, PageView):
            yield from self._counts(place, view, other)

    def _counts(self, place: _Place, view: PageView, other: PageView) -> Iterator[Difference]:
        """What no process sees."""
        if view.counts is None or other.counts is None:
            return
        for field, mine, theirs in known(view.counts, other.counts):
            self.compared += 1
            if mine != theirs:
                yield self._difference(place, f"counts.{field}", _value(field, mine), _value(field, theirs))

    def _frames(self) -> Iterator[Difference]:
        """Views whose frame is shared with an earlier view on one side only."""
        first_of_left: dict[int, _Place] = {}
        first_of_right: dict[int, _Place] = {}
        for place, view, other in self._both:
            if view.frame is None or other.frame is None:
                continue
            self.compared += 1
            left = first_of_left.setdefault(view.frame, place)
            right = first_of_right.setdefault(other.frame, place)
            if left != right:
                yield self._difference(place, "frame", *_sharing(place, left, right))

    def _kept(self) -> Iterator[Difference]:
        """Pages that kept their frames since the observation before on one side only."""
        left_before, right_before = self._before
        for place, view, other in self._both:
            if not isinstance(view, PageView) or view.frame is None or other.frame is None:
                continue
            if place in self._unchanged:
                self.compared += 1
                continue
            was, others = left_before.get(place), right_before.get(place)
            if was is None or was.frame is None or others is None or others.frame is None:
                continue
            self.compared += 1
            left, right = view.frame == was.frame, other.frame == others.frame
            if left != right:
                yield self._difference(place, "frame", *((KEPT if kept else FRESH) for kept in (left, right)))

    def _difference(self, place: _Place, field: str, left: str, right: str) -> Difference:
        views = self._left[place], self._right[place]
        kind = next((view.kind for view in views if isinstance(view, PageView) and view.kind is not None), None)
        return Difference(self._index, _words(place), field, left, right, kind)


def _sharing(place: _Place, left: _Place, right: _Place) -> tuple[str, str]:
    """Whose frame `place` shows on each side, left and right being the first places that show it."""
    other = left if left != place else right
    words = {True: f"the frame of {_words(other)}", False: f"another frame than {_words(other)}"}
    return words[left == other], words[right == other]


def place_of(view: PageView) -> str:
    """Where a page is, as a difference says it."""
    return _words(_PLACE(view))


_PLACE: Callable[[PageView], tuple[str, str, int]] = attrgetter("proc", "region", "page")
_PIN_PLACE: Callable[[PinView], tuple[str, int]] = attrgetter("pin", "page")


def _words(place: _Place) -> str:
    return f"pin {place[0]}[{place[1]}]" if len(place) == 2 else f"{place[0]} {place[1]}[{place[2]}]"


def _views(observation: Observation) -> _Views:
    views: _Views = dict(zip(map(_PLACE, observation.pages), observation.pages, strict=True))
    views.update(zip(map(_PIN_PLACE, observation.pins), observation.pins, strict=True))
    return views


def _pins(observation: Observation) -> dict[str, None]:
    return dict.fromkeys(view.pin for view in observation.pins)


def _value(field: str, value: object) -> str:
    if field == "byte" and isinstance(value, int):
        return "mixed bytes" if value == MIXED else f"0x{value:02x}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _observations(observations: Sequence[Observation]) -> str:
    return "1 observation" if len(observations) == 1 else f"{len(observations)} observations"
