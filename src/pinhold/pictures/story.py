"""From a run to what its picture shows: strands (who holds), bands (what is held), rows (steps).  Nothing is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

from pinhold.pictures.holders import Holder, Sight, View, alike, sights
from pinhold.scenario import steps as s
from pinhold.scenario.observation import PageView
from pinhold.scenario.parse import parse
from pinhold.scenario.runfile import RecordedRun, RecordedStep


class Elsewhere(Enum):
    """Where a holder is that is on no frame."""

    SWAP = "swap"
    NOWHERE = "none"
    UNSEEN = "?"


Place = int | Elsewhere | None
"""The band that a strand lies in, by its number; None: there is no such holder (yet, or any more)."""

Pair = tuple[int, int]
"""The strand of a pin and the strand of the pages that it was taken of: what becomes of them is the question."""


@dataclass(slots=True)
class Strand:
    """One holder, or several that always did alike: pages of a region of one process, or pages of one pin.

    owner: the process or the pin.  at, views: per row; of several the view of the first.  only: nothing else of the
    region, or of the pin, is seen.  hero: the scenario asks about it.
    """

    owner: str
    region: str
    pages: tuple[int, ...]
    at: list[Place]
    views: list[View | None]
    only: bool = True
    hero: bool = True

    @property
    def is_pin(self) -> bool:
        return not self.region

    @property
    def label(self) -> str:
        """In a sentence: "P x", "P x[0,255]", "pin p"."""
        name = f"pin {self.owner}" if self.is_pin else f"{self.owner} {self.region}"
        return name if self.only and self.pages == (0,) else f"{name}[{','.join(map(str, self.pages))}]"


@dataclass(slots=True)
class Band:
    """One frame, or several with the same history.

    first, last: rows, while somebody holds it.  bytes: per row what is read there, None unseen; known: what was read
    there last.
    """

    frames: tuple[int, ...]
    kind: str = ""
    first: int = 0
    last: int = 0
    bytes: list[int | None] = field(default_factory=list)
    known: list[int | None] = field(default_factory=list)

    @property
    def label(self) -> str:
        first, last = self.frames[0], self.frames[-1]
        if first == last:
            return f"f{first}"
        whole = self.frames == tuple(range(first, last + 1))
        return f"f{first}-f{last}" if whole else ",".join(f"f{frame}" for frame in self.frames)


@dataclass(frozen=True, slots=True)
class Row:
    """One step.  step: None where the text could not be read (a newer language); changed: strands that began, moved,
    ended or look different; task: of a schedule's step, and the operation that it is in."""

    index: int
    recorded: RecordedStep
    step: s.Step | None
    changed: frozenset[int]
    task: str = ""
    operation: str = ""


@dataclass
class Story:
    """A run, ready to be drawn.  forks: per row the children that a fork is making, with their parents."""

    run: RecordedRun
    strands: list[Strand]
    bands: list[Band]
    rows: list[Row]
    pairs: list[Pair]
    forks: Sequence[Mapping[str, str]]

    @cached_property
    def parted_at(self) -> list[list[Pair]]:
        """Per row the pairs that are on different frames.

        A page that is unmapped or swapped out has not parted from its pin: the pin outlives the mapping.
        """
        return [
            [(p, x) for p, x in self.pairs if self._both_held(p, x, row) and not self._one_frame(p, x, row)]
            for row in range(len(self.rows))
        ]

    @cached_property
    def parting(self) -> int | None:
        """The first row after which a pin and its page are on different frames, or None."""
        return next((row for row, pairs in enumerate(self.parted_at) if pairs), None)

    @property
    def may_part(self) -> bool:
        """The run held: what parted was free to, as after a short pin or a copy."""
        return self.run.verdict is not None and self.run.verdict.kind == "held"

    def together(self, row: int) -> list[Pair]:
        """The pairs that are on one frame."""
        return [(p, x) for p, x in self.pairs if self._both_held(p, x, row) and self._one_frame(p, x, row)]

    def _both_held(self, pin: int, page: int, row: int) -> bool:
        return isinstance(self.strands[pin].at[row], int) and isinstance(self.strands[page].at[row], int)

    def _one_frame(self, pin: int, page: int, row: int) -> bool:
        return self.strands[pin].at[row] == self.strands[page].at[row]


def story(run: RecordedRun) -> Story:
    """Raises ParseError where the scenario's text is no scenario."""
    seen = sights(run)
    classes = alike(seen)
    number = {frame: index for index, frames in enumerate(classes.frames) for frame in frames}
    strands = [_strand(group, seen, number) for group in classes.holders if _ever_there(group[0], seen)]
    strands.sort(key=lambda strand: strand.is_pin)
    steps = _steps(run)
    pairs = list(_pairs(strands, steps))
    strands, pairs = _asked_about(strands, pairs)
    bands = _bands(strands, classes.frames, len(seen))
    return Story(run, strands, bands, list(_rows(run, steps, strands)), pairs, list(_forks(steps)))


def _steps(run: RecordedRun) -> list[s.Step | None]:
    """Of each recorded step what the scenario's text says it is."""
    steps = parse(run.text).steps
    return [steps[r.index] if r.index < len(steps) else None for r in run.steps]


def _done(step: s.Step | None) -> s.Step | None:
    """A schedule begins an operation: that is what is done."""
    return step.step if isinstance(step, s.Start) else step


