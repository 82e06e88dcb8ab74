"""--html FILE: commands that run tests draw them, and print the path."""

from __future__ import annotations

import itertools
import json
import re
import sys
from pathlib import Path

import pytest

from fakes import FakeTarget
from pinhold.cli import main
from pinhold.commands.device import SCENARIO, chart, lines
from pinhold.pictures.matrix import matrix
from pinhold.report.jsonreport import as_run_file
from pinhold.report.results import CaseResult, TargetRun
from pinhold.scenario.observation import Observation, PageView, PinView
from pinhold.scenario.parse import parse
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.verdict import Verdict
from pinhold.targets.base import Outcome
from pinhold.targets.runner import Result, StepRecord

BOTH = ("--on", "model:6.1", "--on", "model:6.2")


def test_one_test_is_its_timeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On both targets; the last line is the path."""
    path = tmp_path / "one.html"
    assert main(["run", "seed/151", *BOTH, "--html", str(path)]) == 1
    assert capsys.readouterr().out.endswith(f"\n{path}\n")
    assert 'id="step-8"' in path.read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["one.html"]


def test_several_tests_are_the_matrix_with_a_page_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each link leads to a page, and from there back, whatever the file is called."""
    path = tmp_path / "a #1.html"
    assert main(["compare", "model:6.1", "model:6.2", "seed/151-153", "--html", str(path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == str(path)
    links = set(re.findall(r'href="(a%20%231-tests/[^"]*)"', path.read_text()))
    assert len(links) == 3
    for link in links:
        assert 'href="../a%20%231.html"' in (tmp_path / link.replace("%20", " ").replace("%23", "#")).read_text()


def test_a_planted_link_is_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a directory that everybody may write to, a link in the place of the pages' folder leads nowhere."""
    shared, elsewhere = tmp_path / "shared", tmp_path / "elsewhere"
    shared.mkdir()
    shared.chmod(0o1777)
    elsewhere.mkdir()
    (shared / "a-tests").symlink_to(elsewhere)
    assert main(["compare", "model:6.1", "model:6.2", "seed/151-152", "--html", str(shared / "a.html")]) == 5
    assert "a-tests: it is a symbolic link" in capsys.readouterr().err
    assert list(elsewhere.iterdir()) == []


def test_a_report_for_programs_stays_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where it goes to standard output the path goes to standard error."""
    path = tmp_path / "one.html"
    assert main(["run", "seed/151", *BOTH, "--format", "json", "--html", str(path)]) == 1
    out, err = capsys.readouterr()
    assert [json.loads(line)["line"] for line in out.splitlines()][-1] == "end"
    assert err == f"{path}\n"


def test_a_test_that_a_target_did_not_run_is_no_verdict(tmp_path: Path) -> None:
    """In the matrix of two runs of other tests the empty cell says so."""
    runs = [tmp_path / "1.json", tmp_path / "2.json"]
    for number, run in enumerate(runs):
        main(["run", f"seed/{151 + number}", "--on", f"model:6.{1 + number}", "--format", "json", "-o", str(run)])
    assert main(["report", *map(str, runs), "-o", str(tmp_path / "out")]) == 0
    index = (tmp_path / "out" / "index.html").read_text()
    assert 'aria-label="seed/151: model:6.1 violated, model:6.2 not run"' in index
    assert "cut off" not in index


def test_the_devices_reads_are_a_matrix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test a kind of memory; above it the table of bytes, as the command prints it."""
    monkeypatch.setattr("pinhold.lab.target.VmTarget", lambda *_, **__: FakeTarget("vm:6.1"))
    path = tmp_path / "device.html"
    main(["device", "--on", "vm:6.1", "--html", str(path)])
    assert capsys.readouterr().out.splitlines()[-1] == str(path)
    assert "shared with a child" in path.read_text() and "the device reads" in path.read_text()


def test_pictures_that_take_longer_tell_how_far_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal, after a second: here each look at the clock takes two."""
    clock = itertools.count(0, 2)
    monkeypatch.setattr("pinhold.commands.runs.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert main(["show", "seed/151-153", "--on", "model:6.2", "--text"]) == 0
    out, err = capsys.readouterr()
    assert "model:6.2: 1 of 3 tests" in err and out.count("model:6.2: held") == 3


def read_by(device: int, process: int) -> Result:
    """A run in which the device read 00 first, and both read this at the end."""
    observed = [
        Observation(0, (PageView("P", "x", 0, byte=p),), (PinView("p", 0, byte=d),))
        for p, d in ((0, 0), (process, device))
    ]
    scenario = parse(SCENARIO.format(kind="any", mapping="map P x anon", before="write P x 0x01"))
    records = tuple(StepRecord(n, scenario.steps[n], Outcome(), one) for n, one in enumerate(observed))
    verdict = Verdict("held" if device == process else "violated")
    return Result("vm", scenario, verdict, records)


def test_the_page_of_the_device_has_the_table_of_bytes() -> None:
    """Each byte that the text has, and the same words; where nothing was read, why."""
    results = [
        read_by(0x00, 0xFF),
        read_by(0xFF, 0xFF),
        Result("vm", parse("scenario s\n"), Verdict("skipped", reason="no VFIO")),
    ]
    run = TargetRun(
        TargetInfo("vm:6.1", "6.1.9", "6.1", {}, {}),
        tuple(CaseResult(n, f"device/{n}", f"kind {n}", one) for n, one in enumerate(results, 1)),
        1.0,
    )
    drawn = chart([run])
    assert [column.name for column in drawn.columns] == ["the process sees", "the device reads"]
    cells = [[cell.text for cell in row.cells] for row in drawn.rows]
    assert cells == [
        ["0xff", "\N{BALLOT X} 0x00 STALE"],
        ["0xff", "\N{CHECK MARK} 0xff the same"],
        ["skipped", "not seen"],
    ]
    assert drawn.rows[2].cells[0].note == "no VFIO"
    text = lines([run])[-3:]
    assert [line.split() for line in text[:2]] == [
        ["kind", "1", "0xff", "0x00", "STALE"],
        ["kind", "2", "0xff", "0xff", "the", "same"],
    ]
    page = matrix(as_run_file([run]), chart=drawn)
    assert "<h2>What the device reads</h2>" in page and "0x00 STALE" in page


def test_without_jinja2_nothing_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence names the extra; text and SVG need none."""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert main(["run", "seed/151", *BOTH, "--html", str(tmp_path / "a.html")]) == 4
    out, err = capsys.readouterr()
    assert out == "" and "pip install 'pinhold[report]'" in err
    assert main(["show", "seed/151", "--svg", str(tmp_path / "a.svg")]) == 0
    assert main(["show", "seed/151", "--text"]) == 0


def test_a_file_that_cannot_be_made_is_told_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 3."""
    assert main(["run", "seed/151", *BOTH, "--html", str(tmp_path / "no" / "a.html")]) == 3
    assert "No such file" in capsys.readouterr().err
