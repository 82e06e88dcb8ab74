"""Table, summary and exit status of a command never disagree, whatever the verdicts are."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations_with_replacement, product

import pytest

from fakes import FakeTarget, case_result, target_run
from pinhold.cli import main
from pinhold.commands import NothingToRun, judged
from pinhold.commands.compare import _tell
from pinhold.commands.judged import Column, closing, compared, shown
from pinhold.commands.run import _table
from pinhold.commands.select import select
from pinhold.report.results import TargetRun, tally
from pinhold.report.table import table
from pinhold.scenario.verdict import KINDS, Verdict, exit_status

TESTS = select(["seed/1", "seed/151"])
WORDS = {"error": "ERROR", "crashed": "CRASHED", "violated": "VIOLATED", "livelock": "LIVELOCK"}


def run_of(name: str, *kinds: str) -> TargetRun:
    """One result a kind."""
    return target_run(name, *(case_result(n, f"t{n}", Verdict(kind, reason="why")) for n, kind in enumerate(kinds, 1)))


def in_table(*runs: TargetRun) -> set[str]:
    """The kinds that a reader of the table sees in capitals."""
    text = "\n".join(table(runs))
    return {kind for kind, word in WORDS.items() if word in text}


@pytest.mark.parametrize("kinds", [*combinations_with_replacement(KINDS, 3)])
def test_run(kinds: tuple[str, ...]) -> None:
    """The status is that of the worst that the table shows, and every kind is counted below it."""
    run = run_of("live", *kinds)
    status, shown_kinds = exit_status(r.verdict for r in run.results), in_table(run)
    lines = list(_table([run], None))
    assert lines[-1].startswith(f"live: {tally(run.results)} in ")
    assert all(kind in lines[-1] for kind in kinds)
    if shown_kinds & {"error", "crashed"}:
        assert status == 5
    elif shown_kinds:
        assert status == 1
    else:
        assert status == (2 if "unknown" in kinds else 4 if set(kinds) == {"skipped"} else 0)


@pytest.mark.parametrize(("ours", "theirs"), [*product(KINDS, KINDS)])
def test_check_of_a_real_kernel(ours: str, theirs: str) -> None:
    """Whatever kernel and model gave: what broke on either side ends with 5 and is said, and nothing else does."""
    column = Column(run_of("live", ours, "held"), TESTS, run_of("model:6.2", theirs, "held"))
    found = column.judged()
    end, said = closing([found]), " ".join(found.told())
    broken = in_table(column.run, column.model) & {"error", "crashed"}
    assert (found.status == 5) == bool(broken) == ("The tool broke in 1 on" in said)
    assert (end.verdict == "All as predicted.") == (end.status == 0)
    if not broken:
        compares = {ours, theirs} <= {"held", "violated", "xfail", "livelock"}
        assert found.status == (1 if compares and ours != theirs else 0)
        assert ("these differ" in said) == (found.status == 1)


@pytest.mark.parametrize(("kind", "expected"), [*product(KINDS, ("held", "violated", None))])
def test_check_of_a_model(monkeypatch: pytest.MonkeyPatch, kind: str, expected: str | None) -> None:
    """A column is as predicted, or its first sentence says that it is not, that nothing was, or that the tool broke."""
    monkeypatch.setattr(judged._against_rules, "__defaults__", (lambda test, release: expected,))
    found = Column(run_of("model:6.2", kind, kind), TESTS).judged()
    end, said = closing([found]), " ".join(found.told())
    if kind in ("error", "crashed"):
        assert found.status == 5 and "The tool broke in 1-2" in said
    elif kind == expected:
        assert found.status == 0 and "As its rules predict in all 2 tests." in said
    elif expected is None and kind != "livelock":
        assert found.status == 0 and "Its rules make no prediction." in said
    else:
        assert found.status == 1 and "Against its rules' prediction in 2 tests:" in said
    good = "All as predicted." if expected else "Nothing was predicted."
    assert (end.verdict == good) == (end.status == 0)


@pytest.mark.parametrize("kinds", [*combinations_with_replacement(KINDS, 2)])
def test_the_worst_column_closes_the_check(kinds: tuple[str, ...]) -> None:
    """The last line is that of the severest status, in any order of the columns."""
    columns = [Column(run_of("live", kind), TESTS[:1], run_of("model:6.2", "held")).judged() for kind in kinds]
    assert closing(columns) == closing(columns[::-1])
    order = [0, 2, 1, 5]
    assert closing(columns).status == max((c.status for c in columns), key=order.index)


@pytest.mark.parametrize(("left", "right", "bisect"), [*product(KINDS, KINDS, (False, True))])
def test_compare(left: str, right: str, bisect: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is called alike with a status other than 0, nor with anything broken in it; what one side alone skipped
    is told behind it, with status 2."""
    runs = run_of("live", left, "held"), run_of("vm:6.1", right, "held")
    found = compared(*runs, bisect)
    assert _tell(*runs, bisect) == found.status
    said = capsys.readouterr().out
    broke = {left, right} & {"error", "crashed"}
    assert ("The tool broke in 1." in said) == bool(broke)
    if broke:
        assert found.status == (125 if bisect else 5)
    elif "differ in" in said:
        assert found.status == 1 and left != right
    else:
        alone = (left == "skipped") != (right == "skipped")
        assert found.status == (2 if alone and not bisect else 0)
        assert "are alike in all 2 verdicts" in said or "are alike in the 1 verdict" in said
        assert ("1 test was skipped by one side alone: see above." in said) == alone


