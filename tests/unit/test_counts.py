"""What a kernel counts of a page is compared value by value, and a wrong one is told; the specification gives it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest

from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.registry import make_target
from pinhold.inspect.errors import CannotLook
from pinhold.mm.releases import row
from pinhold.scenario.compare import compare, first_difference
from pinhold.scenario.counts import Counts, Tally
from pinhold.scenario.observation import Observation, PageView
from pinhold.scenario.parse import parse
from pinhold.scenario.runfile import RecordedStep, RunWriter, read_run
from pinhold.targets.model.counts import counts_at
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result, run_scenario
from play import Play

PAGE = ("P", "x", 0)
ONE = Counts(level="pte", writable=True, refcount=1, mapcount=1, anon_exclusive=True)


def test_a_wrong_count_is_told_with_its_place() -> None:
    """Step, page, field and both values; the rest agrees."""
    tally = Tally()
    tally.add(0, {PAGE: ONE}, {PAGE: ONE})
    tally.add(1, {PAGE: ONE}, {PAGE: replace(ONE, refcount=2)})
    assert [str(unlike) for unlike in tally.unlike] == ["step 2, P x[0]: refcount 1, 2"]
    assert tally.compared["refcount"] == tally.compared["mapcount"] == 2


def test_what_one_side_does_not_know_is_passed_over() -> None:
    """A value, and a page."""
    tally = Tally()
    tally.add(0, {PAGE: ONE}, {PAGE: replace(ONE, refcount=None), ("C", "x", 0): ONE})
    assert tally.unlike == []
    assert "refcount" not in tally.compared and tally.compared["mapcount"] == 1


def seen(counts: Counts | None) -> Observation:
    return Observation(0, (PageView("P", "x", 0, counts=counts),))


def test_observations_are_compared_by_their_counts() -> None:
    """Where both have them: the field by its name, both values; None is passed over."""
    difference = first_difference([seen(ONE)], [seen(replace(ONE, refcount=2))])
    assert difference is not None
    assert difference.words() == "in observation 1, P x[0]: counts.refcount: 1 on left, 2 on right"
    assert compare([seen(ONE)], [seen(None)]).compared == 1
    assert compare([seen(ONE)], [seen(replace(ONE, mapcount=None))]).compared == 5


def test_the_model_observes_counts_where_it_is_asked_to() -> None:
    """Its observations have them, and a run file brings them back."""
    scenario = parse("scenario counts\nobserve\nmap P x anon\nwrite P x 0x01\n")
    told = run_scenario(ModelTarget("6.12").counting(), scenario).observations
    assert [page.counts and page.counts.refcount for page in told[-1].pages] == [1]
    assert all(
        page.counts is None for o in run_scenario(ModelTarget("6.12"), scenario).observations for page in o.pages
    )
    stream = io.StringIO()
    writer = RunWriter(stream, "0")
    writer.step(writer.begin("model:6.12", "counts", scenario), RecordedStep(1, "write P x 0x01", told[-1]))
    assert read_run(stream.getvalue().splitlines(True)).runs[0].steps[0].observation == told[-1]


def counted(played: Play, page: int = 0, process: str = "P") -> Counts:
    return counts_at(played.m, *played.address("x", page, process))


def test_the_specification_counts_references_pins_and_mappings() -> None:
    """Two mappings and a pin of a small page; what the batch holds is no reference of anybody's."""
    played = Play(row("6.12"), "map P x anon pages 2\nwrite P x 0x01\nfork P C\npin P x[0] as p\n")
    pinned, other = counted(played), counted(played, page=1)
    assert (pinned.refcount, pinned.mapcount, pinned.anon_exclusive, pinned.writable) == (1025, 1, True, False)
    assert (other.refcount, other.mapcount, other.anon_exclusive) == (2, 2, False)
    assert counted(played, process="C").refcount == 1


def test_a_large_folio_has_a_pincount() -> None:
    """One pin of all of it is as many as it has pages before io_uring takes it whole; the level is its entry's."""
    told = counted(Play(row("6.12"), "map P x thp\nwrite P x 0x01\npin P x as p\n"), page=511)
    assert (told.level, told.order, told.pincount, told.refcount, told.large_mapcount) == ("pmd", 9, 512, 513, 1)


def test_a_swapped_page_has_what_its_entry_keeps() -> None:
    """Whether it was exclusive, and soft-dirty; nothing else."""
    told = counted(Play(row("6.12"), "map P x anon\nwrite P x 0x01\ndrain\nswapout P x\n"))
    assert told == Counts(soft_dirty=True, swap_exclusive=True)


def test_the_zero_page_is_everybodys() -> None:
    """Its entry is compared, and not who else has it."""
    told = counted(Play(row("6.12"), "map P x anon\nread P x\n"))
    assert (told.level, told.writable, told.refcount, told.mapcount) == ("pte", False, None, None)


def test_what_was_only_read_of_a_file_is_as_dirty_as_its_folio() -> None:
    """All of shmem is dirty, and from 6.16 on so is an entry that a read makes writable; hugetlb is not told."""
    for release, how, told in (("6.12", "shared", False), ("7.3", "shared", True), ("7.3", "private", False)):
        found = counted(Play(row(release), f"map P x memfd {how}\nread P x\n", soft_dirty=1))
        assert (found.dirty, found.soft_dirty, found.folio_dirty) == (told, told, True)
    assert counted(Play(row("7.3"), "map P x memfd_hugetlb 2M shared\nread P x\n")).folio_dirty is None


def test_a_target_counts_where_it_can_be_looked_at_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model, and guests where the packages are; the machine that pinhold runs on is refused by a sentence."""
    model = make_target("model:6.12", counts=True)
    assert isinstance(model, ModelTarget) and model.counts
    with pytest.raises(UsageError, match="live is this machine: name a vm:REL"):
        make_target("live", counts=True)
    monkeypatch.setattr("pinhold.lab.target.VmTarget", lambda *_, **__: model)
    monkeypatch.setattr("pinhold.inspect.errors.missing", lambda: "it needs drgn")
    with pytest.raises(NothingToRun, match="it needs drgn"):
        make_target("vm:6.12", counts=True)


def test_a_guest_that_cannot_be_looked_at_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason; the scenario goes on, so that the guest is there for the next, and nobody looks again."""
    counts = pytest.importorskip("pinhold.lab.counts", reason="needs drgn")
    tried = []

    def view_of(guest: object, name: str) -> None:
        tried.append(name)
        raise CannotLook("it has no types")

    monkeypatch.setattr(counts, "view_of", view_of)
    ran = run_scenario(ModelTarget("6.12"), parse("scenario counts\nobserve\nmap P x anon\nwrite P x 0x01\n"))

    def run(look: Callable[[object, object], None]) -> Result:
        for record in ran.steps:
            look(None, record)
        return ran

    found = counts.Counter("vm:6.12").counted(run)
    assert (found.verdict.kind, found.verdict.reason) == ("error", "its kernel cannot be looked at: it has no types")
    assert found.steps == ran.steps and tried == ["vm:6.12"]
