"""A look at a whole kernel: one made by hand, and one that runs on, of which what may change is read twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")
pytest.importorskip("numpy", reason="needs numpy: pip install 'pinhold[inspect]'")

import drgn

from pinhold.inspect import loose, pinned
from pinhold.inspect.files import Task
from pinhold.inspect.folio import Folio
from pinhold.inspect.holders import Found
from pinhold.inspect.holders.kept import Run
from pinhold.inspect.loose import CHANGED, GIVEN_BACK, Loose
from pinhold.inspect.pinned import Look
from pinhold.inspect.records import Holder, Process, Selection, State
from pinhold.inspect.state import Judged
from synthetic import LAYOUT, SECTION, Machine

PFN = 100
FOLIO = Folio(PFN, 0, "anon", frozenset({"lru"}), 1025, 1, None, None, 0x1000, True, 0, 0)
SAME = Judged(Run(PFN, 1, 0x7000), FOLIO, State.SAME)
STALE = replace(SAME, state=State.STALE)
TASK = Task(Process(7, "seven"), None, 0x5000)
FOUND = Found(Holder("io_uring", TASK.process, 3), ("io_uring", 0x9000), (SAME.run,))


def test_the_pins_of_a_whole_machine_and_their_owners() -> None:
    """Each pin once, with whose it is and in which state; struct pages are read by the section, never more, and hardly
    any of them twice."""
    machine = Machine(4 * SECTION, 230)
    read: list[int] = []
    whole = machine.struct_pages

    def noted(address: int, count: int, offset: int, physical: bool) -> bytes:
        read.append(count)
        return whole(address, count, offset, physical)

    machine.struct_pages = noted  # type: ignore[method-assign]
    told = Look(machine.view()).look(Selection())
    by_state = {state: [one for one in told.folios if one.state is state] for state in machine.states}
    assert {state: len(found) for state, found in by_state.items()} == machine.states == {"same": 207, "STALE": 23}
    assert len(told.folios) == 230 and all((one.pins, one.holders) == (1, (Holder("unknown"),)) for one in told.folios)
    assert sorted({owner.process.pid for one in told.folios for owner in one.owners}) == [1, 2, 3]
    assert all(len(one.owners) == 1 for one in told.folios)
    assert max(read) == SECTION * LAYOUT.size
    assert sum(read) < 1.02 * 4 * SECTION * LAYOUT.size


def looking(changes: bool = True) -> Look:
    source = SimpleNamespace(name="made up", changes=changes, pause=nullcontext)
    return Look(SimpleNamespace(source=source))  # type: ignore[arg-type]


class Answers:
    """Gives one answer after the other, the last again and again; an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = answers, 0

    def __call__(self, *_: Any) -> Any:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


def settled(look: Look, monkeypatch: pytest.MonkeyPatch, held: Answers, judged: Answers) -> list[Judged]:
    """What is told of FOUND where the holder's file, and the state, read again, are these."""
    monkeypatch.setattr(look, "_judged", judged)
    of = SimpleNamespace(of=lambda task: (held(task), True))
    return look._settled(FOUND, TASK, of)  # type: ignore[arg-type]


def test_what_is_the_same_twice_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts go up and down all the time, and are those of the second reading."""
    more = replace(SAME, folio=replace(FOLIO, refcount=1026))
    judged = Answers([SAME], [more])
    assert settled(looking(), monkeypatch, Answers([FOUND]), judged) == [more]
    assert judged.asked == 2


def test_what_is_given_back_between_two_readings_is_not_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder has nothing any more: what was mapped no longer where it had been is not told."""
    assert settled(looking(), monkeypatch, Answers([]), Answers([STALE])) == []


def test_a_state_that_differs_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until two readings after each other agree; also where it is what is held that differs."""
    look = looking()
    assert settled(look, monkeypatch, Answers([FOUND]), Answers([STALE], [SAME])) == [SAME]
    moved = replace(FOUND, runs=(replace(SAME.run, pfn=PFN + 1),))
    judged = Answers([SAME])
    assert settled(look, monkeypatch, Answers([moved]), judged) == [SAME]
    assert judged.asked == 3
    assert look._inconsistent == set()


def test_what_never_is_the_same_twice_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said, and the process counts as one that could not be read."""
    look = looking()
    (one,) = settled(look, monkeypatch, Answers([FOUND]), Answers(*([SAME], [STALE]) * 8))
    assert (one.state, one.reason) == (State.UNKNOWN, CHANGED)
    assert look._inconsistent == {TASK.mm}


