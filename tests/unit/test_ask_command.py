"""`pinhold ask`: what it prints, in which width, as what, and how it refuses."""

import json
import os
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.commands import workers
from pinhold.commands.ask import WorkerDied, _compute
from pinhold.report.asktable import WIDTH
from pinhold.scenario.parse import parse
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command prints."""
    assert main(["ask", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("flags", ["FOLL_LONGTERM", "FOLL_GET|FOLL_WRITE", "FOLL_LONGTERM|FOLL_PCI_P2PDMA|FOLL_FORCE"])
def test_every_line_fits(capsys: pytest.CaptureFixture[str], flags: str) -> None:
    """No line is longer than 100 columns, with seven releases neither: the table is then cut in two."""
    more = ["5.10", "6.1", "6.1.140", "6.2", "6.12", "6.12.60", "6.18"]
    text = printed(capsys, flags, *(word for release in more for word in ("--on", f"model:{release}")))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert all(release in text for release in more)


def test_the_answer_in_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """The second line says where the pin is reliable; the advice and the cause are told by name."""
    text = printed(capsys, "FOLL_LONGTERM", "--on", "model:6.1", "--on", "model:6.2")
    assert text.splitlines()[1] == "Reliable wherever it pins on 6.2. Not reliable in 7 of 23 rows on 6.1."
    words = " ".join(text.split())
    assert "6.1 FOLL_LONGTERM|FOLL_WRITE|FOLL_FORCE is reliable in all 7 rows where this is not." in words
    assert "gup_unshares: anon to cow_longterm (6.2, 84209e87c696): 7 rows" in words
    assert "pin_user_pages_fast() gives the same in every cell." in words


def test_a_short_pin_is_told_what_holding_for_long_takes(capsys: pytest.CaptureFixture[str]) -> None:
    """FOLL_WRITE alone: what is held for long has to be pinned with FOLL_LONGTERM; with it, nothing is said."""
    on = ("--on", "model:6.12")
    assert "have to be pinned with FOLL_LONGTERM" in " ".join(printed(capsys, "FOLL_WRITE", *on).split())
    assert "held for long" not in printed(capsys, "FOLL_LONGTERM|FOLL_WRITE", *on)


def test_flags_that_are_refused_have_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no release accepts the flags, the errno and the reason are all there is to say."""
    text = printed(capsys, "FOLL_GET|FOLL_LONGTERM")
    assert len(text.splitlines()) < 8
    assert "EINVAL on 5.10, 6.1" in text
    assert "use pin_user_pages()" in " ".join(text.split())


def test_flags_may_be_several_words(capsys: pytest.CaptureFixture[str]) -> None:
    """FOLL_LONGTERM FOLL_WRITE, without quotes and a bar, is the same question."""
    on = ("--on", "model:6.12")
    assert printed(capsys, "FOLL_LONGTERM", "FOLL_WRITE", *on) == printed(capsys, "FOLL_WRITE|FOLL_LONGTERM", *on)


def test_the_document_says_what_the_table_says(tmp_path: Path) -> None:
    """JSON, written to a file: cells, causes and costs; a cell's scenario runs to that cell's answer."""
    file = tmp_path / "answer.json"
    command = ["ask", "FOLL_LONGTERM", "--on", "model:6.1", "--on", "model:6.2", "--format", "json", "-o", str(file)]
    assert main(command) == 0
    found = json.loads(file.read_text())
    assert found["schema"] == 1
    assert found["call"] == {"entry_point": "pin_user_pages", "flags": ["FOLL_LONGTERM"]}
    cells = {(row["group"], row["name"]): row["cells"] for row in found["memory"]}
    zeropage = cells["private anonymous", "only read: shared zeropage"]
    assert {release: cell["answer"] for release, cell in zeropage.items()} == {"6.1": "stale", "6.2": "reliable"}
    assert run_scenario(ModelTarget("6.1"), parse(zeropage["6.1"]["scenario"])).verdict.kind == "violated"
    assert "gup_must_unshare" in {decision["function"] for decision in zeropage["6.1"]["decisions"]}
    assert {cause["rule"] for change in found["changes"] for cause in change["causes"]} == {"gup_unshares"}
    assert found["memlock"]["charged"]["vfio"] == {"6.1": 0, "6.2": found["memlock"]["pages"]}
    assert [(a["release"], a["use"] and a["use"]["flags"]) for a in found["advice"]] == [
        ("6.1", ["FOLL_LONGTERM", "FOLL_WRITE", "FOLL_FORCE"]),
        ("6.2", None),
    ]


def test_a_scenario_that_does_not_say_all_is_not_given_away(capsys: pytest.CaptureFixture[str]) -> None:
    """The language has no word for FOLL_GET: a scenario without it would be another question's."""
    found = json.loads(printed(capsys, "FOLL_GET", "--on", "model:6.2", "--format", "json"))
    assert {cell["scenario"] for row in found["memory"] for cell in row["cells"].values()} == {None}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["FOLL_LONGTREM"], "pinhold: unknown flag 'FOLL_LONGTREM': did you mean FOLL_LONGTERM?"),
        (["FOLL_LONGTERM", "--on", "live"], "pinhold: ask answers from the specification alone, not from 'live'"),
        (["FOLL_LONGTERM", "--on", "model:6.9"], "pinhold: unknown target model:6.9"),
        (["FOLL_LONGTERM", "--on", "modle:6.1"], "did you mean model:6.1?"),
        ([""], "pinhold: no flags were given"),
        ([], "the following arguments are required: FLAGS"),
    ],
)
def test_what_cannot_be_asked(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    """One line on standard error, and the status of a usage error."""
    assert main(["ask", *arguments]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert captured.err.count("\n") == 1


def test_a_killed_worker_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed while it computes ends the command with one sentence, and does not hang it."""
    monkeypatch.setattr(workers.os, "cpu_count", lambda: 2)
    with pytest.raises(WorkerDied, match="was killed"):
        list(_compute([(os._exit, (1,))]))
