"""`pinhold campaign`: what its file says, what is done side by side, what is done again, and the one report."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from pinhold import cli
from pinhold.cluster import campaign, crew, job
from pinhold.cluster.campaign import BadCampaign, Campaign, Job, put, put_back, read

SMALL = """
title = "small"
[[run]]
tests = ["seed/151"]
on = ["model:6.1", "model:6.2"]
[[explore]]
scopes = ["seed-shmem"]
rules = ["6.2"]
"""


def said(text: str) -> Campaign:
    """The campaign that a file with that text says."""
    return read(text, Path("mine.toml"))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def written(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return written


def test_a_file_says_jobs(tmp_path: Path) -> None:
    """Every test on every target, every scope under every release, every seed on every kernel; each with what it takes,
    and a name of its own.  They are read back as they were put."""
    made = said(
        '[[run]]\ntests = ["seed", "stock"]\n'
        'on = ["vm:6.1", "model:6.1,anon_exclusive=no", "mine=vm:images/bzImage"]\n'
        'without = ["1G"]\n[[explore]]\nscopes = ["fork-pin"]\nmemory = 4000\ntime = 60\n'
        '[[conform]]\non = ["live"]\nseeds = [1, 2]\nsteps = 50\nprofiles = ["anon"]\ncounts = true\n'
    )
    assert made.title == "mine"
    assert [(each.kind, each.row, each.column, each.memory, each.live) for each in made.jobs] == [
        ("run", "seed", "vm:6.1", 2048, False),
        ("run", "seed", "model:6.1,anon_exclusive=no", 512, False),
        ("run", "seed", "mine=vm:images/bzImage", 2048, False),
        ("run", "stock", "vm:6.1", 2048, False),
        ("run", "stock", "model:6.1,anon_exclusive=no", 512, False),
        ("run", "stock", "mine=vm:images/bzImage", 2048, False),
        ("explore", "fork-pin", "its own rules", 4000, False),
        ("conform", "seed 1", "live", 512, True),
        ("conform", "seed 2", "live", 512, True),
    ]
    assert len({each.name for each in made.jobs}) == len(made.jobs)
    assert made.jobs[6].command[:6] == ("explore", "fork-pin", "--memory", "4000", "--time", "60")
    conform = "conform --on live --seed 2 --steps 50 --profile anon --counts --jobs 1 -o {out}/differences"
    assert " ".join(made.jobs[8].command) == conform
    put(made, tmp_path / "put.json")
    assert put_back(tmp_path / "put.json") == made


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("title = 1", "'title' is a text"),
        ("x = 1", r"no campaign has 'x'; known: title, \[\[run\]\], \[\[explore\]\], \[\[conform\]\]"),
        ("[run]\ntests = []", r"write \[\[run\]\], with two brackets"),
        ("[[run]]\nsuites = []", r"no \[\[run\]\] has 'suites'; known: tests, on"),
        ("[[run]]\ntests = 'seed'", "'tests' is a list of texts"),
        ("[[run]]\ntests = ['seed']", r"a \[\[run\]\] needs 'on', a list of texts"),
        ("[[run]]\ntests = ['seed']\non = ['--html=x']", "'on' is a list of texts"),
        ("[[conform]]\non = ['live']\nseeds = [0]", "'seeds' is a list of numbers from 1 on"),
        ("[[explore]]\nscopes = ['a']\ntime = true", "'time' is a number from 1 on"),
        ("", "there is nothing to do"),
        ("[[", "mine.toml: "),
    ],
)
def test_a_file_that_says_none_is_a_sentence(text: str, sentence: str) -> None:
    """Which names the file and what is wrong.  No word of a file becomes an option."""
    with pytest.raises(BadCampaign, match=sentence):
        said(text)


def work(memory: int, live: bool = False) -> Job:
    return Job("run", "", "", (), memory, live=live)


def test_no_more_is_done_at_once_than_there_is_room_for() -> None:
    """By number, by memory, one at a time of this machine's kernel; what is larger than all memory is done alone."""
    jobs = [work(600), work(600), work(300), work(5000), work(100, live=True), work(100, live=True)]
    most: list[list[int]] = []
    now: set[int] = set()
    lock = threading.Lock()
    beside = threading.Event()

    def do(number: int) -> dict[str, Any]:
        with lock:
            now.add(number)
            most.append(sorted(now))
            if len(now) > 1:
                beside.set()
        assert beside.wait(600)  # the first two are begun before anybody waits
        with lock:
            now.discard(number)
        return {"number": number}

    found = [told["number"] for told in crew.side_by_side(do, jobs, range(len(jobs)), 3, 1000)]
    assert sorted(found) == list(range(len(jobs)))
    assert max(map(len, most)) in (2, 3)
    for together in most:
        assert len(together) == 1 or sum(jobs[number].memory for number in together) <= 1000
        assert sum(jobs[number].live for number in together) <= 1


