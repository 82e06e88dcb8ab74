"""`pinhold report`: run files read back as what a run itself could have written, and as pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pinhold.cli import main

TESTS = "seed/151-153"


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tests on two models."""
    path = tmp_path_factory.mktemp("run") / "run.json"
    assert main(["run", TESTS, "--on", "model:6.1", "--on", "model:6.2", "--format", "json", "-o", str(path)]) == 1
    return path


@pytest.mark.parametrize("form", ["ktap", "junit", "table"])
def test_what_is_read_back_is_what_the_run_had_written(
    form: str, run_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """But for the times and the command line, which another run has anew."""
    main(["run", TESTS, "--on", "model:6.1", "--on", "model:6.2", "--format", form])
    there = capsys.readouterr().out
    assert main(["report", str(run_file), "--format", form]) == 0
    back = capsys.readouterr().out
    assert len(plain(back)) > 3
    assert plain(back) <= plain(there)


def plain(text: str) -> set[str]:
    text = re.sub(r'(time|timestamp)="[^"]+"', "", text)
    return {line for line in text.splitlines() if 'property name="command"' not in line}


def test_a_folder_has_the_matrix_and_a_page_a_test(run_file: Path, tmp_path: Path) -> None:
    """From a red cell to the step at which it went wrong: two clicks."""
    assert main(["report", str(run_file), "-o", str(tmp_path / "out")]) == 0
    index = (tmp_path / "out" / "index.html").read_text()
    assert index.count("<tr id=") == 3
    assert 'aria-label="seed/151: model:6.1 violated, model:6.2 held"' in index
    hrefs = set(re.findall(r'href="(tests/[^"]*)"', index))
    assert len(hrefs) == 3
    for href in hrefs:
        page = (tmp_path / "out" / href).read_text()
        assert 'href="../index.html"' in page and "here pin and page part" in page
    assert (tmp_path / "out" / "junit.xml").read_text().startswith("<?xml")
    assert "not ok" in (tmp_path / "out" / "results.ktap").read_text()


def test_run_files_are_joined(run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other tests of the same target are the same column; the same tests again are another."""
    other = tmp_path / "other.json"
    main(["run", "seed/154", "--on", "model:6.1", "--format", "json", "-o", str(other)])
    assert main(["report", str(run_file), str(other), "--format", "ktap"]) == 0
    assert "ok 1 - model:6.1\n" not in capsys.readouterr().out
    assert main(["report", str(run_file), str(run_file), "--format", "html"]) == 0
    out = capsys.readouterr().out
    assert "3 tests on 4 targets" in out and "model:6.1 (run.json)" in out
    assert main(["report", str(run_file), str(other), "--format", "html"]) == 0
    assert "4 tests on 2 targets" in capsys.readouterr().out


@pytest.fixture(scope="module")
def other_tests(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two run files of one test that both have, and one that the other has not, on two models."""
    folder = tmp_path_factory.mktemp("other")
    for name, tests, model in (("a", "seed/151-152", "model:6.1"), ("b", "seed/150-151", "model:6.2")):
        main(["run", tests, "--on", model, "--format", "json", "-o", str(folder / f"{name}.json")])
    return [str(folder / "a.json"), str(folder / "b.json")]


def test_a_table_says_which_target_did_not_run_a_test(
    other_tests: list[str], run_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tests are known by their names, and stand in the order of the suite; no target has a verdict of another test."""
    assert main(["report", *other_tests, "--format", "table"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    cells = [row[-4:] for row in rows if "run" in row or "held" in row]
    assert [[word for word in row if word in ("not", "run", "VIOLATED", "held")] for row in cells] == [
        ["not", "run", "held"],
        ["VIOLATED", "held"],
        ["VIOLATED", "not", "run"],
    ]
    assert main(["report", str(run_file), other_tests[1], "--format", "table"]) == 0
    out = capsys.readouterr().out
    assert out.count("not run") >= 3 and "model:6.2 (b.json)" in out


def test_ktap_of_other_tests_has_a_whole_plan_a_target(
    other_tests: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """As many results as are planned, in each target's document; those that were not run are skipped."""
    assert main(["report", *other_tests, "--format", "ktap"]) == 0
    documents = capsys.readouterr().out.split("# Subtest: ")[1:]
    for document, skipped in zip(documents, ("seed/150", "seed/152"), strict=True):
        results = re.findall(r"^  (?:not )?ok (\d+)", document, re.MULTILINE)
        assert "  1..3\n" in document and results == ["1", "2", "3"]
        assert re.search(rf"# this is {skipped}\n  ok \d # SKIP not run on this target\n", document)
        assert " skip:1 " in document


def test_a_file_of_two_targets_that_was_cut_off_is_a_table_and_ktap(
    run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the second target has fewer tests: they were not run; in KTAP they are missing, and it is not ok."""
    lines = run_file.read_text().splitlines(keepends=True)
    last = max(at for at, line in enumerate(lines) if '"seed/153"' in line and "model:6.2" in line)
    cut = tmp_path / "cut.json"
    cut.write_text("".join(lines[:last]))
    assert main(["report", str(cut), "--format", "table"]) == 0
    assert "not run" in capsys.readouterr().out
    assert main(["report", str(cut), "--format", "ktap"]) == 0
    out = capsys.readouterr().out
    assert "ok 2 model:6.2" not in out and out.endswith("# cut off by what the run file does not say\n")


def test_a_file_that_was_cut_off_says_so(run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it has is shown."""
    cut = tmp_path / "cut.json"
    cut.write_text("".join(run_file.read_text().splitlines(keepends=True)[:-8]))
    assert main(["report", str(cut), "--format", "html"]) == 0
    assert "was cut off" in capsys.readouterr().out


def test_what_cannot_be_is_refused_with_a_sentence(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No folder and no format; no run file."""
    assert main(["report", str(run_file)]) == 3
    assert "-o DIR" in capsys.readouterr().err
    assert main(["report", __file__, "--format", "ktap"]) == 3
    assert "run file" in capsys.readouterr().err
    assert main(["report", "nothing.json", "--format", "ktap"]) == 3
    assert "nothing.json" in capsys.readouterr().err


def test_a_line_that_never_ends_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A file such as /dev/zero is told, and not read for ever."""
    assert main(["report", "/dev/zero", "--format", "table"]) == 3
    assert "/dev/zero: this is no run file: a line of it has more than" in capsys.readouterr().err
