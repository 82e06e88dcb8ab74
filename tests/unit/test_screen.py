"""The first minute: what `check` says on one screen, before and after and here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fakes import FakeTarget, target_run
from pinhold.cli import main
from pinhold.commands.expected import predicted
from pinhold.commands.judged import Column
from pinhold.commands.screen import answer, screen
from pinhold.commands.select import select
from pinhold.report.results import CaseResult, TargetRun
from pinhold.scenario.verdict import Verdict
from pinhold.targets.runner import Result

TESTS = select(["seed"])
REASONS = (
    "needs a read-only long-term pin: no /sys/kernel/debug/gup_test here",
    "needs 2 free hugepages of 2 MiB: the pool has 0 free of 0 here",
    "needs 2 free hugepages of 1 GiB: the pool has 0 free of 0 here",
)


def run(name: str, *kinds: str) -> TargetRun:
    """All tests of the seed; the verdicts go round, and so do the reasons of those that do not hold."""
    results = []
    for number, test in enumerate(TESTS):
        kind = kinds[number % len(kinds)]
        verdict = Verdict(kind, reason=None if kind == "held" else REASONS[number % len(REASONS)])
        results.append(CaseResult(test.number, test.name, test.text, Result(name, test.scenario, verdict)))
    return replace(target_run(name), results=tuple(results))


def column(name: str, *kinds: str, model: Sequence[str] = ()) -> Column:
    return Column(run(name, *kinds), TESTS, run("model:6.2,lazyfree_thp=split", *model) if model else None)


def lines(*columns: Column) -> list[str]:
    return screen(columns, (), [each.judged() for each in columns], ["vm:6.12 is left out"])


BEFORE, AFTER = (column(f"model:{r}", *(predicted(t, r) or "" for t in TESTS)) for r in ("6.1", "6.2"))


@pytest.mark.parametrize(
    "others",
    [
        [],
        [column("live", "skipped", model=["held"])],
        [column("live", "skipped", model=["held"]), *(column(f"vm:6.{n}", "held", model=["held"]) for n in (1, 12))],
        [column(f"vm:6.{n}", "held", model=["held"]) for n in range(9)],
    ],
)
def test_it_is_one_screen(others: Sequence[Column]) -> None:
    """80 by 40, whatever columns there are; those that do not fit are named."""
    shown = lines(BEFORE, AFTER, *others)
    assert max(map(len, shown)) <= 80
    assert len(shown) + 2 <= 40 or len(others) > 3
    assert (len(others) > 3) == any("with --full also" in line for line in shown)
    assert sum(line.lstrip()[:3] in {str(n) for n in range(151, 163)} for line in shown) == 12


def test_before_after_and_here_stand_side_by_side() -> None:
    """Here what the rules of the release say, and what was seen."""
    shown = lines(BEFORE, AFTER, column("live", "skipped", model=["held"]))
    head = next(line for line in shown if "before" in line)
    assert head.split() == ["before", "after", "by", "its", "rules", "here"]
    assert any(line.split()[-3:] == ["model:6.2", "model:6.2", "live"] for line in shown)
    row = next(line for line in shown if line.startswith(" 151"))
    assert row.split()[3:] == ["not", "ok", "ok", "ok", "skip", "a"]
    assert any(REASONS[0] in line for line in shown)


@pytest.mark.parametrize(
    ("seen", "model", "words"),
    [
        (["held"], ["held"], "yes, all twelve"),
        (["violated"], ["held"], "NO, 12 of the twelve lines below fail here."),
        (["skipped"], ["held"], "yes, by its release's rules; none"),
        (["held", "skipped"], ["held"], "yes, by its release's rules; 6 of the twelve"),
        (["skipped"], ["held", "skipped"], "yes, by its release's rules; none"),
        (["skipped"], ["skipped"], "not known; none"),
        (["skipped"], ["violated"], "NO, by the rules of its release; none"),
        (["skipped"], [], "not known; none"),
        (["held", "skipped"], [], "not known; 6 of the twelve"),
    ],
)
def test_the_answer_is_what_was_seen_or_what_the_rules_say(seen: list[str], model: list[str], words: str) -> None:
    """And it says which; a skip is never a yes."""
    assert answer(column("live", *seen, model=model)).startswith(words)


def test_check_opens_with_the_answer_and_full_has_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And --html the matrix; the exit status is the same."""
    targets = {name: FakeTarget(name, refusal="no permission") for name in ("model:6.2", "live")}
    monkeypatch.setattr("pinhold.commands.check.make_targets", lambda names, **_: [targets[name] for name in names])
    monkeypatch.setattr("pinhold.commands.check.model_of", lambda info: targets["model:6.2"])
    few = {"seed": select(["seed/145-162"]), "stock": select(["stock/1-3"])}
    monkeypatch.setattr("pinhold.commands.check.select", lambda names, _: few[names[0]])
    page = tmp_path / "check.html"
    assert main(["check", "--on", "live", "--html", str(page)]) == 2
    out = capsys.readouterr().out
    assert out.startswith("Is the memory") and "Basic COW" not in out
    assert out.endswith(f"{page}\n")
    assert "stock/1" in page.read_text() and "seed/162" in page.read_text()
    assert main(["check", "--on", "live", "--full"]) == 2
    out = capsys.readouterr().out
    assert "Basic COW" in out and "the suite stock" in out
