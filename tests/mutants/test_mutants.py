"""Random steps find mistakes in the specification: thirty and more, each planted alone."""

from __future__ import annotations

from dataclasses import replace
from difflib import unified_diff
from errno import ENOMEM
from functools import cache
from pathlib import Path

import pytest

from hunt import Hunted, Unlike, hunt
from lab_sight import LAB, LabSession, LabTarget, lab, lab_config
from pinhold import mm
from pinhold.conform import lane
from pinhold.conform.generate import generate, make
from pinhold.conform.wanted import wanted
from pinhold.scenario.parse import parse
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario
from planted import Mutant, mistaken, steps_by
from table import MISSED, MUTANTS, TEN

SEED = 1
MOST, SOON = 60_000, 5_000
"""Steps after which a mistake counts as not found; up to which it is found soon."""
LATE = {mutant.name for mutant in MUTANTS if mutant.steps > SOON}
"""Those that `make nightly` looks for; the others are the slow suite's."""

BY_NAME = {mutant.name: mutant for mutant in MUTANTS}
MM = Path(mm.__file__).parent
HARMLESS = replace(BY_NAME["split-loses-the-reserve"], after="m.vma_reserve[upper] = m.vma_reserve[vma] // 2**units")


def source(mutant: Mutant) -> str:
    """The text of the module, as it is."""
    return (MM / f"{mutant.place.partition(':')[0]}.py").read_text()


def test_there_are_thirty_and_more_all_over_the_specification() -> None:
    """By different names, compared with lab kernels, in most of what mm/ is about."""
    assert len(BY_NAME) == len(MUTANTS) >= 30
    assert {mutant.release for mutant in MUTANTS} <= set(LAB)
    assert len({mutant.module for mutant in MUTANTS}) >= 18
    assert len(TEN) == 10
    assert set(BY_NAME) >= set(TEN)
    assert all(0 < mutant.steps <= MOST for mutant in MUTANTS)
    assert not any(mutant.steps for mutant in MISSED)


@pytest.mark.parametrize("mutant", [*MUTANTS, *MISSED], ids=lambda mutant: mutant.name)
def test_a_mistake_is_one_line_of_the_function_that_it_names(mutant: Mutant) -> None:
    """One line goes and one comes, within the function, and what comes out is Python."""
    before, after = source(mutant), mutant.text(source(mutant))
    changed = [line for line in unified_diff(before.splitlines(), after.splitlines(), n=0) if line[:1] in "+-"][2:]
    assert [line[0] for line in changed] == ["-", "+"]
    head, _, tail = before.partition(f"def {mutant.function}(")
    assert mutant.before not in head
    assert mutant.before in tail.partition("\n\n\n")[0]
    compile(after, mutant.module, "exec")


def test_a_mistake_whose_line_is_not_there_is_refused() -> None:
    """So that a change of mm/ leaves no mistake behind that is none."""
    with pytest.raises(ValueError, match="stands 0 times"):
        replace(MUTANTS[0], before="no such line").text(source(MUTANTS[0]))


def test_what_is_planted_is_beside_the_specification_and_not_in_it() -> None:
    """Of what is planted something is found soon, and the specification is what it was."""
    from pinhold.mm import fork

    code = fork.fork_begin.__code__
    mutants = [mutant for mutant in MUTANTS if mutant.release == LAB[2]]
    mutant, found = next(hunt(mutants, SEED, 4_000))
    assert mutant in mutants
    assert found.told
    assert fork.fork_begin.__code__ is code
    assert fork.fork_begin.__globals__ is vars(fork)


def test_conform_with_a_mistake_in_it_makes_its_steps_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no pin ever succeeds, other steps come up; the ones that are given are as they are without the mistake."""
    mutant = BY_NAME["vmsplice-all-or-nothing"]
    release, config = mutant.release, lab_config(mutant.release)
    right, wrong = ModelTarget(release, config), mistaken(replace(mutant, after="if True:"), config)
    profile = wanted("pins", right, disposable=True, info=lab(release))
    made = generate(right, profile, SEED, 2)
    assert generate(wrong, profile, SEED, 2) != made
    monkeypatch.setattr(lane, "make", make)  # is put back
    steps_by(ModelTarget)
    by_lane = lane.make(wrong, profile, SEED, 2)
    assert (by_lane.scenario, by_lane.film) == (made, None)


def test_what_only_reads_otherwise_is_not_found() -> None:
    """What finds mistakes does not find what is none, in a function that is called."""
    assert list(hunt([HARMLESS], SEED, 600)) == []


def test_what_the_lab_shows_otherwise_is_no_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lab that differs from the specification without a mistake is told as such, and finds nothing."""
    view = LabSession.page_view
    monkeypatch.setattr(LabSession, "page_view", lambda self, seen: replace(view(self, seen), mapcount=7))
    with pytest.raises(Unlike, match="without a mistake"):
        next(hunt(list(MUTANTS[:1]), SEED, 4_000))


def test_in_the_lab_a_pin_is_charged_by_the_mechanism_that_takes_it() -> None:
    """As on a real kernel: also where the step says no user."""
    scenario = parse("scenario charged\nmap P a anon pages 4\nmemlock P 1\npin P a as p write longterm via vfio")
    result = run_scenario(LabTarget(LAB[3], lab_config(LAB[3]) | {"ipc_lock": 0}), scenario)
    assert result.steps[-1].outcome is not None
    assert result.steps[-1].outcome.errno == ENOMEM


@cache
def hunted(release: str, late: bool) -> dict[str, Hunted]:
    """What random steps find on one release."""
    mutants = [mutant for mutant in MUTANTS if mutant.release == release and (mutant.name in LATE) == late]
    return {mutant.name: found for mutant, found in hunt(mutants, SEED, MOST)}


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(
            mutant,
            marks=[
                pytest.mark.nightly if mutant.name in LATE else pytest.mark.slow,
                pytest.mark.xdist_group(f"mutants {mutant.release}"),
            ],
        )
        for mutant in MUTANTS
    ],
    ids=lambda mutant: mutant.name,
)
def test_random_steps_find_the_mistake(mutant: Mutant) -> None:
    """By the usual profiles in turn and nothing else, through what a guest of the lab shows."""
    found = hunted(mutant.release, mutant.name in LATE).get(mutant.name)
    assert found is not None
    print(f"{mutant.name}: found after {found.steps} steps (once {mutant.steps}), {found.scenario}: {found.told}")
