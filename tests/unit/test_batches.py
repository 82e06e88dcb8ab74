"""Scenarios in batches: what one of them leaves behind is found at the end of the batch, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pinhold.scenario.steps import Scenario
from pinhold.targets.base import Broken, CannotDo, LeftBehind
from pinhold.targets.live import hygiene
from pinhold.targets.live.batches import Batch


class Machine:
    """Counts that some scenarios move.  leaks: how much each scenario, by its title, leaves behind in each run; once:
    what others take in the first run of a scenario alone."""

    def __init__(self, leaks: dict[str, int], once: dict[str, int]) -> None:
        self.leaks, self.once = leaks, dict(once)
        self.held, self.clock, self.looks, self.runs = 0, 0.0, 0, 0

    def sleep(self, seconds: float) -> None:
        self.clock += seconds

    def monotonic(self) -> float:
        return self.clock

    def counts(self, _: Path) -> Iterator[tuple[str, int]]:
        self.looks += 1
        yield "pages pinned", self.held

    def run(self, scenario: Scenario) -> None:
        """One run of it, which takes its time."""
        self.clock += 0.05
        self.runs += 1
        self.held += self.leaks.get(scenario.title, 0) + self.once.pop(scenario.title, 0)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Machine:
    """leaks and once, as the test has them."""
    made = Machine(*request.param)
    monkeypatch.setattr(hygiene, "_counts", made.counts)
    monkeypatch.setattr(hygiene, "time", made)
    monkeypatch.setattr(hygiene, "_moved", {})
    monkeypatch.setattr(hygiene, "_last", None)
    return made


def play(machine: Machine, shared: bool, titles: str, size: int) -> Batch:
    batch = Batch(machine.run, shared, size)
    for title in titles:
        scenario = Scenario(title, ())
        with batch.one(scenario, lambda title=title: [f"pinhold-{title}"]):  # type: ignore[misc]
            machine.run(scenario)
    return batch


SHARED = pytest.mark.parametrize("shared", [False, True], ids=["alone", "shared"])


@SHARED
@pytest.mark.parametrize("machine", [({"c": 1, "e": 3}, {})], indirect=True)
def test_who_leaves_something_behind_is_named(machine: Machine, shared: bool) -> None:
    """Two of six scenarios leak; the last of the batch says so, and names those two alone."""
    with pytest.raises(
        LeftBehind, match=r"pages pinned: 0 before, \d+ after; of the last 6 scenarios it is left by 'c', 'e'$"
    ):
        play(machine, shared, "abcdef", 6)


@SHARED
@pytest.mark.parametrize("machine", [({"h": 1}, {})], indirect=True)
def test_a_batch_that_is_not_full_is_looked_at_in_the_end(machine: Machine, shared: bool) -> None:
    """Of ten scenarios in batches of seven the eighth leaks: the end says so, and nothing before."""
    batch = play(machine, shared, "abcdefghij", 7)
    with pytest.raises(LeftBehind, match=r"of the last 3 scenarios it is left by 'h'$"):
        batch.end()
    batch.end()


@pytest.mark.parametrize("machine", [({}, {"b": 5})], indirect=True)
def test_what_does_not_come_again_is_anothers_doing(machine: Machine) -> None:
    """On a machine that others use; the batch was repeated to know it, and once."""
    play(machine, True, "abc", 3)
    assert machine.runs == 6


@pytest.mark.parametrize("machine", [({}, {"b": 5})], indirect=True)
def test_what_nobody_does_by_itself_is_told_of_all(machine: Machine) -> None:
    """In a virtual machine there is nobody else: a rise that stays is told, though no scenario repeats it."""
    with pytest.raises(LeftBehind, match=r"0 before, 5 after; by itself none leaves it of 'a', 'b', 'c'$"):
        play(machine, False, "abc", 3)


@SHARED
@pytest.mark.parametrize("machine", [({}, {})], indirect=True)
def test_a_clean_batch_takes_two_looks(machine: Machine, shared: bool) -> None:
    """One before it, and, of all counts, those at its end."""
    play(machine, shared, "abcdefghij", 10).end()
    assert machine.looks <= 3
    assert machine.runs == 10


@pytest.mark.parametrize("machine", [({"c": 1}, {})], indirect=True)
def test_one_that_is_refused_is_a_part_of_its_batch(machine: Machine) -> None:
    """A step that cannot be done ends its scenario and no batch; one that breaks ends the batch without a look."""
    batch = play(machine, False, "ac", 9)
    with pytest.raises(CannotDo, match="needs swap"), batch.one(Scenario("r", ()), tuple):
        raise CannotDo("needs swap")
    with pytest.raises(LeftBehind, match=r"of the last 3 scenarios it is left by 'c'$"):
        batch.end()
    batch = play(machine, False, "c", 9)
    with pytest.raises(Broken, match="a process"), batch.one(Scenario("r", ()), tuple):
        raise Broken("a process")
    batch.end()