@pytest.mark.parametrize(("kind", "bisect", "status"), [
    ("skipped", False, 4), ("unknown", False, 4), ("error", False, 5), ("crashed", False, 5),
    ("skipped", True, 125), ("error", True, 125),
])  # fmt: skip
def test_compare_of_nothing(kind: str, bisect: bool, status: int) -> None:
    """Where no verdict can be compared it is no agreement; what broke is said by the status, too."""
    runs = run_of("live", kind), run_of("vm:6.1", "held")
    assert compared(*runs, bisect).status == status
    if status == 4:
        with pytest.raises(NothingToRun, match="could be compared"):
            _tell(*runs, bisect)
    else:
        assert _tell(*runs, bisect) == status


@pytest.mark.parametrize("kinds", [*combinations_with_replacement(KINDS, 2)])
def test_device(kinds: tuple[str, ...]) -> None:
    """What is stale is what the table is for; what broke, loops, cannot be told or was not there is its status."""
    status = shown([run_of("vm:6.1", *kinds)])
    order = {"error": 5, "crashed": 5, "livelock": 1, "unknown": 2}
    worst = [order[kind] for kind in ("error", "crashed", "livelock", "unknown") if kind in kinds]
    assert status == (worst[0] if worst else 4 if set(kinds) == {"skipped"} else 0)


def test_what_is_judged_is_what_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A test that breaks at first and would pass the second time: an error in the account below the table is one at
    the end; a page that moved once is in neither."""

    class Once(FakeTarget):
        """Breaks, or reads another byte, in its first test alone."""

        first = True

        def open(self, scenario):
            odd, self.first = self.first, False
            if odd and self.breaks:
                raise RuntimeError("once")
            return FakeTarget("live", byte=int(odd)).open(scenario)

    model = FakeTarget("model:6.2")
    monkeypatch.setattr("pinhold.commands.check.model_of", lambda info: model)
    for breaks in (True, False):
        live = Once("live")
        live.breaks = breaks
        monkeypatch.setattr("pinhold.commands.check.make_targets", lambda names, live=live, **_: [live])
        status = main(["check", "--on", "live"])
        out = capsys.readouterr().out
        assert ("seed/1: live error: RuntimeError" in out) == breaks
        assert status == (5 if breaks else 0)
        assert out.endswith("The tool broke: see above.\n" if breaks else "All as predicted.\n")


def test_a_reason_is_told_with_what_broke() -> None:
    """The first details are those of the tests in which the tool broke."""
    column = Column(run_of("live", "error", "held"), TESTS, run_of("model:6.2", "held", "violated"))
    lines = list(replace(column, quoted=False).judged().told())
    assert lines[1] == "  seed/1: fake error: why"
    assert lines[2].startswith("  seed/2: fake held, fake violated")
