"""Random steps find mistakes in the specification: thirty of them, each planted alone."""

from __future__ import annotations

from dataclasses import replace
from difflib import unified_diff
from functools import cache
from pathlib import Path

import pytest

from hunt import Hunted, hunt
from lab_sight import LAB
from pinhold import mm
from planted import Mutant
from table import MISSED, MUTANTS, TEN

SEED = 1
MOST, SOON = 40_000, 8_000
"""Steps after which a mistake counts as not found; in the slow suite, which has those that are found soon."""
LATE = {
    "shared-hugetlb-reserves-again", "io-uring-pays-by-the-page", "swap-cache-page-is-copied",
    "mprotect-of-the-same-rights", "mprotect-makes-any-anon-writable", "lazyfree-is-kept-if-read",
    "continue-tells-the-first-error", "limits-are-not-inherited", "io-uring-ring-is-free",
    "dontneed-keeps-page-tables", "fork-copies-the-head",
}  # fmt: skip
"""Found after more than 1,500 steps of this seed, or not yet: make nightly looks for them."""

BY_NAME = {mutant.name: mutant for mutant in MUTANTS}
MM = Path(mm.__file__).parent
HARMLESS = replace(MISSED[-1], after="m.vma_reserve[upper] = m.vma_reserve[vma] // 2**units")


def source(mutant: Mutant) -> str:
    """The text of the module, as it is."""
    return (MM / f"{mutant.place.partition(':')[0]}.py").read_text()


def test_there_are_thirty_all_over_the_specification() -> None:
    """By different names, compared with lab kernels, in most of what mm/ is about."""
    assert len(BY_NAME) == len(MUTANTS) == 30
    assert {mutant.release for mutant in MUTANTS} <= set(LAB)
    assert len({mutant.module for mutant in MUTANTS}) >= 18
    assert len(set(TEN)) == 10
    assert set(BY_NAME) >= LATE


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


def test_what_only_reads_otherwise_is_not_found() -> None:
    """What finds mistakes does not find what is none, in a function that is called."""
    assert list(hunt([HARMLESS], SEED, 600)) == []


@cache
def hunted(release: str, late: bool) -> dict[str, Hunted]:
    """What random steps find on one release."""
    mutants = [mutant for mutant in MUTANTS if mutant.release == release and (mutant.name in LATE) == late]
    return {mutant.name: found for mutant, found in hunt(mutants, SEED, MOST if late else SOON)}


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
    print(f"{mutant.name}: found after {found.steps} steps, {found.scenario}: {found.told}")
