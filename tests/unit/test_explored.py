"""What a search came to, in a run file: written, read back, and drawn with what it found."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pinhold.cli import main
from pinhold.scenario.ran import Search
from pinhold.scenario.runfile import RunFile, read_run

RACE = ("fork-races-gup-fast", "--without", "write_protect_seq")


def read(path: Path) -> RunFile:
    return read_run(path.read_text().splitlines(keepends=True))


def test_a_race_is_a_search_and_a_run_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the rules that were searched, and on the release's own; show reads it back."""
    path = tmp_path / "race.json"
    assert main(["explore", *RACE, "--format", "json", "-o", str(path)]) == 1
    assert capsys.readouterr().out == ""
    file = read(path)
    (search,) = file.searches
    assert (search.scope, search.switched) == ("fork-races-gup-fast", {"write_protect_seq": "no"})
    assert search.found and len(search.path) == len(search.levels) - 1
    assert sum(search.levels) == search.states
    assert search.path[0] == ("parent", "fork P C")
    kinds = {run.target: run.verdict and run.verdict.kind for run in file.runs}
    assert kinds == {"model:6.2,write_protect_seq=no": "violated", "model:6.2": "held"}
    assert {run.name for run in file.runs} == {search.run}
    assert main(["show", str(path)]) == 0
    out = capsys.readouterr().out
    assert "478 states, 937 transitions" in out and "< here" in out and "VIOLATED" in out
    assert main(["show", str(path), "--text"]) == 0
    out = capsys.readouterr().out
    assert "they part here" in out and "new states" in out
    assert out.isascii() and max(map(len, out.splitlines())) <= 78


def test_its_page_has_the_search_beside_the_timeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And the path is the last line."""
    path = tmp_path / "race.html"
    assert main(["explore", *RACE, "--html", str(path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == str(path)
    html = path.read_text()
    assert "here pin and page part" in html
    assert html.index('id="step-10"') < html.index('class="search"') < html.index("New states by depth")


@pytest.mark.parametrize("form", ["--html", "--svg", "--text"])
def test_a_search_that_found_nothing_is_drawn_by_itself(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """States by depth, and what was never come by."""
    path, drawn = tmp_path / "good.json", tmp_path / "drawn"
    assert main(["explore", "seed-shmem", "--format", "json", "-o", str(path)]) == 0
    assert read(path).runs == ()
    assert main(["show", str(path), form, *([] if form == "--text" else [str(drawn)])]) == 0
    said = capsys.readouterr().out
    assert "exhausted" in (said if form == "--text" else drawn.read_text()).lower()
    assert main(["report", str(path), "--format", "table"]) == 4


def test_a_run_file_that_others_have_written_anew_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON with other white space."""
    path = tmp_path / "run.json"
    main(["run", "seed/151", "--on", "model:6.2", "--format", "json", "-o", str(path)])
    path.write_text("".join(f"{json.dumps(json.loads(line))}\n" for line in path.read_text().splitlines()))
    assert main(["show", str(path)]) == 0
    assert "model:6.2: 1 held" in capsys.readouterr().out


def test_json_to_standard_output_is_nothing_but_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    """As with run."""
    assert main(["explore", "seed-shmem", "--format", "json"]) == 0
    (search,) = read_run(capsys.readouterr().out.splitlines(keepends=True)).searches
    assert isinstance(search, Search) and not search.found and search.states == 478