def test_a_campaign_goes_on_and_reports(
    write: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The seed's first test on both releases: one fails, and the report says which and why; begun again, nothing is
    done but what could not run."""
    out = tmp_path / "out"
    commands: list[str] = []

    def ran(command: list[str]) -> tuple[int, str]:
        assert command[:4] == [sys.executable, "-I", "-m", "pinhold"]
        commands.append(command[4])
        if command[4] == "explore" and len(commands) < 5:
            return 4, "numba is missing\n"
        return cli.main(command[4:]), ""

    monkeypatch.setattr(job, "ran", ran)
    assert cli.main(["campaign", str(write(SMALL)), "-o", str(out), "--jobs", "1"]) == 1
    told = capsys.readouterr().out
    assert "run seed/151        model:6.1     failed\n    seed/151 violated\n" in told
    assert "explore seed-shmem  rules of 6.2  could not run\n    numba is missing\n" in told
    assert "1 of 3 held" in told
    root = ET.fromstring((out / "junit.xml").read_text())
    assert {suite.get("name"): (suite.get("failures"), suite.get("errors")) for suite in root} == {
        "run": ("1", "0"),
        "explore": ("0", "1"),
    }
    assert commands == ["run", "run", "explore"]
    commands += ["", ""]
    assert cli.main(["campaign", str(write(SMALL)), "-o", str(out), "--jobs", "1"]) == 1
    assert commands[5:] == ["explore"]
    record = json.loads((out / "report.json").read_text())
    assert [each["word"] for each in record["jobs"]] == ["failed", "held", "held"]
    assert "2 of 3 jobs were done before" in capsys.readouterr().out


def test_a_job_that_breaks_is_begun_again(write: Callable[[str], Path], tmp_path: Path, monkeypatch: Any) -> None:
    """Three times at most; a guest may die of a busy machine, and be well the next time."""
    statuses = [5, -9, 0]
    monkeypatch.setattr(job, "ran", lambda command: (statuses.pop(0), "x"))
    put(said(SMALL), tmp_path / job.CAMPAIGN)
    told = job.do(str(tmp_path), 0)
    assert (told["status"], told["tries"], statuses) == (0, 3, [])
    monkeypatch.setattr(job, "ran", lambda command: (-11, "died"))
    told = job.do(str(tmp_path), 1)
    assert (told["status"], told["tries"], job.WORDS[told["status"]]) == (5, 3, "broke")
    assert job.done(tmp_path, said(SMALL).jobs[1]) is None


def test_the_commands_are_listed(write: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    """--list does nothing."""
    path = write(SMALL)
    assert cli.main(["campaign", str(path), "--list"]) == 0
    assert capsys.readouterr().out.startswith("pinhold run seed/151 --on model:6.1 --jobs 1 --format json -o ")
    assert not path.with_suffix(".campaign").exists()


def test_what_cannot_be_read_is_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there, one that says nothing: status 3, a sentence."""
    assert cli.main(["campaign", str(tmp_path / "no.toml")]) == 3
    assert "no.toml': No such file" in capsys.readouterr().err
    (tmp_path / "empty.toml").touch()
    assert cli.main(["campaign", str(tmp_path / "empty.toml")]) == 3
    assert "there is nothing to do" in capsys.readouterr().err


def test_a_job_is_named_by_what_it_does() -> None:
    """Two that differ in a word have two folders."""
    one = campaign.Job("run", "seed", "model:6.1", ("run", "a"))
    other = campaign.Job("run", "seed", "model:6.1", ("run", "b"))
    assert one.name != other.name
    assert one.name.startswith("run-seed-model-6.1-")


def test_root_writes_nowhere_that_others_can_change(
    write: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder for results, or for states, that somebody else has put there: a sentence, and nothing is in it."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("pinhold.trust.foreign", lambda place: f"user eve could change {place}")
    out = tmp_path / "out"
    for command in (["campaign", str(write(SMALL)), "-o", str(out)], ["explore", "seed-shmem", "--spill", str(out)]):
        assert cli.main(command) == 3
        assert f"user eve could change {out}; name a directory of yours alone" in capsys.readouterr().err
    assert not list(out.iterdir())
