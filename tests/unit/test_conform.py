"""Random scenarios: made again by their number, of everything that the language has, and noticing what differs."""

from __future__ import annotations

import errno
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from pinhold.conform.allowed import follow
from pinhold.conform.campaign import campaign
from pinhold.conform.differ import Run, compared
from pinhold.conform.generate import LONGEST, ROOM, SHORTEST, generate
from pinhold.conform.profiles import PROFILES
from pinhold.conform.propose import MOST_PAGES, MOST_PINS, POKED, drawable
from pinhold.conform.shrink import MOST, shrink, valid
from pinhold.conform.wanted import ABSENT, Wanted, wanted
from pinhold.scenario import steps as s
from pinhold.scenario.advice import ADVICE
from pinhold.scenario.kinds import KINDS
from pinhold.scenario.parse import ScenarioError, parse
from pinhold.scenario.printer import format_scenario
from pinhold.scenario.watch import region_sizes
from pinhold.targets.base import Livelock, Target
from pinhold.targets.model.session import ModelSession
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result, run_scenario

MODEL = ModelTarget("6.12")
SEED = 1


def run_on(target: Target) -> Run:
    """Runs a scenario there."""

    def run(scenario: s.Scenario) -> Result:
        return run_scenario(target, scenario)

    return run


@pytest.mark.parametrize("profile", PROFILES)
def test_a_scenario_is_made_again_by_its_number(profile: str) -> None:
    """The same seed and number give the same text, which parses; another number gives another one."""
    made = [generate(MODEL, Wanted(profile, disposable=True), SEED, number) for number in (0, 0, 1)]
    assert made[0] == made[1] != made[2]
    assert parse(format_scenario(made[0])) == made[0]
    assert 0 < len(made[0].steps) <= LONGEST


def test_everything_that_the_language_has_is_generated() -> None:
    """Every form of every action, every kind and every advice comes up, without being named in a profile."""
    verbs: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    advice: Counter[str] = Counter()
    for number in range(150):
        for step in generate(MODEL, Wanted("mixed", disposable=True), SEED, number).steps:
            verbs[" ".join(format_scenario(s.Scenario("x", (step,))).splitlines()[1].split()[:1])] += 1
            if isinstance(step, s.Map):
                kinds[step.kind] += 1
            if isinstance(step, s.Madvise):
                advice[step.advice] += 1
    assert set(verbs) == {form.verb for step in drawable() for form in step.forms}
    assert set(kinds) == set(KINDS)
    assert set(advice) == set(ADVICE)


def test_most_steps_do_something() -> None:
    """Most writes and reads, and most pins, are of memory that lets them, whether the range was taken before or not."""
    done: Counter[bool] = Counter()
    for number in range(12):
        scenario = generate(MODEL, Wanted("pins"), SEED, number)
        for record in run_scenario(MODEL, scenario).steps:
            if isinstance(record.step, s.Write | s.Read | s.Hold) and record.outcome is not None:
                done[record.outcome.errno == 0] += 1
    assert done[True] > 3 * done[False] > 0


def test_many_pins_are_held_at_a_time() -> None:
    """No scenario ends before its time because the model has no room for another pin."""
    most = 0
    for number in range(12):
        scenario = generate(MODEL, Wanted("pins"), SEED, number)
        assert len(scenario.steps) >= SHORTEST
        held = 0
        for record in run_scenario(MODEL, scenario).steps:
            if record.outcome is not None and record.outcome.errno == 0:
                held += isinstance(record.step, s.Hold) - isinstance(record.step, s.Unpin)
                most = max(most, held)
    assert 4 <= most <= MOST_PINS


def test_a_debugger_writes_to_a_few_pages() -> None:
    """Of memory that is not of huge pages, which are taken whole."""
    pokes = 0
    for number in range(12):
        scenario = generate(MODEL, Wanted("pins"), SEED, number)
        sizes = region_sizes(scenario)
        small = {m.region for m in scenario.steps if isinstance(m, s.Map) and m.kind and not m.memory.hugetlb}
        for step in scenario.steps:
            if isinstance(step, s.Poke) and step.range.region in small:
                pokes += 1
                end = sizes[step.range.region] if step.range.end is None else step.range.end
                assert 0 < end - step.range.first <= POKED
    assert pokes


def test_hugetlb_is_asked_for_until_the_pool_is_empty() -> None:
    """Mappings of as much as there is left and more, so that a reservation too many or too few shows."""
    short = 0
    for number in range(12):
        scenario = generate(MODEL, Wanted("hugetlb"), SEED, number)
        for record in run_scenario(MODEL, scenario).steps:
            if isinstance(record.step, s.Map) and record.outcome is not None:
                short += record.outcome.errno == errno.ENOMEM
    assert short > 0