def test_a_kernel_that_stands_still_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds it cannot go away."""
    judged = Answers([STALE], [SAME])
    assert settled(looking(changes=False), monkeypatch, Answers([]), judged) == [STALE]
    assert judged.asked == 1


WHERE = replace(SAME, run=Run(PFN, 1), places=((TASK.mm, 0x7000),))
ELSEWHERE = replace(WHERE, places=((TASK.mm, 0x8000),))
LARGE = replace(FOLIO, order=3, pincount=2)
GONE = [replace(WHERE, folio=replace(FOLIO, refcount=1))]
LASTS, TRANSIENT = (State.SAME, "", False), (State.UNKNOWN, GIVEN_BACK, True)


@pytest.mark.parametrize(
    ("changes", "read", "told"),
    [
        (True, [[WHERE]], LASTS),
        (True, [[WHERE], GONE], TRANSIENT),
        (True, [[WHERE], [WHERE], GONE], TRANSIENT),
        (True, [[WHERE], drgn.FaultError("freed", 0)], TRANSIENT),
        (True, [drgn.FaultError("freed", 0), [WHERE]], LASTS),
        (True, [[WHERE], [WHERE], [ELSEWHERE]], (State.UNKNOWN, CHANGED, False)),
        (True, [[replace(WHERE, state=State.STALE)], [WHERE]], LASTS),
        (False, [[WHERE]], LASTS),
        (False, [[WHERE], GONE], TRANSIENT),
        (False, [[WHERE], [WHERE], GONE], LASTS),
    ],
    ids=["lasts", "gone", "going", "freed", "read later", "moves", "was stale", "paused", "gone paused", "read once"],
)
def test_what_nobody_holds_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, changes: bool, read: list[Any], told: tuple[State, str, bool]
) -> None:
    """A moment later: what is pinned no more was I/O in flight; what is, is told as it is then.  Of a kernel that runs
    on it has to be the same twice; of one that is stopped it is read once."""
    monkeypatch.setattr(loose, "by_rmap", Answers(*read))
    found = Loose(SimpleNamespace(source=SimpleNamespace(changes=changes, goes_on=True)))  # type: ignore[arg-type]
    assert found.wait == 0
    found.add(FOLIO)
    assert found.wait == loose.MOMENT
    ((judged, gone),) = found.settled()
    assert (judged.state, judged.reason, gone) == told
    assert judged.run.pages == 1


def test_what_nobody_holds_in_a_dump_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing will change there; a large folio is told as a whole."""
    read = Answers([replace(WHERE, folio=LARGE)], GONE)
    monkeypatch.setattr(loose, "by_rmap", read)
    found = Loose(SimpleNamespace(source=SimpleNamespace(changes=False, goes_on=False)))  # type: ignore[arg-type]
    found.add(LARGE)
    assert found.wait == 0
    ((judged, gone),) = found.settled()
    assert (judged.state, judged.run.pages, gone, read.asked) == (State.SAME, 8, False, 1)


def test_io_in_flight_is_told_as_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its pins and its owner as they were at the first look; the kernel is stopped twice, and not in between."""
    machine = Machine(SECTION, 2)
    view = machine.view()
    stops: list[str] = []

    @contextmanager
    def pause() -> Iterator[None]:
        stops.append("stop")
        yield
        stops.append("go on")

    def sleep(seconds: float) -> None:
        stops.append("wait")
        machine.give_back(1)

    view.source = replace(view.source, goes_on=True, pause=pause)
    monkeypatch.setattr(pinned.time, "sleep", sleep)
    one, two = Look(view).look(Selection()).folios
    assert stops == ["stop", "go on", "wait", "stop", "go on"]
    assert (one.holders, one.state, one.reason) == ((Holder("transient"),), State.UNKNOWN, GIVEN_BACK)
    assert (one.pins, [owner.process.pid for owner in one.owners]) == (1, [1])
    assert (two.holders, two.state) == ((Holder("unknown"),), State.SAME)


@pytest.mark.parametrize("changes", [True, False])
def test_a_list_of_processes_that_breaks_is_walked_again(monkeypatch: pytest.MonkeyPatch, changes: bool) -> None:
    """Of a kernel that runs on; one that stands still is damaged."""
    calls = Answers(drgn.FaultError("gone", 0), [TASK, replace(TASK, mm=0)])

    def tasks(view: Any) -> Iterator[Task]:
        yield from calls(view)

    monkeypatch.setattr(pinned, "tasks", tasks)
    if changes:
        assert looking()._processes() == [TASK]
    else:
        with pytest.raises(drgn.FaultError):
            looking(changes=False)._processes()
