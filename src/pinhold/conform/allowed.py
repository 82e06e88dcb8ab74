"""What nobody decides: the outcomes that the specification allows, and which of them a real kernel took.

The model does one thing where a kernel may do one of several.  Where both differ it is asked for the others:

- the LRU batch may have been drained before any step, or in the midst of one: by whatever else runs on that CPU, and
  fills it;
- a page may be in the LRU batch of another CPU, that of the process which made the file, of the debugger that wrote to
  it, or of ksmd, which has copied it as it made a KSM page in vain.  MADV_PAGEOUT and a write drain their own CPU's
  alone: the one passes over what is not on the LRU, the other copies a page for the sake of the batch's reference;
- a page that GUP has touched may be in the CPU's batch of pages to activate, whose reference makes the next write copy
  it where that does not drain the batch: which touch puts it there depends on how old the page is to reclaim, which is
  not in the specification, and PTRACE_POKEDATA is two touches a page (mark_page_accessed(), follow_page_pte()).  A
  write drains what is not on the LRU; what waits to be activated was off it from 6.11 to 6.16 alone (33dfe9204f29);
- a page that MADV_FREE has marked may be in that purpose's batch, which is full by itself: here all purposes have one
  batch, which is full sooner (folio_mark_lazyfree());
- a page that was written to swap may be in the CPU's batch of pages to rotate, where its writeback ended after reclaim
  had put it back (folio_rotate_reclaimable()).  A write that wants it back drains what is not on the LRU; where that
  page is (all but 6.11 to 6.16), the batch's reference leaves it in the swap cache, as counts tell;
- up to 5.11 VFIO pins page by page and lets go of one, as written, that does not follow the one before in memory, to
  begin another run with it (vfio_pin_pages_remote(), put_pfn()): such a page is dirty, as counts tell.  From 5.12 on it
  does so where a batch is one page, which is the last of a pin that is one page longer than so many batches (until
  063555923343, 6.15, which no rule tells).  Where frames lie is not in the specification;
- MADV_COLLAPSE finds a page that somebody else has off the LRU or locked at the moment, as khugepaged, compaction and
  reclaim do: that PMD stays as it is, and the errno is EAGAIN;
- a page that nobody holds and that the step is not about may have another frame: compaction has moved it;
- a page that KSM tries to merge in vain is copied in each scan, and may come back to the frame that it had, or have
  been copied once more before it is merged.

The model runs again with the other outcome, and goes on from there if everything that was seen agrees.  What fits no
outcome is a difference.  So is what others do for a moment (MOMENTARY) where it comes in most fresh runs: see lane.py.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from pinhold.conform.masks import Masking
from pinhold.mm.file import folio_mark_dirty
from pinhold.mm.flags import FOLIO_LOCKED, NO_PAGE
from pinhold.mm.folio import folio_alloc, folio_batch_add, folio_get, folio_put, lru_add_drain
from pinhold.mm.pin import VFIO_BATCH_PAGES
from pinhold.mm.rules.pin import VFIO_PIN_BATCH
from pinhold.scenario import steps as s
from pinhold.scenario.compare import FRESH, KEPT, Difference, Pair, place_of
from pinhold.scenario.observation import Observation, PageView
from pinhold.scenario.steps.table import Place
from pinhold.targets.base import Broken, CannotDo, Livelock, Outcome
from pinhold.targets.model.film import Film
from pinhold.targets.model.session import ModelSession
from pinhold.targets.model.sight import anon_page, file_folio, mapped_folio, may_move, swapped_page
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import StepRecord

DRAINED = "the LRU batch was drained by others"
HELD = "a page was in another CPU's LRU batch"
ISOLATED = "a page was off the LRU when MADV_COLLAPSE looked at it"
ACTIVATED = "a page that GUP touched was in the batch of pages to activate"
FREED = "a page that MADV_FREE had marked was in a batch of its own"
ROTATED = "a page that was written to swap was in the batch of pages to rotate"
LET_GO = "a page that VFIO pinned did not follow the one before, and was let go of as written and pinned again"
TOUCHES = (s.Poke, s.Fill, s.Copy, s.Hold)
"""Steps that look pages up by GUP."""
MOVED = "a page was moved by others"
CAME_BACK = "a page that KSM had copied came back to its frame"
COPIED = "a page that KSM had copied in vain was copied once more"
MOMENTARY = {ISOLATED, MOVED}
"""What others do to any page now and then, and not to the same page in the same step again."""

At = tuple[str, str, int]
"""Process, region and page of a view."""

LOOK_BACK = 4
"""Before so many of the last steps, that at hand included, a drained batch is tried."""

ALIVE = 2
"""So many ways are followed at a time: what is seen later may tell one from the other."""

TOGETHER = 2
"""So many chances may show in one step for the first time."""


@dataclass(slots=True)
class Followed:
    """records: the model's, of the steps that were compared, taken as the real kernel took them.  values: that both
    sides saw.  difference: the first that no outcome explains.  settled: values that an outcome other than the model's
    first explains, by which.  masked: values that differ as a mask explains, by its name.  left_out: the step
    at which the comparison ends because the specification has none such, with the reason.  trouble: what else kept the
    model from going on."""

    records: Sequence[StepRecord] = ()
    values: int = 0
    difference: Difference | None = None
    settled: Counter[str] = field(default_factory=Counter)
    masked: Counter[str] = field(default_factory=Counter)
    left_out: tuple[tuple[s.Step, str], ...] = ()
    trouble: str = ""


def as_filmed(film: Film, model: ModelTarget, scenario: s.Scenario, seen: Sequence[Observation]) -> Followed | None:
    """What follow() gives where a real kernel did all that the model did first; None where something differs, or the
    film is of another scenario or another machine, and where counts are wanted, which a still does not have."""
    if model.counts or not film.fits(scenario, model.given(scenario)):
        return None
    found, records, masking = Followed(), list[StepRecord](), Masking(model.release)
    pair: Pair | None = None
    for index, (step, real, (outcome, shown)) in enumerate(zip(scenario.steps, seen, film.run(scenario), strict=True)):
        pair = Pair(index, real, shown, pair)
        if any(masking.left(step, pair.differences(), found.masked)):
            return None
        found.values += pair.compared
        records.append(StepRecord(index, step, outcome, shown))
    found.records = records
    return found


def follow(model: ModelTarget, scenario: s.Scenario, seen: Sequence[Observation], momentary: bool = True) -> Followed:
    """The scenario on the model, beside what a real kernel showed after each step, to the first difference.

    momentary: whether MOMENTARY explains anything.
    """
    with ExitStack() as sessions:
        ways = [_Way(model, scenario, seen, sessions, _Chance(momentary))]
        for index in range(len(seen)):
            first = ways[0]
            try:
                for way in ways:
                    way.step()
            except CannotDo as limit:
                first.found.left_out = ((scenario.steps[index], str(limit)),)
                return first.found
            except (Livelock, Broken) as raised:
                first.found.trouble = f"{model.name}: {type(raised).__name__.lower()}: {raised}"
                return first.found
            agree = [way for way in ways if not way.differences]
            ways = agree or list(itertools.islice(_others(ways, index), ALIVE))
            if not ways:
                first.found.difference = first.differences[0]
                return first.found
        return ways[0].found


def _others(ways: Sequence[_Way], index: int) -> Iterator[_Way]:
    """The ways that agree with what was seen up to a step: before it or shortly before it the batch was drained, or
    during it some pages were in another CPU's, or both."""
    for _ in range(TOGETHER):
        nearer = []
        for way in ways:
            for name, chance in way.chances(index):
                other = way.again(chance)
                if not other.runs_to(index) or len(other.differences) >= len(way.differences):
                    continue
                other.chosen = [*way.chosen, *(name for d in way.differences if d not in other.differences)]
                if other.differences:
                    nearer.append(other)
                    continue
                other.found.settled.update(other.chosen)
                yield other
        ways = nearer


