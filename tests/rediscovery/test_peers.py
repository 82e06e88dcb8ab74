"""Three encodings of one model, of which two know nothing of pinhold, count the same states and transitions."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinhold.explore.scope import library
from pinhold.explore.search import Stepper, search
from pinhold.explore.world import World, world
from pinhold.mm import releases
from verifiers import MURPHI, PROMELA, SOONEST, SWITCHES, PeerFailed, Verifier, exhausted, missing, rumur, spin

README = Path(__file__).parents[2] / "benchmarks" / "README.md"

COUNTS = {
    "bench-tiny": ((1_297, 3_183), (804, 2_020)),
    "bench-fork": ((280_417, 1_147_117), (64_013, 270_834)),
    "bench-two": ((26_263_930, 113_049_174), (1_810_341, 8_293_355)),
}
"""Scope -> states and transitions, without symmetry and with."""

TESTED = ("bench-tiny", pytest.param("bench-fork", marks=pytest.mark.nightly))

with_peers = pytest.mark.skipif(
    bool(missing()), reason=f"not installed: {', '.join(missing())} (Debian: apt-get install spin rumur gcc)"
)


def ready(name: str) -> World:
    scope = library()[name]
    return world(scope, releases.row(scope.rules))


@with_peers
@pytest.mark.slow
@pytest.mark.parametrize("name", TESTED)
def test_spin_counts(name: str, tmp_path: Path) -> None:
    """SPIN exhausts the Promela model."""
    assert exhausted(spin(name, tmp_path, optimise=SOONEST)).agree(*COUNTS[name][0])


@with_peers
@pytest.mark.slow
@pytest.mark.parametrize("name", TESTED)
@pytest.mark.parametrize("symmetry", ["off", "exhaustive"])
def test_rumur_counts(name: str, symmetry: str, tmp_path: Path) -> None:
    """Rumur exhausts the Murphi model, with frames as a scalarset and without."""
    assert exhausted(rumur(name, tmp_path, symmetry=symmetry, optimise=SOONEST)).agree(*COUNTS[name][symmetry != "off"])


@pytest.mark.parametrize("symmetric", [False, True])
def test_pinhold_counts_the_small_scope(symmetric: bool) -> None:
    """The specification itself, interpreted."""
    result = search(Stepper(ready("bench-tiny"), symmetric=symmetric))
    assert result.exhausted
    assert (result.states, result.transitions) == COUNTS["bench-tiny"][symmetric]


@pytest.mark.nightly
@pytest.mark.xdist_group("compiled")
def test_pinhold_counts_the_scope_with_a_fork() -> None:
    """The specification itself, compiled."""
    from pinhold.explore.compiled_search import CompiledSearch

    for symmetric in (False, True):
        result = CompiledSearch(ready("bench-fork"), symmetric=symmetric).run()
        assert result.exhausted
        assert (result.states, result.transitions) == COUNTS["bench-fork"][symmetric]


UNPIN_KEEPS_ITS_REFERENCE = ("live -> put(pinned, BIAS); pinned = 0", "live -> pinned = 0")
AN_EXCLUSIVE_PAGE_IS_COPIED = ("(exclusive[e.frame] | refs[e.frame] = 1)", "refs[e.frame] = 1")


def changed(model: Path, change: tuple[str, str], place: Path) -> Path:
    """A copy of the model with some words changed."""
    old, new = change
    text = model.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file = place / f"changed{model.suffix}"
    file.write_text(text.replace(old, new), encoding="utf-8")
    return file


def same(verifier: Verifier) -> bool:
    """Whether the verifier of bench-tiny ends well, and counts as the true one does."""
    try:
        return exhausted(verifier).agree(*COUNTS["bench-tiny"][0])
    except PeerFailed:
        return False


@with_peers
@pytest.mark.slow
def test_another_model_counts_otherwise_in_spin(tmp_path: Path) -> None:
    """A model that differs by a word is told from pinhold's: by other counts, or by a verdict."""
    model = changed(PROMELA, UNPIN_KEEPS_ITS_REFERENCE, tmp_path)
    assert not same(spin("bench-tiny", tmp_path, model=model, optimise=SOONEST))


@with_peers
@pytest.mark.slow
def test_another_model_counts_otherwise_in_rumur(tmp_path: Path) -> None:
    """The same of the Murphi model."""
    model = changed(MURPHI, AN_EXCLUSIVE_PAGE_IS_COPIED, tmp_path)
    assert not same(rumur("bench-tiny", tmp_path, model=model, optimise=SOONEST))


def test_the_numbers_are_those_of_the_library_and_of_the_readme() -> None:
    """What bench.toml and benchmarks/README.md say is what is compared here."""
    assert set(COUNTS) == set(SWITCHES) == {name for name in library() if name.startswith("bench-")}
    text = README.read_text(encoding="utf-8")
    for name, (plain, symmetric) in COUNTS.items():
        assert (library()[name].states, library()[name].transitions) == symmetric
        assert f"| {name} | " + " | ".join(f"{n:,}" for n in (*plain, *symmetric)) + " |" in text
