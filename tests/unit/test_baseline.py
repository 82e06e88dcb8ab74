"""Baselines: what is known of kernels, and what is new."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes import case_result, target_run
from pinhold.cli import main
from pinhold.report.baseline import BadBaseline, judged, read, written
from pinhold.report.listener import NOT_RUN
from pinhold.scenario.verdict import Verdict

RUN = target_run(
    "vm:6.1",
    case_result(1, "t", Verdict("held")),
    case_result(2, "t", Verdict("violated", reason="stale")),
    case_result(3, "t", Verdict("violated", reason="stale")),
    case_result(4, "t", Verdict("skipped", reason="no swap")),
    case_result(6, "t", Verdict("xfail")),
)


def of(kind: str, number: int = 1) -> list[str]:
    """Of one test with that verdict where violated, skipped and xfail are known: status and lines."""
    known = read(
        "['vm:6.1']\nviolated = ['seed/2']\nskipped = ['seed/3']\nxfail = ['seed/4']\nlivelock = ['a \"b.pin']"
    )
    found = judged([target_run("vm:6.1", case_result(number, "t", Verdict(kind, reason="so")))], known, "base.toml")
    return [str(found.status), *found.lines]


def test_what_a_run_has_written_knows_all_of_it() -> None:
    """Tests in a row are one entry; what holds is not there."""
    lines = list(written([RUN]))
    assert lines[2:] == [
        '["vm:6.1"]',
        "# Linux 6.2",
        "violated = [",
        '    "seed/2-3",',
        "]",
        "xfail = [",
        '    "seed/6",',
        "]",
        "skipped = [",
        '    "seed/4",',
        "]",
    ]
    found = judged([RUN], read("\n".join(lines)), "base.toml")
    assert (found.status, found.lines) == (0, ("Against base.toml: nothing new, 4 as known.",))


@pytest.mark.parametrize(
    ("kind", "number", "status"),
    [
        *(("held", n, 0) for n in (1, 2, 3, 4)),
        *(("violated", n, 0 if n == 2 else 1) for n in (1, 2, 3, 4)),
        *(("skipped", n, 0 if n == 3 else 1) for n in (1, 2, 3, 4)),
        *(("xfail", n, 0 if n == 4 else 1) for n in (1, 2, 3, 4)),
        *((kind, n, 2 if kind == "unknown" else 5) for kind in ("unknown", "error", "crashed") for n in (1, 2)),
        ("livelock", 2, 1),
    ],
)
def test_the_status_is_that_of_what_is_new(kind: str, number: int, status: int) -> None:
    """Another verdict than the known one is new, but for one that holds; a new skip is a failure."""
    assert of(kind, number)[0] == str(status)


def test_new_and_better_are_told() -> None:
    """With what was known of the test, and why it is so now."""
    assert of("skipped", 2)[1:] == [
        "Against base.toml: 1 new, 0 as known.",
        "  new: seed/2 on vm:6.1: skipped, was violated (so)",
    ]
    assert of("held", 2)[1:] == [
        "Against base.toml: nothing new, 0 as known, 1 test better: write it anew.",
        "  no longer: seed/2 on vm:6.1: held, was violated",
    ]


def test_a_target_that_it_does_not_know_is_named() -> None:
    """What does not hold there is new."""
    found = judged([target_run("live", *RUN.results)], read("['vm:6.1']\n"), "base.toml")
    assert (found.status, len(found.lines)) == (1, 6)
    assert found.lines[1] == "base.toml says nothing of live."


def test_what_was_not_run_and_what_broke_is_not_known() -> None:
    """A baseline of a run that was cut off says so; one in which the tool broke names the test beside it."""
    run = target_run(
        "live",
        case_result(1, "t", Verdict("skipped", reason=NOT_RUN)),
        case_result(2, "t", Verdict("error", reason="died")),
    )
    lines = list(written([run], "Ctrl-C"))
    assert read("\n".join(lines)) == {"live": {}}
    assert "# The run was cut off by Ctrl-C." in lines and "# the tool broke in seed/2" in lines


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "no baseline"),
        ("live = 1", "'live' is no table"),
        ("[live]\nheld = []", "'held' is no verdict that can be known"),
        ("[live]\nviolated = 'seed/1'", "a list of tests"),
        ("[live]\nviolated = ['seed/1']\nskipped = ['seed/1-2']", "seed/1 is there as violated and as skipped"),
        ("[live]\nviolated = ['seed/3-1']", "no part of a suite"),
        ("[live]\nviolated = ['seed/1-900']", "no part of a suite"),
        ("[live]\nviolated = ['seed/999']", "'seed/999' names no test: seed has tests 1 to 162"),
        ("[live]\nviolated = ['seed']", "'seed' names no test: seed has tests 1 to 162, and is written seed/N"),
        ("[live]\nviolated = ['nosuch/1']", "'nosuch/1' names no test: write SUITE/N or SUITE/N-M of seed, stock"),
        ("[live]\nskipped = ['1']", "'1' names no test"),
    ],
)
def test_a_mistake_in_it_is_named(text: str, words: str) -> None:
    """In one sentence."""
    with pytest.raises(BadBaseline) as caught:
        read(text)
    assert words in str(caught.value)


def test_a_run_writes_it_and_is_held_against_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twelve findings are known, and then the exit status is 0; of one that is not known it is 1."""
    base = tmp_path / "base.toml"
    run = ["run", "seed/150-162", "--on", "model:6.1"]
    assert main([*run, "-o", str(base)]) == 1
    assert main([*run, "--baseline", str(base)]) == 0
    assert f"Against {base}: nothing new, 12 as known." in capsys.readouterr().out
    base.write_text(base.read_text().replace("seed/151-162", "seed/151-161"))
    assert main([*run, "--baseline", str(base), "--format", "ktap"]) == 1
    assert "new: seed/162 on model:6.1: violated, was held" in capsys.readouterr().err
    assert main([*run, "--baseline", str(tmp_path)]) == 3
    base.write_text("[")
    assert main([*run, "--baseline", str(base)]) == 3
    assert f"{base}: it is no baseline" in capsys.readouterr().err


def test_a_scenario_of_any_name_is_known_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FILE.pin need not be there where the baseline is read; another name is that of a file."""
    monkeypatch.chdir(tmp_path)
    Path("mine.txt").write_text("")
    known = {"live": {"gone.pin": "skipped", "mine.txt": "skipped"}}
    assert read("[live]\nskipped = ['gone.pin', 'mine.txt']") == known


def test_strict_fails_for_a_known_skip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--strict and --baseline are both heard, each with its line; what --without leaves out nobody misses."""
    base = tmp_path / "base.toml"
    run = ["run", "stock/227", "--on", "model:6.2"]
    assert main([*run, "-o", str(base)]) == 4
    assert main([*run, "--baseline", str(base)]) == 0
    capsys.readouterr()
    assert main([*run, "--baseline", str(base), "--strict"]) == 1
    out = capsys.readouterr().out
    assert f"Against {base}: nothing new, 1 as known.\n1 test skipped, which --strict takes for a failure" in out
    left_out = ["run", "seed/156", "--on", "model:6.2", "--without", "1G", "--strict"]
    base.write_text("['model:6.2']\nskipped = ['seed/156']\n")
    assert main([*left_out, "--baseline", str(base)]) == 0