@dataclass(frozen=True, slots=True)
class _Chance:
    """How the undetermined turns out.  momentary: whether anything of it may be MOMENTARY.  drained: step -> after how
    many of its pages the LRU batch is drained, 0: before it, whoever did it.  held: step -> process, region and page
    that reclaim cannot take then.  kept: that a batch has a reference to, which nobody drains.  dirtied: that are
    dirty after it."""

    momentary: bool
    drained: Mapping[int, int] = field(default_factory=dict)
    held: Mapping[int, Sequence[At]] = field(default_factory=dict)
    kept: Mapping[int, Sequence[At]] = field(default_factory=dict)
    dirtied: Mapping[int, Sequence[At]] = field(default_factory=dict)


class _Way:
    """One run of the model.  chosen: for each value that its chance settles, what it is."""

    def __init__(
        self,
        model: ModelTarget,
        scenario: s.Scenario,
        seen: Sequence[Observation],
        sessions: ExitStack,
        chance: _Chance,
    ) -> None:
        self.found = Followed()
        self.differences: list[Difference] = []
        self.chosen: list[str] = []
        self._model, self._scenario, self._seen, self._sessions = model, scenario, seen, sessions
        self._chance = chance
        self._session: ModelSession = sessions.enter_context(model.open(scenario))
        self._records: list[StepRecord] = []
        self._pair: Pair | None = None
        self._masking = Masking(model.release)
        self._in_batch: list[int] = []
        """Before each step: how many pages."""
        self._elsewhere: set[int] = set()
        """The model's anonymous pages that are in the batch of another CPU, maybe."""
        self._touched: set[int] = set()
        """The model's anonymous pages that GUP has looked up."""
        self._freed: set[int] = set()
        """The model's anonymous pages that MADV_FREE has marked."""
        self._by_others: list[Collection[At]] = []
        """Before each step: where those are mapped."""

    def chances(self, index: int) -> Iterator[tuple[str, _Chance]]:
        """Other ways to a step at which this one differs, by what happened."""
        yield from ((DRAINED, self._draining(*when)) for when in self._drains(index))
        step = self._scenario.steps[index]
        if isinstance(step, s.Pin) and (pages := list(self._let_go(step, index))):
            yield LET_GO, replace(self._chance, dirtied={**self._chance.dirtied, index: pages})
        if isinstance(step, s.SwapOut) or (isinstance(step, s.Madvise) and step.advice == "pageout"):
            present = [v for v in self._seen[index].pages if v.kind in ("file", "anon")]
            stayed = [at for v in present if (at := _at(v)) in self._by_others[index] or v.kind == "file"]
            behind = list(self._behind([v for v in present if v.kind == "file"], index))
            if stayed:
                yield HELD, self._holding(index, stayed)
            if behind:
                yield HELD, self._holding(index, [*stayed, *behind])
        if self._chance.momentary and isinstance(step, s.Madvise) and step.advice == "collapse":
            for page in self._not_collapsed(step, index):
                yield ISOLATED, self._holding(index, [page])
        copied = list(self._copied(index))
        touched = [_at(v) for v in copied if not self._touched.isdisjoint(self._anon_pages([_range(_at(v))]))]
        freed = [_at(v) for v in copied if not self._freed.isdisjoint(self._anon_pages([_range(_at(v))]))]
        elsewhere = [_at(v) for v in copied if _at(v) in self._by_others[index]]
        rotated = list(self._in_swap_cache(index))
        for name, kept in ((ACTIVATED, touched), (FREED, freed), (HELD, elsewhere), (ROTATED, rotated)):
            if kept:
                yield name, replace(self._chance, kept={**self._chance.kept, index: kept})

    def _drains(self, index: int) -> Iterator[tuple[int, int]]:
        """Shortly before a step, or in one: after how many of its pages.

        In the midst of a step it is a matter of frames alone: a page that the batch has is copied by the next write.
        """
        lately = range(index, max(index - LOOK_BACK, -1), -1)
        yield from ((before, 0) for before in lately if self._in_batch[before])
        if any(d.field == "frame" for d in self.differences):
            counts = [*self._in_batch, self._session.m.lru_batch[0]]
            for step in lately:
                yield from ((step, pages) for pages in range(1, counts[step + 1] - counts[step]))

    def _draining(self, step: int, pages: int) -> _Chance:
        return replace(self._chance, drained={**self._chance.drained, step: pages})

    def _holding(self, index: int, pages: Sequence[At]) -> _Chance:
        return replace(self._chance, held={**self._chance.held, index: pages})

    def _behind(self, stayed: Sequence[PageView], index: int) -> Iterator[At]:
        """The pages of the same regions that nobody watches, behind the first of these pages of files: who made the
        file brought them after it.  Later steps tell whether they stayed, too."""
        watched = {_at(view) for view in self._seen[index].pages}
        first: dict[tuple[str, str], int] = {}
        for view in stayed:
            first.setdefault((view.proc, view.region), view.page)
        for (proc, region), page in first.items():
            _, pages = self._session.names.regions.get(proc, {}).get(region, (0, 0))
            yield from (at for each in range(page, pages) if (at := (proc, region, each)) not in watched)

    def _not_collapsed(self, step: s.Madvise, index: int) -> Iterator[At]:
        """The pages that the step is about, where the kernel says EAGAIN and the model does not."""
        if any((d.field, d.left) == ("errno", "EAGAIN") for d in self.differences):
            for view in self._seen[index].pages:
                if any(_names(place, view) for place in step.places()):
                    yield _at(view)

    def _copied(self, index: int) -> Iterator[PageView]:
        """The pages that a step wrote to and that have another frame on the real kernel alone."""
        last = self._scenario.steps[index]
        assert isinstance(last, s.Action)
        here = list(last.places())
        fresh = {d.where for d in self.differences if (d.field, d.left, d.right) == ("frame", FRESH, KEPT)}
        for view in self._seen[index].pages:
            if place_of(view) in fresh and any(_names(place, view) for place in here):
                yield view

    def _in_swap_cache(self, index: int) -> Iterator[At]:
        """The pages that were swapped out before, and that a kernel whose counts are seen leaves in the swap cache."""
        there = {d.where for d in self.differences if (d.field, d.left) == ("counts.swapcache", "yes")}
        before = {_at(view) for view in self._seen[index - 1].pages if view.state == "swapped"} if index else set()
        yield from (_at(v) for v in self._seen[index].pages if place_of(v) in there and _at(v) in before)

    def _let_go(self, step: s.Pin, index: int) -> Iterator[At]:
        """The pages that VFIO may have pinned twice and that are dirty on the real kernel alone: not the first."""
        if step.user != "vfio" or not step.write:
            return
        _, start, end = self._session.names.span(step.proc, step.range)
        alone = self._model.row["vfio_batch"] == VFIO_PIN_BATCH
        twice = range(end - start - 1 if alone else 1, end - start)
        if alone and twice.start % VFIO_BATCH_PAGES:
            return
        there = {d.where for d in self.differences if (d.field, d.left) == ("counts.folio_dirty", "yes")}
        for view in self._seen[index].pages:
            here = place_of(view) in there and any(_names(place, view) for place in step.places())
            if here and view.page - step.range.first in twice and view.page > step.range.first:
                yield _at(view)

    def again(self, chance: _Chance) -> _Way:
        """The same scenario with another chance, from its beginning."""
        return _Way(self._model, self._scenario, self._seen, self._sessions, chance)

    def runs_to(self, index: int) -> bool:
        """Do the steps up to this one; whether all of them before it agree."""
        try:
            while len(self._records) <= index:
                if self.differences:
                    return False
                self.step()
        except (CannotDo, Livelock, Broken):
            return False
        return True

    def step(self) -> None:
        """Do the next step and look.  Raises CannotDo, Livelock, Broken."""
        index = len(self._records)
        step = self._scenario.steps[index]
        assert isinstance(step, s.Action)
        self._in_batch.append(self._session.m.lru_batch[0])
        self._drain(self._chance.drained.get(index))
        self._by_others.append(set(self._mapped_elsewhere()))
        with self._held(index), self._kept(index):
            outcome: Outcome = self._session.do(step)
        self._mark_dirty(self._chance.dirtied.get(index, ()))
        if isinstance(step, TOUCHES):
            self._touched |= set(self._anon_pages((p.proc, p.range) for p in step.places()))
        if isinstance(step, s.Madvise) and step.advice == "free":
            self._freed |= set(self._anon_pages((p.proc, p.range) for p in step.places()))
        elif isinstance(step, s.Drain):
            self._freed.clear()
        if isinstance(step, s.Poke):
            self._elsewhere |= set(self._anon_pages((p.proc, p.range) for p in step.places()))
        elif isinstance(step, s.Ksm):
            self._elsewhere = set(self._session.ksmd.copies.values())
        shown = self._session.observe()
        self._records.append(StepRecord(index, step, outcome, shown))
        self.found.records = self._records
        self._compare(index, step, shown)

    def _drain(self, pages: int | None) -> None:
        """Drain the batch now, or have it full after so many pages more: a page of others is in it often enough."""
        m = self._session.m
        if pages == 0:
            lru_add_drain(m)
        elif pages is not None and (folio := folio_alloc(m, 0)) != NO_PAGE:
            for _ in range(m.lru_batch_size - m.lru_batch[0] - pages):
                folio_batch_add(m, folio)
            folio_put(m, folio)

    def _mark_dirty(self, pages: Iterable[At]) -> None:
        m = self._session.m
        for mm, addr, _ in (self._session.names.span(*_range(at)) for at in pages):
            if (folio := mapped_folio(m, mm, addr)) is not None:
                folio_mark_dirty(m, folio)

    def _anon_pages(self, ranges: Iterable[tuple[str, s.Range]]) -> Iterator[int]:
        """The model's, mapped in such ranges of processes."""
        for mm, start, end in itertools.starmap(self._session.names.span, ranges):
            yield from (p for addr in range(start, end) if (p := anon_page(self._session.m, mm, addr)) is not None)

    def _mapped_elsewhere(self) -> Iterator[At]:
        """Where the watched pages are that another CPU's batch may have."""
        if self._elsewhere and self._records:
            shown = self._records[-1].observation
            assert shown is not None
            for at in map(_at, shown.pages):
                if not self._elsewhere.isdisjoint(self._anon_pages([_range(at)])):
                    yield at

    @contextmanager
    def _kept(self, index: int) -> Iterator[None]:
        """Pages to which a batch has a reference meanwhile, and nobody drains it."""
        m = self._session.m
        spans = [self._session.names.span(*_range(at)) for at in self._chance.kept.get(index, ())]
        found = [look(m, mm, addr) for mm, addr, _ in spans for look in (anon_page, swapped_page)]
        folios = {folio for folio in found if folio is not None}
        for folio in folios:
            folio_get(m, folio)
        yield
        for folio in folios:
            folio_put(m, folio)

    @contextmanager
    def _held(self, index: int) -> Iterator[None]:
        """Pages that reclaim does not get meanwhile: to it they are like those that somebody has locked."""
        m, names = self._session.m, self._session.names
        held = self._chance.held.get(index, ())
        spans = [names.span(proc, s.Range(region, page, page + 1)) for proc, region, page in held]
        found = [look(m, mm, addr) for mm, addr, _ in spans for look in (file_folio, anon_page)]
        folios = {folio for folio in found if folio is not None}
        for folio in folios:
            m.folio_flags[folio] |= FOLIO_LOCKED
        yield
        for folio in folios:
            m.folio_flags[folio] &= ~FOLIO_LOCKED

    def _compare(self, index: int, step: s.Action, shown: Observation) -> None:
        pair = self._pair = Pair(index, self._seen[index], shown, self._pair)
        self.differences = list(self._masking.left(step, pair.differences(), self.found.masked))
        self.found.values += pair.compared
        outcomes = [self._outcome(step, difference) for difference in self.differences]
        if all(outcomes):
            self.found.settled.update(outcome for outcome in outcomes if outcome)
            self.differences = []

    def _outcome(self, step: s.Action, difference: Difference) -> str | None:
        """What explains that only one side has given a page another frame, or None."""
        if difference.field != "frame":
            return None
        if isinstance(step, s.Ksm) and (difference.left, difference.right) == (KEPT, FRESH):
            return CAME_BACK
        if isinstance(step, s.Ksm) and (difference.left, difference.right) == (FRESH, KEPT):
            seen = self._seen[len(self._records) - 1].pages
            if difference.where in {place_of(view) for view in seen if _at(view) in self._by_others[-1]}:
                return COPIED
        moved = self._chance.momentary and (difference.left, difference.right) == (FRESH, KEPT)
        return MOVED if moved and difference.where in self._movable(step, self._seen[len(self._records) - 1]) else None

    def _movable(self, step: s.Action, real: Observation) -> Iterator[str]:
        """The pages that compaction may have moved during the step."""
        for view in real.pages:
            if not any(_names(place, view) for place in step.places()):
                mm, addr, _ = self._session.names.span(view.proc, s.Range(view.region, view.page, view.page + 1))
                if may_move(self._session.m, mm, addr):
                    yield place_of(view)


def _at(view: PageView) -> At:
    return view.proc, view.region, view.page


def _range(at: At) -> tuple[str, s.Range]:
    """Of one page."""
    proc, region, page = at
    return proc, s.Range(region, page, page + 1)


def _names(place: Place, view: PageView) -> bool:
    """Whether the page is one of those that the step is about."""
    r = place.range
    here = (place.proc, r.region) == (view.proc, view.region)
    return here and r.first <= view.page and (r.end is None or view.page < r.end)
