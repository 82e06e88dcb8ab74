"""`pinhold compare` with saved runs, and with what the kernel's selftest `cow` has printed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.report.kselftest import grouped, known_as, results, selftest
from pinhold.report.tapdocuments import bare, is_tap
from pinhold.scenario.suites import SUITES, suite
from pinhold.scenario.verdict import Verdict

DATA = Path(__file__).parent / "data" / "kselftest"
OLD, NEW = DATA / "cow-of-6.12-on-6.1.tap", DATA / "cow-of-7.3-on-7.3.tap"
"""What `cow` of Linux 6.12 printed on 6.1 (with gup_test of 6.2, and swap), and that of 7.3 on 7.3, a stock kernel of a
distribution, without swap; of the latter THPs of 64 and 2048 kB, in whose place there are more."""

SKIPPED = "scenario s\nmap P x anon\nrequire P x huge\nexpect P x 0x00\n"


def run(path: Path, *arguments: str) -> str:
    """Writes a run file there."""
    main(["run", *arguments, "-o", str(path)])
    return str(path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run files of models."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        "old": run(folder / "old.json", "seed/149-152", "--on", "model:6.1"),
        "new": run(folder / "new.json", "seed/150-153", "--on", "mine=model:6.2"),
        "same": run(folder / "same.json", "seed/150-153", "--on", "mine=model:6.2"),
        "both": run(folder / "both.json", "seed/151", "--on", "model:6.1", "--on", "model:6.2"),
        "later": run(folder / "later.json", "seed/151", "--on", "model:6.2", "--on", "model:6.12"),
    }


def told(capsys: pytest.CaptureFixture[str], status: int, *arguments: str) -> str:
    """What compare prints."""
    capsys.readouterr()
    assert main(["compare", *arguments]) == status
    return capsys.readouterr().out


def test_two_saved_runs_are_compared(runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Verdicts and values, as of two targets; tests of one alone are told."""
    out = told(capsys, 1, runs["old"], runs["new"])
    assert "seed/151: model:6.1 violated, mine held\n" in out
    assert "P x[0]: kind: zero on model:6.1, anon on mine" in out
    assert "in model:6.1 alone: seed/149\nin mine alone: seed/153\n" in out
    assert "model:6.1 and mine differ in 2 tests; compared were 3 verdicts and " in out
    assert told(capsys, 0, runs["old"], runs["new"], "seed/150").startswith("model:6.1 and mine are alike in the 1 v")
    assert main(["compare", runs["old"], runs["new"], "seed/149"]) == 4
    assert "none of the tests asked for is in both" in capsys.readouterr().err


