"""The table for a reader."""

from collections.abc import Iterable

from fakes import case_result, target_run
from pinhold.report.results import number_ranges, tally
from pinhold.report.table import WIDTH, Notes, table
from pinhold.scenario.verdict import Verdict

HELD = Verdict("held")


def squeezed(lines: Iterable[str]) -> list[str]:
    """The lines without their layout."""
    return [" ".join(line.split()) for line in lines]


def test_tests_of_a_case_with_equal_verdicts_share_a_row() -> None:
    """A row joins the kinds of memory of one case whose verdicts are equal on every target, neighbours or not."""
    old = target_run(
        "model:6.1",
        case_result(1, "R/O pin ... with base page", HELD),
        case_result(2, "R/O pin ... with THP", HELD),
        case_result(3, "R/O pin ... with memfd", Verdict("violated")),
        case_result(4, "R/O pin ... with tmpfile", HELD),
        case_result(5, "Basic COW ... with memfd", HELD),
    )
    new = target_run("model:6.2", *[case_result(r.number, r.title, HELD) for r in old.results])
    assert squeezed(table([old, new])) == [
        "model:6.1 model:6.2",
        "1-4 R/O pin",
        "base page; THP; tmpfile held held",
        "memfd VIOLATED held",
        "5 Basic COW",
        "memfd held held",
    ]


def test_cases_that_came_out_alike_share_a_block() -> None:
    """The same rows are printed once, under the names of all neighbouring cases that they are true of."""
    results = [case_result(n, f"case {n} ... with memfd", HELD if n < 3 else Verdict("violated")) for n in (1, 2, 3)]
    assert squeezed(table([target_run("model:6.2", *results)])) == [
        "model:6.2",
        "1 case 1",
        "2 case 2",
        "memfd held",
        "3 case 3",
        "memfd VIOLATED",
    ]


def test_a_reason_is_told_once_with_the_numbers_of_its_tests() -> None:
    """Equal reasons share a letter and a note below the table."""
    skipped = [case_result(n, f"c ... with m{n}", Verdict("skipped", reason="no swap here")) for n in (1, 2, 5)]
    lines = list(table([target_run("live", *skipped)]))
    assert lines[-1] == " a  no swap here (3 tests)"
    assert sum("skipped a" in line for line in lines) == 1


def test_a_verdict_names_the_mechanism_that_made_the_pin() -> None:
    """What a real kernel was tested with stands beside its verdict, and its release below its name."""
    lines = list(table([target_run("live", case_result(1, "c ... with m", HELD, pin="vmsplice"))]))
    assert "held by vmsplice" in lines[-1]
    assert lines[1].split() == ["Linux", "6.2"]


def test_quoted_tests_stand_in_the_selftests_words() -> None:
    """A quoted test appears once more, as ok, not ok or skip."""
    run = target_run(
        "model:6.1",
        case_result(1, "c ... with m", HELD, "It is reliable"),
        case_result(2, "c ... with n", Verdict("violated"), "It is reliable"),
    )
    assert squeezed(table([run], {2}))[-2:] == ["As the selftest says it: It is reliable", "2 c ... with n not ok"]


def test_a_title_without_a_kind_of_memory_is_a_row_of_its_own() -> None:
    """A file of the user's needs no " ... with " in its title."""
    assert squeezed(table([target_run("model:6.2", case_result(1, "mine", HELD))])) == ["model:6.2", "1 mine held"]


def test_long_names_stay_within_the_width() -> None:
    """Names wrap, so a row of many kinds of memory does not run out of the terminal."""
    results = [case_result(n, f"case ... with memory of the kind number {n}", HELD) for n in range(1, 40)]
    results += [case_result(n, "case ... with m", Verdict("violated")) for n in range(100, 150, 2)]
    assert max(map(len, table([target_run("model:6.1", *results)]))) <= WIDTH


def test_notes_go_on_after_z() -> None:
    """The letters are distinct, however many reasons there are."""
    notes = Notes()
    letters = [notes.letter(f"reason {n}", n) for n in range(60)]
    assert letters[0] == "a"
    assert letters[25:28] == ["z", "aa", "ab"]
    assert len(set(letters)) == 60


def test_number_ranges_and_tally() -> None:
    """Runs of numbers are joined, and verdicts counted in a fixed order."""
    assert number_ranges([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"
    results = [case_result(1, "t", Verdict("skipped")), case_result(2, "t", HELD)]
    assert tally(results) == "1 held, 1 skipped"
    assert tally([]) == "nothing ran"