def test_what_outlives_a_scenario_is_for_guests_alone() -> None:
    """A part of a private hugetlb mapping is moved where the kernel is thrown away, and nowhere else."""
    for disposable in (False, True):
        made = [generate(MODEL, Wanted("hugetlb", disposable=disposable), SEED, number) for number in range(40)]
        assert all((scenario.vm_only is not None) == disposable for scenario in made)
        for scenario in made:
            parse(format_scenario(scenario))  # which refuses such a step without the line


def test_what_never_ends_is_given_to_guests_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that is thrown away gets one in ten of such steps, as the last of a scenario; others get none."""

    def do(session: ModelSession, step: s.Action) -> None:
        if isinstance(step, s.Write):
            raise Livelock("it never ends")
        done(session, step)

    done = ModelSession.do
    monkeypatch.setattr(ModelSession, "do", do)
    for disposable in (False, True):
        made = [generate(MODEL, Wanted("anon", disposable=disposable), SEED, number).steps for number in range(100)]
        given = [steps for steps in made if any(isinstance(step, s.Write) for step in steps)]
        assert all(isinstance(steps[-1], s.Write) for steps in given)
        assert 2 <= len(given) <= 30 if disposable else not given


@pytest.mark.parametrize("kind", ["anon", "memfd", "file"])
def test_there_is_room_for_the_largest_region(kind: str) -> None:
    """Of each kind; a scenario in which there is none ends there."""
    steps = parse(f"scenario x\nmap P x {kind} pages {MOST_PAGES}\nread P x\nwrite P x 1\n").steps
    with MODEL.sized(ROOM).open(s.Scenario("x", ())) as session:
        assert [session.do(step).errno for step in steps if isinstance(step, s.Action)] == [0, 0, 0]


def test_limits_are_not_generated() -> None:
    """A verb that is not told apart yet is left out, by name."""
    profile = wanted("mixed", MODEL, disposable=True)
    steps = [step for number in range(30) for step in generate(MODEL, profile, SEED, number).steps]
    assert steps
    assert not {step.forms[0].verb for step in steps} & set(ABSENT)


def test_memory_that_the_specification_lacks_a_step_for_is_not_generated() -> None:
    """MADV_COLLAPSE comes for anonymous memory, and for files that have no room for a THP; no scenario of it breaks the
    model."""
    profile = replace(wanted("thp", MODEL, disposable=True), kinds=("thp", "memfd", "file"))
    made = [generate(MODEL, profile, SEED, number) for number in range(25)]
    assert any(isinstance(step, s.Madvise) and step.advice == "collapse" for each in made for step in each.steps)
    for each in made:
        ran = run_scenario(MODEL, each)
        assert ran.verdict.kind != "error"
        assert all(record.observation for record in ran.steps)


def test_a_model_agrees_with_itself() -> None:
    """No difference, and all that was done was compared."""
    tally = campaign(run_on(MODEL), MODEL, [wanted("mixed", MODEL, disposable=True)], SEED, 300)
    assert tally.steps >= 300
    assert tally.values > tally.steps
    assert (tally.differences, tally.trouble) == ([], [])


@pytest.mark.parametrize(
    ("profile", "rule"),
    [("thp", "thp_split_zero_pages"), ("fork", "gup_unshares"), ("hugetlb", "madv_dontneed_hugetlb")],
)
def test_another_rule_is_noticed(profile: str, rule: str) -> None:
    """By random steps alone; what is printed is small, and shows the difference again."""
    other = run_on(ModelTarget("6.12", switches={rule: ""}))
    for seed in range(20):
        tally = campaign(other, MODEL, [wanted(profile, MODEL, disposable=True)], seed, 300)
        if tally.differences:
            break
    first = tally.differences[0]
    assert first.counts
    assert len(first.scenario.steps) <= 8
    assert compared(other, MODEL, first.scenario).difference is not None


def test_shrinking_keeps_what_shows_and_nothing_else() -> None:
    """Steps that name what is gone go with it; ranges and options become simpler."""
    text = """scenario x
observe
map P a anon pages 40
map P b anon read pages 4
write P a[3:9] 0xaa
fork P C
read C b
write C a[5] 0x77
exit C
"""

    def shows(scenario: s.Scenario) -> bool:
        return any(isinstance(step, s.Write) and step.proc == "C" for step in scenario.steps)

    small = shrink(parse(text), shows)
    assert [type(step).__name__ for step in small.steps] == ["Map", "Fork", "Write"]
    assert small.steps[0] == s.Map("P", "a", "anon", pages=1)


def test_shrinking_takes_simpler_kinds_and_names_and_no_child() -> None:
    """Where they show it as well; whatever is tried is a scenario that can be read."""
    text = """scenario x