def _forks(steps: Sequence[s.Step | None]) -> Iterator[Mapping[str, str]]:
    """Of a schedule all steps of the task that forks: it may copy a page in any of them."""
    begun: dict[str, s.Step] = {}
    for step in steps:
        if isinstance(step, s.Start):
            begun[step.task] = step.step
        match step:
            case s.Start() | s.Advance():
                doing = [begun[step.task]] if step.task in begun else []
            case s.Settle():
                doing = list(begun.values())
            case _:
                doing = [step] if step is not None else []
        yield {fork.child: fork.proc for fork in doing if isinstance(fork, s.Fork)}


def _ever_there(holder: Holder, seen: Sequence[Sight]) -> bool:
    """A page that is never mapped has no strand."""
    views = [sight.get(holder) for sight in seen]
    return holder.is_pin or any(isinstance(v, PageView) and v.state not in (None, "none") for v in views)


def _strand(group: Sequence[Holder], seen: Sequence[Sight], band_of: Mapping[int, int]) -> Strand:
    first, pages = group[0], tuple(holder.page for holder in group)
    views = [sight.get(first) for sight in seen]
    return Strand(first.owner, first.region, pages, [_place(v, band_of) for v in views], views)


def _place(view: View | None, band_of: Mapping[int, int]) -> Place:
    if view is None:
        return None
    if view.frame is not None:
        return band_of[view.frame]
    state = view.state if isinstance(view, PageView) else None
    return {"swapped": Elsewhere.SWAP, "none": Elsewhere.NOWHERE}.get(state or "", Elsewhere.UNSEEN)


def _pairs(strands: Sequence[Strand], steps: Sequence[s.Step | None]) -> dict[Pair, None]:
    """Page k of a pin was taken of page first + k of its range."""
    found: dict[Pair, None] = {}
    for step in map(_done, steps):
        if not isinstance(step, s.Hold):
            continue
        for p, pin in enumerate(strands):
            if not pin.is_pin or pin.owner != step.pin:
                continue
            taken = {step.range.first + page for page in pin.pages}
            for x, page in enumerate(strands):
                if (page.owner, page.region) == (step.proc, step.range.region) and taken & set(page.pages):
                    found[p, x] = None
    return found


def _asked_about(strands: list[Strand], pairs: list[Pair]) -> tuple[list[Strand], list[Pair]]:
    """The strands in pairs are the heroes; where there is none, all are.

    A pin's pages beside which its region shows no page say nothing that the others do not: they are left out.
    """
    heroes = {strand for pair in pairs for strand in pair}
    paired = {strands[p].owner for p, _ in pairs}
    kept = [i for i, x in enumerate(strands) if i in heroes or not (x.is_pin and x.owner in paired)]
    renamed = {old: new for new, old in enumerate(kept)}
    whose = Counter((strands[i].owner, strands[i].region) for i in kept)
    left = [
        replace(strands[i], hero=i in heroes or not heroes, only=whose[strands[i].owner, strands[i].region] == 1)
        for i in kept
    ]
    return left, [(renamed[p], renamed[x]) for p, x in pairs]


def _bands(strands: list[Strand], frames: Sequence[Sequence[int]], rows: int) -> list[Band]:
    """The frames that the strands are on; the strands' places become numbers in the list that is given back."""
    used = sorted({place for strand in strands for place in strand.at if isinstance(place, int)})
    renamed = {old: new for new, old in enumerate(used)}
    bands = [Band(tuple(sorted(frames[old]))) for old in used]
    for strand in strands:
        strand.at = [renamed[place] if isinstance(place, int) else place for place in strand.at]
    for index, band in enumerate(bands):
        _fill(band, [[x.views[row] for x in strands if x.at[row] == index] for row in range(rows)])
    return bands


def _fill(band: Band, views: Sequence[Sequence[View | None]]) -> None:
    """views: per row those of the strands that are on the band."""
    held = [row for row, seen in enumerate(views) if seen]
    band.first, band.last = held[0], held[-1]
    for seen in views:
        kinds = [view.kind for view in seen if isinstance(view, PageView) and view.kind]
        bytes_ = [view.byte for view in seen if view is not None and view.byte is not None]
        band.kind = band.kind or (kinds[0] if kinds else "")
        band.bytes.append(bytes_[0] if bytes_ else None)
        band.known.append(bytes_[0] if bytes_ else band.known[-1] if band.known else None)


def _rows(run: RecordedRun, steps: Sequence[s.Step | None], strands: Sequence[Strand]) -> list[Row]:
    rows: list[Row] = []
    operation: dict[str, str] = {}
    for index, (recorded, step) in enumerate(zip(run.steps, steps, strict=True)):
        task = step.task if isinstance(step, s.Start | s.Advance) else ""
        if isinstance(step, s.Start):
            operation[task] = recorded.step.removeprefix(f"start {task} ")
        changed = frozenset(i for i, strand in enumerate(strands) if _changed(strand, index))
        rows.append(Row(index, recorded, step, changed, task, operation.get(task, "")))
    return rows


def _changed(strand: Strand, row: int) -> bool:
    """Whether the strand began, moved or ended with the row, or looks different after it."""
    if not row:
        return strand.at[0] is not None
    if strand.at[row] != strand.at[row - 1]:
        return True
    now, before = strand.views[row], strand.views[row - 1]
    if isinstance(now, PageView) and isinstance(before, PageView):
        return _look(now) != _look(before)
    return False


def _look(view: PageView) -> tuple[object, ...]:
    return view.state, view.frame, view.kind, view.exclusive, view.mapcount, view.byte, view.writable