def test_a_still_image_has_the_search_above_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One image: both are in it, each with its own title; the file is named beside what is told."""
    path = tmp_path / "race.svg"
    assert main(["explore", *RACE, "--svg", str(path)]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == str(path)
    image = ET.fromstring(path.read_text())
    above, below = image.findall("{http://www.w3.org/2000/svg}svg")
    assert float(below.get("y", "")) == float(above.get("height", ""))
    ids = [element.get("id") for element in image.iter() if element.get("id")]
    assert len(ids) == len(set(ids)) == 4
    assert "\N{BALLOT X} 48: a long-term pin no longer holds the page that its owner sees" in "".join(above.itertext())
    assert "they part" in "".join(below.itertext())
    assert main(["explore", RACE[0], "--svg", str(path)]) == 0
    assert len(ET.fromstring(path.read_text()).findall("{http://www.w3.org/2000/svg}svg")) == 1


SEVERAL = ("shmem-cow", "fork-races-gup-fast", "seed-shmem")


def test_several_scopes_are_told_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1 where one of them found something; 2 where none did and a limit ended one."""
    assert main(["explore", *SEVERAL, "--without", "write_protect_seq"]) == 1
    out = capsys.readouterr().out
    places = [out.index(f"{name} under the rules of") for name in SEVERAL]
    assert places == sorted(places)
    assert out.count("Exhausted: nothing bad is reachable.") == 2
    assert main(["explore", "shmem-cow", "seed-shmem", "--depth", "9"]) == 2
    assert main(["explore", "shmem-cow", "seed-shmem"]) == 0


def test_several_scopes_are_one_run_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a search of each, and a run of what was found; each search is there when it has ended."""
    path, still = tmp_path / "all.json", tmp_path / "all.svg"
    arguments = ["explore", *SEVERAL, "--without", "write_protect_seq", "--format", "json", "-o", str(path)]
    assert main([*arguments, "--svg", str(still)]) == 1
    file = read(path)
    assert file.complete
    assert tuple(search.scope for search in file.searches) == SEVERAL
    assert [bool(search.found) for search in file.searches] == [False, True, False]
    assert {run.name for run in file.runs} == {file.searches[1].run}
    assert all(name in still.read_text() for name in SEVERAL)
    lines = path.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if json.loads(line)["line"] == "search")
    assert read_run([f"{line}\n" for line in lines[: first + 1]]).searches[0].scope == SEVERAL[0]


def test_searches_are_tests_of_a_continuous_integration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JUnit by explore itself, and by report of its run file, which has the run of what was found, too."""
    path, junit = tmp_path / "all.json", tmp_path / "all.xml"
    asked = ["explore", *SEVERAL, "--without", "write_protect_seq"]
    assert main([*asked, "--format", "junit", "-o", str(junit)]) == 1
    (suite,) = ET.fromstring(junit.read_text())
    assert [case.get("name") for case in suite] == list(SEVERAL)
    assert [case.find("failure") is not None for case in suite] == [False, True, False]
    assert main([*asked, "--format", "json", "-o", str(path)]) == 1
    capsys.readouterr()
    assert main(["report", str(path), "--format", "junit"]) == 0
    names = [element.get("name") for element in ET.fromstring(capsys.readouterr().out)]
    assert names == ["model:6.2,write_protect_seq=no", "model:6.2", "explore"]
    assert main(["explore", "seed-shmem", "--format", "json", "-o", str(path)]) == 0
    assert main(["report", str(path), "--format", "junit"]) == 0
    assert [element.get("name") for element in ET.fromstring(capsys.readouterr().out)] == ["explore"]


def test_what_was_looked_for_is_in_the_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By name, with the way there; where it is not reachable a test of it fails."""
    path = tmp_path / "found.json"
    assert main(["explore", "seed-shmem", "--find", "must_unshare_no_vma", "--format", "json", "-o", str(path)]) == 0
    (search,) = read(path).searches
    assert search.asked == "find must_unshare_no_vma"
    assert search.found.startswith("gup_must_unshare decides must_unshare_no_vma: ")
    assert (len(search.path), search.failure) == (7, "")
    assert main(["explore", "seed-shmem", "--find", "stuck", "--format", "json", "-o", str(path)]) == 1
    (search,) = read(path).searches
    assert search.failure == "not reachable: stuck"
    assert main(["show", str(path)]) == 0
    assert "Exhausted: stuck is not reachable." in " ".join(capsys.readouterr().out.split())
