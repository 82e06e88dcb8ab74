"""What is worked out once for a scope and kept on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pinhold.compiler import cache
from pinhold.compiler.facts import Facts
from pinhold.mm.state import TINY, layout
from pinhold.mm.step import step

FACTS = Facts({"levels": 1}, {"pte": 4}, absent=frozenset({"a", "b"}))
LAYOUT = layout(TINY)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What had to be made, in a cache of its own."""
    monkeypatch.setattr(cache, "cache_directory", lambda: tmp_path)
    return []


def ask(made: list[str], what: str = "it", facts: Facts = FACTS) -> str:
    def make() -> str:
        made.append(what)
        return f"{what} {len(made)}"

    return cache.worked_out(what, (step,), facts, LAYOUT, make)


def test_the_same_question_is_answered_once(made: list[str]) -> None:
    """From disk the second time; other facts, or another question, are worked out anew."""
    assert ask(made) == ask(made) == "it 1"
    assert ask(made, facts=replace(FACTS, absent=frozenset({"b"}))) == "it 2"
    assert ask(made, facts=replace(FACTS, constants={"levels": 2})) == "it 3"
    assert ask(made, "that") == "that 4"
    assert len(made) == 4


def test_other_sources_are_another_question(made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit of the specification or of the explorer."""
    ask(made)
    monkeypatch.setattr(cache, "sources", lambda _rooms: b"edited")
    assert ask(made) == "it 2"


def test_where_nothing_can_be_kept_it_is_made_each_time(made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is not there is no reason to fail."""

    def nowhere() -> Path:
        raise PermissionError("/nonexistent")

    monkeypatch.setattr(cache, "cache_directory", nowhere)
    assert (ask(made), ask(made)) == ("it 1", "it 2")