observe
map P r1 file shared readonly pages 4
map P r2 hugetlb 2M pages 1024
fork P C1
write C1 r2 0x77
pin C1 r2[512:] as p9 write longterm user io_uring via io_uring
"""

    def shows(scenario: s.Scenario) -> bool:
        assert parse(format_scenario(scenario)) == scenario
        return any(isinstance(step, s.Pin) and step.longterm for step in scenario.steps)

    small = shrink(parse(text), shows)
    assert small.steps == parse("scenario x\nmap P a hugetlb 2M pages 512\npin P a as p longterm\n").steps


def test_shrinking_ends() -> None:
    """After so many candidates, with the smallest that was found."""
    steps = "".join(f"map P r{n} anon\nwrite P r{n} {n}\n" for n in range(12))
    seen: list[s.Scenario] = []

    def shows(scenario: s.Scenario) -> bool:
        seen.append(scenario)
        return len(seen) % 2 == 1

    whole = parse(f"scenario x\nobserve\n{steps}")
    assert shrink(whole, shows) == whole
    assert len(seen) <= 2 * MOST


def test_what_lost_its_object_is_dropped() -> None:
    """A step on a region, a process or a pin that no step makes any more."""
    steps = parse("scenario x\nmap P a anon\nfork P C\nwrite C a 1\nvmsplice C a as p\nunpin p\n").steps
    assert valid(steps) == steps
    assert valid(steps[1:]) == steps[1:2]


def test_an_observe_line_lets_nothing_end_a_run() -> None:
    """A step that fails is looked at, one that cannot be done is left out with its reason; no verdict."""
    text = "scenario x\nobserve\nmap P a anon read\nwrite P a 1\npin P a as p via mine\nread P a\n"
    result = run_scenario(MODEL, parse(text))
    assert [record.outcome.errno for record in result.steps if record.outcome] == [0, 14, 0, 0]
    left = result.steps[2]
    assert left.observation is None
    assert left.outcome is not None
    assert "no pin mechanism mine" in str(left.outcome.note)
    assert result.verdict.kind == "unknown"


@pytest.mark.parametrize("line", ["observe\nobserve", "observe all"])
def test_an_observe_line_stands_once_and_alone(line: str) -> None:
    """Twice, or with more words, it is refused."""
    with pytest.raises(ScenarioError, match=r"line [23]"):
        parse(f"scenario x\n{line}\nmap P a anon\n")


def test_a_pool_that_others_use_is_no_difference() -> None:
    """The model has as many huge pages as the kernel had before the first step."""
    text = "scenario x\nobserve\nmap P a hugetlb 2M pages 1024\nwrite P a 1\n"
    fewer = run_scenario(MODEL.configured({"hugetlb_2M": 1}), parse(text))
    assert compared(lambda _: fewer, MODEL, parse(text)).difference is not None
    told = replace(fewer, pools={"hugetlb_2M": "1 free of 16"})
    assert compared(lambda _: told, MODEL, parse(text)).difference is None


LOOPS = "scenario loops\nobserve\nmap P x hugetlb 2M read pages 512\nclear_softdirty P\npoke P x 0x11\n"


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(("release", "trouble"), [("6.18", ""), ("6.12", "livelock")])
def test_what_neither_ends_is_no_difference(release: str, trouble: str, told: bool) -> None:
    """A step that the kernel never ends agrees with a model that never ends it, and with no other; also where nobody
    was left in that kernel to tell of the step."""

    def real(scenario: s.Scenario) -> Result:
        ran = run_scenario(ModelTarget("6.18"), scenario)
        return ran if told else replace(ran, steps=ran.steps[:-1])

    found = compared(real, ModelTarget(release), parse(LOOPS))
    assert trouble in found.trouble
    assert bool(found.trouble) == bool(trouble)
    assert found.difference is None and not found.left_out


def test_who_took_a_pin_is_its_user_on_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the step names none: what VFIO and io_uring take is counted and touched as they do it."""
    asked: list[s.Scenario] = []

    def watched(model: ModelTarget, scenario: s.Scenario, *rest: Any) -> Any:
        asked.append(scenario)
        return follow(model, scenario, *rest)

    def real(scenario: s.Scenario) -> Result:
        ran = run_scenario(ModelTarget("6.18"), scenario)
        noted = (replace(record, outcome=replace(record.outcome, by="vfio")) for record in ran.steps)
        return replace(ran, steps=tuple(noted))

    monkeypatch.setattr("pinhold.conform.differ.follow", watched)
    pins = "pin P a[0] as p write longterm\npin P a[1] as q longterm user rdma\n"
    compared(real, ModelTarget("6.18"), parse(f"scenario x\nobserve\nmap P a anon pages 2\n{pins}"))
    assert [step.user for step in asked[0].steps if isinstance(step, s.Pin)] == ["vfio", "rdma"]
