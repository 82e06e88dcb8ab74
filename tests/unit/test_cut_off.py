"""A run that is cut off leaves what was done, in a file that its readers take."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from fakes import case_result, target_run
from pinhold.report.ktap import KtapReport, ktap
from pinhold.scenario.runfile import read_run
from pinhold.scenario.verdict import Verdict

TESTS = Path(__file__).parents[1]
RUN = """
import sys, time
sys.path.insert(0, sys.argv.pop(1))
from fakes import FakeTarget
from pinhold.cli import entry
from pinhold.commands import registry

class Stuck(FakeTarget):
    "Stands still in the scenario of that title."
    def open(self, scenario):
        if scenario.title == "third":
            print("stuck", file=sys.stderr, flush=True)
            time.sleep(600)
        return super().open(scenario)

registry._FACTORIES["fast"] = lambda rest, properties: FakeTarget("fast")
registry._FACTORIES["stuck"] = lambda rest, properties: Stuck("stuck")
entry()
"""


@pytest.fixture
def scenarios(tmp_path: Path) -> list[str]:
    """Four files of one test each."""
    files = []
    for title in ("first", "second", "third", "fourth"):
        file = tmp_path / f"{title}.pin"
        file.write_text(f'scenario {title}\nmap P x anon\nread P x\nexpect P x 0x00 "zeros"\n')
        files.append(str(file))
    return files


def cut(files: list[str], number: signal.Signals, *options: str) -> tuple[int, str, str]:
    """Status, output and errors of a run that gets the signal in its third test."""
    command = [sys.executable, "-c", RUN, str(TESTS), "run", *files, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None and run.stderr is not None
        assert run.stderr.readline() == "stuck\n"
        if number == signal.SIGKILL:
            check_streamed(options)
        run.send_signal(number)
        out, err = run.communicate(timeout=120)
    return run.returncode, out, err


def check_streamed(options: tuple[str, ...]) -> None:
    """While it still runs the file has what was done."""
    assert "first" in Path(options[options.index("-o") + 1]).read_text()


ENDS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)]
NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}


@pytest.mark.parametrize(("number", "status"), ENDS)
def test_a_run_file_has_what_was_done(
    scenarios: list[str], tmp_path: Path, number: signal.Signals, status: int
) -> None:
    """Whatever ends it: two whole tests, no end, and the reader takes it."""
    file = tmp_path / "run.jsonl"
    assert cut(scenarios, number, "--on", "stuck", "--format", "json", "-o", str(file)) == (status, "", "")
    read = read_run(file.read_text().splitlines(keepends=True))
    assert not read.complete
    assert [(run.name.rpartition("/")[2], run.verdict and run.verdict.kind) for run in read.runs] == [
        ("first.pin", "held"),
        ("second.pin", "held"),
    ]


@pytest.mark.parametrize(("number", "status"), ENDS)
def test_ktap_has_what_was_done(scenarios: list[str], tmp_path: Path, number: signal.Signals, status: int) -> None:
    """The plan, two results, and no totals: a reader misses the rest."""
    file = tmp_path / "out.ktap"
    options = ("--on", "stuck", "--format", "ktap", "--ktap-names", "selftest", "-o", str(file))
    assert cut(scenarios, number, *options) == (status, "", "")
    lines = file.read_text().splitlines()
    assert lines[:6] == ["TAP version 13", "1..4", "# [RUN] first", "ok 1 zeros", "# [RUN] second", "ok 2 zeros"]
    assert lines[6:] == ([f"# cut off by {NAMES[number]}"] if number in NAMES else [])


def test_ktap_of_names_has_what_was_done(scenarios: list[str], tmp_path: Path) -> None:
    """Each under its own name."""
    file = tmp_path / "out.ktap"
    assert cut(scenarios, signal.SIGKILL, "--on", "stuck", "-o", str(file)) == (-9, "", "")
    tests = zip(("first", "second"), scenarios[:2], strict=True)
    names = [f"ok {number} {title} ({path})" for number, (title, path) in enumerate(tests, 1)]
    assert [line for line in file.read_text().splitlines() if not line.startswith("#")] == [
        "TAP version 13",
        "1..4",
        *names,
    ]


@pytest.mark.parametrize(("number", "status"), ENDS[:2])
def test_a_table_has_what_was_done(scenarios: list[str], tmp_path: Path, number: signal.Signals, status: int) -> None:
    """With a note at its head; a test that was not come to is skipped, with that reason, on each target."""
    file = tmp_path / "out.txt"
    assert cut(scenarios, number, "--on", "fast", "--on", "stuck", "-o", str(file)) == (status, "", "")
    text = file.read_text()
    assert text.startswith(f"CUT OFF by {NAMES[number]}.\n")
    assert "fast: 4 held\nstuck: 2 held, 2 skipped\n" in text
    assert "the run was cut off before this test (2 tests)" in text


def test_a_table_on_the_screen_is_cut_off_the_same_way(scenarios: list[str]) -> None:
    """Without -o it is printed."""
    status, out, err = cut(scenarios, signal.SIGTERM, "--on", "stuck")
    assert (status, err) == (143, "")
    assert out.startswith("CUT OFF by SIGTERM.\n") and "stuck: 2 held, 2 skipped" in out


def test_junit_has_what_was_done(scenarios: list[str], tmp_path: Path) -> None:
    """It is whole XML that says what has cut it off, and counts what was not run as skipped."""
    file = tmp_path / "out.xml"
    assert cut(scenarios, signal.SIGTERM, "--on", "stuck", "--format", "junit", "-o", str(file))[0] == 143
    (suite,) = ET.parse(file).getroot()
    assert (suite.get("tests"), suite.get("skipped"), suite.get("errors")) == ("4", "2", "0")
    noted = suite.find(".//property[@name='cut off by']")
    assert noted is not None and noted.get("value") == "SIGTERM"


def test_an_ignored_signal_stays_ignored(scenarios: list[str], tmp_path: Path) -> None:
    """Under nohup a run goes on when its terminal is closed."""
    file = tmp_path / "run.jsonl"
    program = RUN.replace("import sys, time", "import signal, sys, time; signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    program = program.replace("time.sleep(600)", "time.sleep(2)")
    command = [sys.executable, "-c", program, str(TESTS), "run", *scenarios]
    command += ["--on", "stuck", "--format", "json", "-o", str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None and run.stderr.readline() == "stuck\n"
        run.send_signal(signal.SIGHUP)
        assert run.wait(120) == 0
    assert json.loads(file.read_text().splitlines()[-1]) == {"line": "end", "runs": 4}


class Lines(list[str]):
    """A stream that keeps what it is given."""

    def writelines(self, lines: object) -> None:
        self.extend(lines)  # type: ignore[call-overload]

    def flush(self) -> None:
        """Nothing waits."""


def test_results_of_targets_side_by_side_stand_in_order() -> None:
    """What the second target says waits for the end of the first; cut off, it is there all the same."""
    runs = [target_run(name, case_result(1, "t", Verdict("held"))) for name in ("a", "b")]
    for cut_off in (False, True):
        written = Lines()
        report = KtapReport(written, 2, 1)  # type: ignore[arg-type]
        for place in (1, 0):
            report.begin(place, runs[place].info)
            report.result(place, runs[place].results[0])
            if place == 1:
                report.end(1, 0)
                assert written == ["KTAP version 1\n", "1..2\n"]
        if not cut_off:
            report.end(0, 0)
            report.close(None)
            assert "".join(written).splitlines() == ktap(runs)
        else:
            report.close("SIGTERM")
            assert "ok 2 b\n" in written and "ok 1 a\n" not in written
            assert written[-1] == "# cut off by SIGTERM\n"
