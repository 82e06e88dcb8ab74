"""Who holds which frame after each step of a run, as its observations tell it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from pinhold.scenario.observation import Observation, PageView, PinView
from pinhold.scenario.runfile import RecordedRun

View = PageView | PinView
K = TypeVar("K")


class Holder(NamedTuple):
    """A page of a region of the process `owner`, or, where region is empty, a page of the pin `owner`."""

    owner: str
    region: str
    page: int

    @property
    def is_pin(self) -> bool:
        return not self.region


Sight = Mapping[Holder, View]
"""All that one observation shows."""


def sights(run: RecordedRun) -> list[Sight]:
    """What is seen after each step; a step without an observation leaves all as it was."""
    found: list[Sight] = []
    for step in run.steps:
        if step.observation is not None:
            found.append(_sight(step.observation))
        else:
            found.append(found[-1] if found else {})
    return found


def _sight(observation: Observation) -> Sight:
    seen: dict[Holder, View] = {Holder(v.proc, v.region, v.page): v for v in observation.pages}
    seen.update({Holder(v.pin, "", v.page): v for v in observation.pins})
    return seen


class Classes(NamedTuple):
    """Which holders, and which frames, did the same all the time: lists in order of appearance."""

    holders: list[list[Holder]]
    frames: list[list[int]]


def alike(seen: Sequence[Sight]) -> Classes:
    """Put together what behaves alike, by colour refinement.

    Holders begin with a colour for whose they are and what they look like at each step.  Then a frame takes the
    colours of its holders at each step, and a holder those of its frames, until nothing more is told apart.  So the
    512 pages of a THP are one line as long as they do the same, and nothing here knows what a THP is.  `exclusive` and
    `mapcount` are left out: of tail pages real kernels do not show them.
    """
    holders = list(dict.fromkeys(holder for sight in seen for holder in sight))
    colour = _numbered({h: (h.owner, h.region, tuple(_look(s.get(h)) for s in seen)) for h in holders})
    places = {h: [(t, f) for t, s in enumerate(seen) if (f := _frame(s.get(h))) is not None] for h in holders}
    while True:
        frames = _numbered(_frame_colours(places, colour))
        refined = _numbered({h: (colour[h], tuple((t, frames[f]) for t, f in places[h])) for h in holders})
        if len(set(refined.values())) == len(set(colour.values())):
            return Classes(_grouped(holders, colour), _grouped(frames, frames))
        colour = refined


def _frame_colours(
    places: Mapping[Holder, Iterable[tuple[int, int]]], colour: Mapping[Holder, int]
) -> dict[int, Hashable]:
    held: dict[int, list[tuple[int, int]]] = {}
    for holder, stays in places.items():
        for step, frame in stays:
            held.setdefault(frame, []).append((step, colour[holder]))
    return {frame: tuple(sorted(by)) for frame, by in held.items()}


def _numbered(colours: Mapping[K, Hashable]) -> dict[K, int]:
    """The same colours as small numbers, so that comparing them stays cheap."""
    numbers: dict[Hashable, int] = {}
    return {key: numbers.setdefault(value, len(numbers)) for key, value in colours.items()}


def _grouped(keys: Iterable[K], colour: Mapping[K, int]) -> list[list[K]]:
    groups: dict[int, list[K]] = {}
    for key in keys:
        groups.setdefault(colour[key], []).append(key)
    return list(groups.values())


def _look(view: View | None) -> Hashable:
    match view:
        case PageView():
            return view.state, view.kind, view.byte
        case PinView():
            return (view.byte,)
        case _:
            return None


def _frame(view: View | None) -> int | None:
    return None if view is None else view.frame
