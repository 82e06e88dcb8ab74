"""A patch to the rules, as switches behind a release or as functions of one's own: every command takes both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.commands.conform import _model
from pinhold.mm.releases import UnknownRelease, UnknownRule, row

PATCHES = Path(__file__).parents[2] / "examples" / "patches"
WITH = [word for name in ("gup_must_unshare", "do_wp_page") for word in ("--with", str(PATCHES / f"{name}.py"))]
SWITCHED = "model:6.1,gup_unshares=cow_longterm,unshare_breaks=cow_mapping"
HALF = "model:6.1,gup_unshares=cow_longterm"
FORMS = {"switches": (SWITCHED, []), "functions": ("model:6.1", WITH)}

forms = pytest.mark.parametrize(("target", "more"), FORMS.values(), ids=FORMS)


@forms
def test_run_and_step(target: str, more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What 6.1 violates holds."""
    assert main(["run", "seed/151-153", "--on", target, *more]) == 0
    assert main(["step", "seed/151", "--on", target, *more]) == 0
    assert "held: Longterm R/O pin is reliable" in capsys.readouterr().out


@forms
def test_ask(target: str, more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """No row is stale, and none was left out."""
    assert main(["ask", "FOLL_LONGTERM", "--on", target, *more, "--format", "json"]) == 0
    said = capsys.readouterr().out
    assert "stale" not in said.lower() and said.lower().count("reliable") > 20
    assert json.loads(said)


@forms
def test_explore(target: str, more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The scope is exhausted, and what is bad in it under 6.1 is not reachable."""
    assert main(["explore", "seed-shmem", "--interpreted", "--rules", target, *more]) == 0
    assert "Exhausted: nothing bad is reachable." in capsys.readouterr().out


def test_compare_and_conform() -> None:
    """With switches both sides may differ; functions are in every model."""
    assert main(["compare", "model:6.1", SWITCHED, "seed/151"]) == 1
    assert main(["compare", SWITCHED, "model:6.2", "seed/151"]) == 0
    assert main(["compare", "model:6.1", "model:6.2", "seed/151", *WITH]) == 0
    for text in (SWITCHED, SWITCHED.removeprefix("model:")):
        model = _model(text)
        assert model is not None and model.name == SWITCHED


def test_ask_beside_the_release_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """Both columns, and which switch made the difference: it was switched, and since no release."""
    assert main(["ask", "FOLL_LONGTERM", "--on", "model:6.1", "--on", SWITCHED]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Not reliable in 7 of 23 rows on 6.1" in out
    assert "gup_unshares: anon to cow_longterm (switched)" in out
    assert "rules diff 6.1 6.1" not in out


def test_rules_that_leave_a_pin_without_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    """They are told as that, of every kind of memory, and cost no locked memory."""
    assert main(["ask", "FOLL_LONGTERM", "--on", HALF]) == 0
    assert "livelock" in capsys.readouterr().out
    assert main(["explore", "seed-shmem", "--interpreted", "--livelock", "--rules", HALF]) == 1
    assert "go round for ever" in capsys.readouterr().out


def test_what_is_no_switch(capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence, wherever it is given; several releases have the switches that all of them take."""
    assert main(["explore", "seed-shmem", "--rules", "6.1,nosuch=1"]) == 3
    assert main(["explore", "seed-shmem", "--rules", "6.1,gup_unshares=nosuch"]) == 3
    assert main(["explore", "seed-shmem", "--outcomes", "--rules", HALF, "--rules", "6.2"]) == 3
    assert main(["ask", "FOLL_LONGTERM", "--on", "model:6.1,nosuch=1"]) == 3
    assert main(["rules", "show", "6.1,gup_unshares=anon"]) == 3
    assert capsys.readouterr().err.count("pinhold: ") == 5
    assert row("6.1,gup_unshares=cow_longterm") != row("6.1") == row("6.1,gup_unshares=anon")
    with pytest.raises(UnknownRule):
        row("6.1,nosuch=1")
    with pytest.raises(UnknownRelease):
        row("6.1;gup_unshares=anon")
