"""What stands at a function about machines that are without something (mm/kernel.py) is so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pinhold.compiler import cache
from pinhold.compiler.facts import Facts
from pinhold.compiler.source import Kernel, definition, kernels
from pinhold.explore import facts as explorer_facts
from pinhold.explore.facts import facts_of
from pinhold.explore.scope import library
from pinhold.explore.search import Stepper
from pinhold.explore.world import world
from pinhold.mm import releases
from pinhold.mm.kernel import REGISTRY, Given, Part, kernel, load_specification
from pinhold.mm.machine import Machine

STATES = 120
TOGETHER = ("bench-tiny", "swap-races-pin", "seed-hugetlb")
"""These are without each part."""


def as_said(function: Kernel, said: Given, inside: list[Kernel]) -> Kernel:
    """The function, which looks whether it comes to what is said.  inside: those that are said to change nothing and
    are under way."""
    names = [arg.arg for arg in definition(function).args.args]

    def looked_at(*args: object) -> object:
        m = args[0]
        if said is not None:
            given = function(*args)
            assert given == (args[names.index(said)] if isinstance(said, str) else said), (function, args, given)
            return given
        assert isinstance(m, Machine)
        if inside:  # what changes something for another to change it back
            return function(*args)
        before = m.saved(), len(m.trace.sites)
        inside.append(function)
        assert function(*args) is None
        inside.remove(function)
        assert before == (m.saved(), len(m.trace.sites)), (function, args)
        return None

    return looked_at


def not_entered(function: Kernel) -> Kernel:
    def entered(*_: object) -> object:
        raise AssertionError(f"{function.__name__} is entered")

    return entered


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> Callable[[Facts], None]:
    """Puts in the place of every function about which something is said one that looks."""

    def replace(facts: Facts) -> None:
        inside: list[Kernel] = []
        instead = {kernels()[name]: as_said(kernels()[name], said, inside) for name, said in facts.results.items()}
        instead |= {kernels()[name]: not_entered(kernels()[name]) for name in facts.absent}
        for module in [m for name, m in sys.modules.items() if name.startswith(("pinhold.mm.", "pinhold.explore."))]:
            for name, meant in list(vars(module).items()):
                if callable(meant) and meant in REGISTRY and meant in instead:
                    monkeypatch.setattr(module, name, instead[meant])

    return replace


@pytest.mark.parametrize("name", library())
def test_what_is_said_of_a_function_is_so(name: str, replaced: Callable[[Facts], None]) -> None:
    """In the first states of a search: it gives what it is said to give, or changes nothing, or is not entered."""
    load_specification()
    scope = library()[name]
    ready = world(scope, releases.switched(releases.row(scope.rules), scope.without))
    stepper = Stepper(ready)
    replaced(facts_of(ready))
    frontier, seen = [stepper.first()], {stepper.first()}
    while frontier and len(seen) < STATES:
        after = dict.fromkeys(new for state in frontier for _, new in stepper.successors(state))
        frontier = [state for state in after if state not in seen]
        seen |= set(frontier)
        for state in frontier:
            wrong = stepper.wrong(state)  # a scope may be of a defect, which breaks properties and no invariant
            assert wrong is None or not wrong.invariant


def test_every_part_is_said_something_of_and_some_scope_lacks_it() -> None:
    """A part that no function and no scope knows would be a word."""
    load_specification()
    marked = {part for marks in REGISTRY.values() for part in (marks.needs, *marks.without) if part is not None}
    assert marked == set(Part)
    scopes = [library()[name] for name in TOGETHER]
    said = {f for scope in scopes for f in facts_of(world(scope, releases.row(scope.rules))).results}
    assert said == {f.__name__ for f, marks in REGISTRY.items() if marks.without}


def test_a_wrong_mark_is_noticed(replaced: Callable[[Facts], None]) -> None:
    """The look itself: that pages have the number that follows theirs is no fact of a scope."""
    load_specification()
    ready = world(library()["bench-tiny"], releases.row("6.2"))
    stepper = Stepper(ready)
    replaced(Facts({}, {}, results={"page_folio": 2}))
    frontier = [stepper.first()]
    with pytest.raises(AssertionError, match="page_folio"):
        while frontier:
            frontier = list(dict.fromkeys(new for state in frontier for _, new in stepper.successors(state)))
    with pytest.raises(AssertionError, match="no_such is no parameter"):
        kernel(without={Part.LARGE: "no_such"})(as_said)


def test_a_search_starts_without_reading_the_specification_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no function stores to is found in the text of all of them once, and kept for the next search."""

    def read_again(_: Kernel) -> frozenset[str]:
        raise AssertionError("the text of a function was looked at")

    monkeypatch.setattr(cache, "cache_directory", lambda: tmp_path)
    scope = library()["bench-tiny"]
    ready = world(scope, releases.row(scope.rules))
    first = facts_of(ready)
    assert first.everywhere
    monkeypatch.setattr(explorer_facts, "stored_fields", read_again)
    assert facts_of(ready) == first
