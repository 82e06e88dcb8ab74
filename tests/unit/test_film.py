"""The run by which a random scenario was made stands for the model's: what is compared with it comes to the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pinhold.conform.differ import Compared, judged
from pinhold.conform.generate import Made, make
from pinhold.conform.profiles import PROFILES
from pinhold.conform.wanted import by_any, wanted
from pinhold.scenario import steps as s
from pinhold.scenario.observation import Observation
from pinhold.scenario.parse import parse
from pinhold.targets.base import Outcome
from pinhold.targets.model.film import LARGEST, Film
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result, StepRecord, run_scenario

MODEL = ModelTarget("6.12")
SEED = 3


def made(model: ModelTarget, profile: str, number: int) -> Made:
    return make(model, wanted(profile, model, disposable=True), SEED, number)


def whole(scenario: s.Scenario) -> s.Scenario:
    """As the model runs it."""
    return replace(scenario, steps=tuple(map(by_any, scenario.steps)))


def both_ways(ours: Result, model: ModelTarget, each: Made, momentary: bool = True) -> Compared:
    """The comparison with the film, which is the one without."""
    found = judged(ours, model, each.scenario, momentary, each.film)
    assert found == judged(ours, model, each.scenario, momentary)
    return found


@pytest.mark.parametrize("release", ["5.10", "6.18"])
@pytest.mark.parametrize("profile", PROFILES)
def test_a_film_shows_what_a_run_shows(profile: str, release: str) -> None:
    """Every outcome and every observation, with the notes, decisions and names of frames; and so the comparison with a
    kernel that did the same."""
    model = ModelTarget(release)
    each = made(model, profile, 0)
    scenario = whole(each.scenario)
    ran = run_scenario(model, scenario)
    assert each.film.fits(scenario, model.given(scenario))
    assert list(each.film.run(scenario)) == [(record.outcome, record.observation) for record in ran.steps]
    found = both_ways(run_scenario(model, each.scenario), model, each)
    assert found.difference is None and found.values > found.steps == len(scenario.steps)


def test_the_model_does_not_run_again_where_nothing_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """And does where something does."""
    each = made(MODEL, "anon", 0)
    ours = run_scenario(MODEL, whole(each.scenario))
    last = ours.steps[-1]
    assert last.observation is not None
    other = replace(ours, steps=(*ours.steps[:-1], replace(last, observation=replace(last.observation, errno=99))))

    def opened(*_: object) -> None:
        raise AssertionError("it runs again")

    monkeypatch.setattr(ModelTarget, "open", opened)
    assert judged(ours, MODEL, each.scenario, film=each.film).difference is None
    with pytest.raises(AssertionError, match="again"):
        judged(other, MODEL, each.scenario, film=each.film)


@pytest.mark.parametrize(("profile", "rule"), [("thp", "thp_split_zero_pages"), ("hugetlb", "madv_dontneed_hugetlb")])
def test_another_rule_differs_both_ways(profile: str, rule: str) -> None:
    """In the same step and the same value, where it shows at all."""
    other = ModelTarget("6.12", switches={rule: ""})
    found = [made(MODEL, profile, number) for number in range(8)]
    differs = [both_ways(run_scenario(other, whole(each.scenario)), MODEL, each).difference for each in found]
    assert any(differs)


Change = Callable[[Result], Result]


def _seen(change: Callable[[Observation], Observation]) -> Change:
    """The last observation otherwise."""

    def changed(result: Result) -> Result:
        *others, last = result.steps
        assert last.observation is not None
        return replace(result, steps=(*others, replace(last, observation=change(last.observation))))

    return changed


def _left_out(result: Result) -> Result:
    *others, last = result.steps
    return replace(result, steps=(*others, StepRecord(last.index, last.step, Outcome(note="nothing does it"))))


def _died(result: Result) -> Result:
    verdict = replace(result.verdict, kind="crashed", reason="it died")
    return replace(result, verdict=verdict, steps=result.steps[:-2])


CHANGES: dict[str, Change] = {
    "a byte": _seen(lambda o: replace(o, pages=tuple(replace(view, byte=77) for view in o.pages))),
    "frames": _seen(lambda o: replace(o, pages=tuple(replace(view, frame=999 + i) for i, view in enumerate(o.pages)))),
    "no pins": _seen(lambda o: replace(o, pins=())),
    "less is seen": _seen(lambda o: replace(o, pages=tuple(replace(view, mapcount=None) for view in o.pages))),
    "a step is left out": _left_out,
    "it dies": _died,
    "other pools": lambda result: replace(result, pools={"hugetlb_2M": "1 free of 16", "memlock_kib": "8"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_differs_differs_both_ways(change: str) -> None:
    """Also where the kernel saw less, left a step out, ended early, or had less of something."""
    for profile in ("anon", "pins", "hugetlb"):
        each = made(MODEL, profile, 1)
        ours = CHANGES[change](run_scenario(MODEL, whole(each.scenario)))
        for momentary in (True, False):
            both_ways(ours, MODEL, each, momentary)


def filmed(model: ModelTarget, scenario: s.Scenario) -> Film:
    with model.open(scenario) as session:
        film = Film(session, model.given(scenario))
        for step in scenario.steps:
            assert isinstance(step, s.Action)
            film.take(step, session.do(step))
    return film


SWAPS = parse("scenario x\nobserve\nmap P x anon pages 40\nwrite P x 1\nswapout P x\n")


def test_a_film_fits_no_other_machine() -> None:
    """Rules, configuration, and what there is to be used up; nor other steps."""
    film = filmed(MODEL, SWAPS)
    given = MODEL.given(SWAPS)
    assert film.fits(SWAPS, given)
    assert not film.fits(replace(SWAPS, steps=SWAPS.steps[:-1]), given)
    for other in (
        *(ModelTarget("6.1"), ModelTarget("6.12", switches={"gup_unshares": ""})),
        *(MODEL.configured({name: 0}) for name in ("thp", "hugetlb_2M", "memlock_pages", "ipc_lock")),
    ):
        assert not film.fits(SWAPS, other.given(SWAPS))


@pytest.mark.parametrize("what", ["pages", "swap"])
def test_frames_and_swap_are_of_no_matter_before_they_end(what: str) -> None:
    """A machine with more or fewer of them does the same while there is room for the largest piece, and no longer."""
    film, given = filmed(MODEL, SWAPS), MODEL.given(SWAPS)
    with MODEL.open(SWAPS) as session:
        for step in SWAPS.steps:
            assert isinstance(step, s.Action)
            session.do(step)
        taken = {"pages": session.m.next_page[0], "swap": session.m.next_swap[0]}[what]
    for there_is, fits in ((1 << 20, True), (taken + LARGEST, True), (taken + LARGEST - 1, False)):
        assert film.fits(SWAPS, replace(given, geometry=replace(given.geometry, **{what: there_is}))) == fits


def test_a_run_that_comes_to_the_end_of_swap_fits_its_own_machine_alone() -> None:
    """Slots that are taken again are others on a machine with more of them."""
    little = MODEL.configured({"swap_pages": 60})
    again = replace(SWAPS, steps=(*SWAPS.steps, *SWAPS.steps[1:], *SWAPS.steps[1:]))
    film = filmed(little, again)
    assert film.fits(again, little.given(again))
    assert not film.fits(again, MODEL.given(again))


def test_a_film_shows_no_counts() -> None:
    """Where they are wanted, the model runs: what the film cannot show is not passed over."""
    each = made(MODEL, "anon", 0)
    ours = run_scenario(MODEL.counting(), whole(each.scenario))
    counted = both_ways(ours, MODEL.counting(), each)
    assert counted.values > judged(ours, MODEL, each.scenario, film=each.film).values