def test_runs_on_targets_of_one_name_are_told_apart_by_their_files(
    runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Or by the names that they are given; a file may be compared with itself."""
    assert told(capsys, 0, runs["new"], runs["same"]).startswith("new.json and same.json are alike in all 4 verdicts")
    assert told(capsys, 0, f"a={runs['new']}", f"b={runs['same']}").startswith("a and b are alike")
    assert told(capsys, 0, runs["new"], runs["new"]).startswith("left new.json and right new.json are alike")
    assert told(capsys, 0, runs["both"], runs["later"]).startswith("model:6.2 (both.json) and model:6.2 (later.json)")


def test_a_saved_run_is_compared_with_a_target(runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Its tests are run there; of a file with several targets the one of that name is compared."""
    assert "model:6.1 and model:6.2 differ in 2 tests" in told(capsys, 1, runs["old"], "model:6.2")
    assert "model:6.2 and model:6.1 differ in 1 test;" in told(capsys, 1, "model:6.2", runs["old"], "seed/151")
    assert "both.json) and model:6.1 are alike" in told(capsys, 0, runs["both"], "model:6.1")
    assert main(["compare", runs["both"], "model:6.12"]) == 3
    assert "both.json has runs on model:6.1, model:6.2" in capsys.readouterr().err
    assert main(["compare", runs["old"], "model:6.2", "seed/1"]) == 4


def test_a_test_that_only_one_could_do_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the reason of the other; and a test that is no longer the same is not compared."""
    own = tmp_path / "own.pin"
    own.write_text(SKIPPED)
    before = run(tmp_path / "before.json", str(own), "seed/1", "--on", "model:6.2")
    own.write_text(SKIPPED.replace("require P x huge\n", ""))
    out = told(capsys, 0, before, run(tmp_path / "after.json", str(own), "seed/1", "--on", "model:6.2"))
    assert f"not the same test on both sides: {own}" in " ".join(out.split())
    lines = Path(before).read_text().splitlines()
    verdict = json.loads(lines[-2]) | {"verdict": {"kind": "skipped", "reason": "no such page"}}
    skipped = tmp_path / "skipped.json"
    skipped.write_text("\n".join([*lines[:-2], json.dumps(verdict), lines[-1]]))
    assert "skipped in skipped.json alone: seed/1: no such page" in told(capsys, 4, str(skipped), before)


def test_run_files_can_be_made_one_and_stay_what_they_were(
    runs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """report --format json: a run file of all that several have, which compares alike."""
    assert main(["report", runs["both"], runs["new"], "--format", "json"]) == 0
    whole = tmp_path / "whole.json"
    whole.write_text(capsys.readouterr().out)
    assert told(capsys, 0, runs["both"], str(whole)).count("are alike") == 2
    assert main(["report", runs["new"], "--format", "json"]) == 0
    assert capsys.readouterr().out == Path(runs["new"]).read_text()


def test_what_is_neither_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of something else, a TAP of something else; --touches, for which tests are run."""
    assert main(["compare", __file__, "model:6.2"]) == 3
    assert "no target, no run file" in capsys.readouterr().err
    other = tmp_path / "other.tap"
    other.write_text("TAP version 13\n1..1\nok 1 something else\n")
    assert main(["compare", str(other), "model:6.2"]) == 4
    assert "no test that pinhold's suites have" in capsys.readouterr().err
    assert main(["compare", str(OLD), "model:6.2", "--touches", "do_wp_page"]) == 3


def test_a_file_that_is_not_there_is_no_unknown_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By what its name looks like; with a name of its own, too; a directory is told as one."""
    for side in ("nosuch.json", "nosuch.tap", str(tmp_path / "run"), f"mine={tmp_path / 'run'}"):
        assert main(["compare", str(OLD), side]) == 3
        err = capsys.readouterr().err
        assert f"there is no file {side.removeprefix('mine=')}: " in err and "model:5.10" not in err
    assert main(["compare", str(tmp_path), "model:6.2"]) == 3
    assert f"{tmp_path} is a directory" in capsys.readouterr().err
    assert main(["compare", "modl:6.1", "model:6.2"]) == 3
    assert "unknown target" in capsys.readouterr().err


def test_a_run_that_was_cut_off_is_not_alike(
    runs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However much of it is: what it did not come to nobody has compared."""
    lines = Path(runs["new"]).read_text().splitlines(keepends=True)
    last = next(at for at, line in enumerate(lines) if '"seed/152"' in line)
    cut = tmp_path / "cut.json"
    cut.write_text("".join(lines[:last]))
    out = told(capsys, 2, str(cut), "model:6.12")
    assert "cut.json: the run was cut off: what it did not come to is not compared\n" in out
    assert "are alike in all 2 verdicts" in out and out.endswith("Not all was compared: see above.\n")
    assert "cannot be tested: cut.json" in told(capsys, 125, "--bisect", str(cut), "model:6.12")


# What the selftest prints


@pytest.mark.parametrize(
    ("path", "alone", "kinds"),
    [(OLD, 4, {"held": 133, "violated": 14}), (NEW, 12 * 6 + 4, {"held": 43, "violated": 4, "skipped": 100})],
)
def test_every_test_of_the_selftest_is_one_of_the_suites_or_told_as_its_own(
    path: Path, alone: int, kinds: dict[str, int]
) -> None:
    """Both forms of names: all but THPs of other sizes, and what MADV_COLLAPSE does."""
    lines = path.read_text().splitlines()
    found = selftest(lines, "cow.tap")
    planned = sum(line.startswith(("ok ", "not ok ")) for line in lines)
    assert len(found.run.results) + len(found.alone) == planned
    assert len(found.alone) == alone
    assert {result.name.partition("/")[0] for result in found.run.results} == {"seed"}
    assert all("collapsing" in name or "(64 kB)" in name for name in found.alone)
    assert Counter(result.verdict.kind for result in found.run.results) == kinds  # XFAIL, as the seed has it


def test_both_forms_name_the_same_tests() -> None:
    """A distribution's old kernels and its new ones are compared test by test."""
    old, new = (
        {result.name for result in selftest(path.read_text().splitlines(), "t").run.results} for path in (OLD, NEW)
    )
    assert new == old
    assert {f"seed/{test.number}" for test in suite("seed").tests} - old == {
        f"seed/{test.number}" for test in suite("seed").tests if "1048576 kB" in test.scenario.title
    }


def test_every_title_of_the_suites_is_found_again() -> None:
    """In the first suite that has it; a THP with its size, too."""
    for chosen in SUITES:
        for test in suite(chosen).tests:
            found = known_as(test.scenario.title)
            assert found is not None and found[1].scenario.title == test.scenario.title
            if test.scenario.title.endswith("THP"):
                assert known_as(f"{test.scenario.title} (2048 kB)") == found
                assert known_as(f"{test.scenario.title} (64 kB)") is None


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        (["# [RUN] t", "ok 1 No leak"], Verdict("held")),
        (
            ["# [RUN] t", "not ok 1 Leak from parent into child"],
            Verdict("violated", reason="Leak from parent into child"),
        ),
        (["# [RUN] t", "ok 1 # SKIP no swap"], Verdict("skipped", reason="no swap")),
        (["# [RUN] t", "ok 1 # XFAIL Leak"], Verdict("xfail", reason="Leak")),
        (["# [RUN] t", "ok 1 t"], Verdict("held")),
        (["# [RUN] t", "# Leak", "not ok 1 t"], Verdict("violated", reason="Leak")),
        (["# [RUN] t", "# no swap", "ok 1 # SKIP t"], Verdict("skipped", reason="no swap")),
        (["# [RUN] t", "# Leak", "ok 1 # XFAIL t"], Verdict("xfail", reason="Leak")),
        (["# # [RUN] t", "# not ok 1 t"], Verdict("violated")),
        (["# why", "ok 1 t # SKIP"], Verdict("skipped", reason="why")),
        (["not ok 1 t # TIMEOUT"], Verdict("livelock")),
        (["not ok 1 t # ERROR crashed\r"], Verdict("error", reason="crashed")),
    ],
)
def test_each_kind_of_line_is_read(lines: list[str], verdict: Verdict) -> None:
    """Of both forms, of run_kselftest.sh, of pinhold's own KTAP, and with a serial line's ends."""
    (told_,) = results(lines)
    assert (told_.name, told_.verdict) == ("t", verdict)


