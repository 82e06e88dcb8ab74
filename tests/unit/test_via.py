"""One word says how a state is reached from its parent."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinhold.explore import via
from pinhold.explore.scope import BadScope, Scope, check, library, too_many_outcomes
from pinhold.explore.search import Stepper, search
from pinhold.explore.via import WENT_ON, ActionNumber, TaskNumber, Via
from pinhold.explore.world import world
from pinhold.mm import releases


@given(
    st.integers(0, via.TASKS_MAX - 1), st.integers(WENT_ON, via.ACTIONS_MAX - 1), st.integers(0, via.OUTCOMES_MAX - 1)
)
def test_a_word_says_what_was_packed(task: int, action: int, chance: int) -> None:
    """All that fits comes out as it was, out of a word that is as wide as what stores it."""
    word = via.packed(task, action, chance)
    assert 0 <= word < 1 << (8 * via.WORD_BYTES)
    assert via.unpacked(word) == Via(TaskNumber(task), ActionNumber(action), chance)
    assert via.begun(word) == action


def test_more_tasks_than_a_word_tells_apart_are_refused() -> None:
    """With a sentence, when the scope is read."""
    scope = library()["fork-pin"]
    tasks = {f"t{number}": ("read P x",) for number in range(via.TASKS_MAX + 1)}
    with pytest.raises(BadScope, match="a scope has 1 to 4 tasks"):
        check(replace(scope, tasks=tasks))


def test_more_operations_than_a_word_tells_apart_are_refused() -> None:
    """The last one that fits, and the first that does not."""
    scope = library()["fork-pin"]
    check(replace(scope, tasks={"cpu": ("read P x",) * via.ACTIONS_MAX}))
    with pytest.raises(BadScope, match="a scope has at most 255 operations"):
        check(replace(scope, tasks={"cpu": ("read P x",) * (via.ACTIONS_MAX + 1)}))


def test_more_outcomes_than_a_word_tells_apart_are_refused() -> None:
    """A pool of frames out of which a step could choose too many."""
    scope = library()["fork-pin"]
    with pytest.raises(BadScope, match="a step has more than 64 outcomes"):
        check(replace(scope, small=replace(scope.small, pages=via.OUTCOMES_MAX)))


def test_a_step_with_more_outcomes_than_foreseen_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a wrong count: the searches have room for as many as `Scope.outcomes` says."""
    scope = library()["fork-pin"]
    ready = world(scope, releases.row(scope.rules))
    monkeypatch.setattr(Scope, "outcomes", property(lambda self: 1))
    with pytest.raises(AssertionError, match="more than the 1 foreseen"):
        search(Stepper(ready))
    assert "a step has 9 outcomes" in str(too_many_outcomes(scope, 9))