def test_a_document_is_known_by_its_first_line_wherever_that_is() -> None:
    """Behind what a kernel says at boot, or indented by a runner."""
    assert is_tap(["TAP version 13"]) and is_tap(["booting", "# KTAP version 1"])
    assert is_tap([*["[    0.000000] Linux version 6.12"] * 1000, "[   12.345678] TAP version 13"])
    assert not is_tap(["{}"]) and not is_tap([]) and not is_tap(["x" * 10_000 + "TAP version 13"])


def test_other_sizes_are_told_in_one_line() -> None:
    """Of each kind of memory, with how many tests there are."""
    names = [f"{case} ... with PTE-mapped THP ({kib} kB)" for case in ("a", "b") for kib in (64, 16)]
    assert list(grouped([*names, "c ... with base page", "d"])) == [
        "PTE-mapped THP of 16, 64 kB: 4 tests",
        "base page: 1 test",
        "d",
    ]


@pytest.mark.parametrize(("path", "model", "verdicts"), [(OLD, "model:6.1", 147), (NEW, "model:7.3", 47)])
def test_the_specification_agrees_with_the_selftest(
    path: Path, model: str, verdicts: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Test by test, the ten of the patch that are not ok on 6.1 too; and what each asks that the other does not.

    What the kernel without swap skipped is not alike, and not different.
    """
    out = told(capsys, 2 if path is NEW else 0, str(path), model)
    assert ("100 tests were skipped by one side alone: see above.\n" in out) == (path is NEW)
    assert f"{path.name} and {model} are alike in all {verdicts} verdicts that both have." in out
    assert f"not asked here, but in {path.name}: " in out
    assert f"not asked in {path.name}, but in stock: " in out
    assert ("  PTE-mapped THP of 64 kB: 12 tests\n" in out) == (path is NEW)
    assert "  memfd hugetlb of 1048576 kB: 3 tests\n" in out


# One that ended early, and one on a console


def cut_off(path: Path, results_: int, *more: str) -> str:
    """Writes as many results of the old selftest there, and more lines."""
    lines = OLD.read_text().splitlines()
    last = [at for at, line in enumerate(lines) if line.startswith(("ok", "not ok"))][results_ - 1]
    path.write_text("\n".join([*lines[: last + 1], *more]) + "\n")
    return str(path)


def test_a_selftest_that_ended_early_is_not_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All that it has may be right: the tests that it planned and did not come to are not."""
    cut = cut_off(tmp_path / "cut.tap", 21)
    out = told(capsys, 2, cut, "model:6.1", "seed/1-4")
    assert "cut.tap: planned 151 tests, 21 results: it ended early\n" in out
    assert "no result in cut.tap, but in seed: 141 tests\n" in out and "not asked in cut.tap" not in out
    assert "are alike in all 4 verdicts that both have. Not all was compared: see above.\n" in out
    assert told(capsys, 125, cut, "model:6.1", "seed/1", "--bisect").endswith("151 tests, 21 results: it ended early\n")
    assert main(["compare", cut, runs_of(tmp_path)]) == 4
    assert "is in both cut.tap and model:6.2; cut.tap: planned 151 tests, 21" in capsys.readouterr().err


def runs_of(folder: Path) -> str:
    """A run file of a test that the first results are not of."""
    return run(folder / "late.json", "seed/151", "--on", "model:6.2")


def test_a_difference_stays_one_where_a_selftest_ended_early(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1, and both are told."""
    cut = cut_off(tmp_path / "cut.tap", 150)
    out = told(capsys, 1, cut, "model:6.2", "seed/1", "seed/151-152")
    assert "planned 151 tests, 150 results: it ended early" in out and "differ in 2 tests" in out


@pytest.mark.parametrize(
    ("lines", "early"),
    [
        (["1..1", "ok 1 {}"], None),
        (["ok 1 {}", "1..1"], None),
        (["1..2", "ok 1 {}"], "planned 2 tests, 1 result: it ended early"),
        (["1..3", "ok 1 {}", "ok 3 x"], "planned 3 tests, 2 results: some are missing"),
        (
            ["1..2", "ok 1 {}", "Bail out! Out of memory"],
            "planned 2 tests, 1 result: it ended early (Bail out! Out of m",
        ),
        (["1..1", "ok 1 {}", "Bail out! 1 out of 1 tests failed"], None),
        (["ok 1 {}", "Bail out!"], "it ended early (Bail out!)"),
        (
            ["1..1", "# TAP version 13", "# 1..2", "# ok 1 {}", "not ok 1 selftests: mm: cow # exit=1"],
            "planned 2",
        ),
        (["1..5", "KTAP version 1", "1..1", "ok 1 {}"], None),
        (["1..2", "ok 1 {}", "TAP version 13", "1..2", "ok 1 {}", "ok 2 x"], None),
        (["1..2", "  KTAP version 1", "  1..1", "  ok 1 {}", "ok 1 suite"], None),
    ],
)
def test_the_plan_says_whether_results_are_missing(lines: list[str], early: str | None) -> None:
    """Of the document in which pinhold's tests stand, wherever that is; of a selftest that was run again the last."""
    name = suite("seed").test(1).scenario.title
    found = selftest(["TAP version 13", *(line.format(name) for line in lines)], "t")
    assert len(found.run.results) == 1
    assert (found.early or "").startswith(early or "") and bool(found.early) == bool(early)


@pytest.mark.parametrize(
    "before",
    [
        "[   12.345678] ",
        "[   12.345678][  T123] ",
        "<6>[   12.345678] cow[312]: ",
        "2026-12-01T10:00:00.123456 ",
        "Dec  1 10:00:00 board kernel: [   12.345678] ",
        "\x1b[0m[   12.345678] run-cow.sh: ",
        "",
    ],
)
def test_a_selftest_on_a_console_is_read(before: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Behind a boot that is longer than any head, with what the console puts before each line."""
    boot = [f"{before or '[    1.000000] '}pci 0000:00:{n:02x}.0: [1af4:1000] type 00" for n in range(400)]
    log = tmp_path / "console.log"
    log.write_text("\r\n".join([*boot, *(before + line for line in OLD.read_text().splitlines())]))
    out = told(capsys, 0, str(log), "model:6.1", "seed/1-3", "seed/151")
    assert "alike in all 4 verdicts" in out and "ended early" not in out
    found = selftest(log.read_text().splitlines(), "t")
    assert len(found.run.results) == 147 and len(found.alone) == 4


@pytest.mark.parametrize("line", ["# [RUN] a: b ... with base page", "ok 1 a: b", "# kernel: no", "not ok 2 [x] y", ""])
def test_a_line_without_a_console_stays_what_it_is(line: str) -> None:
    """A name with a colon is no console's."""
    assert bare(line) == line and bare(f"[    1.5] {line}") == line
