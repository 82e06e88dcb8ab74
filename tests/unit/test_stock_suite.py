"""The suite `stock`: its tests, their names, and what they state."""

from __future__ import annotations

from collections import Counter

from pinhold.scenario.parse import parse
from pinhold.scenario.printer import format_scenario
from pinhold.scenario.steps import Expectation, ExpectErrno, Pin
from pinhold.scenario.suites import suite
from pinhold.scenario.suites.stock import scenarios

STOCK = suite("stock").tests
SEED_TITLES = {test.scenario.title for test in suite("seed").tests}


def test_numbers_titles_and_texts() -> None:
    """Tests are numbered from 1, no title is there twice, and each names a kind of memory."""
    assert [test.number for test in STOCK] == list(range(1, len(STOCK) + 1))
    assert Counter(test.scenario.title for test in STOCK).most_common(1)[0][1] == 1
    assert all(" ... with " in test.scenario.title for test in STOCK)


def test_the_selftests_cases_have_the_selftests_names() -> None:
    """Its COW and vmsplice cases are those of the seed, to the letter, on all its memory but 1 GiB pages."""
    ours = {test.scenario.title for test in STOCK}
    theirs = {t for t in SEED_TITLES if "GUP" not in t and "1048576" not in t}
    assert theirs <= ours
    for case in ("R/O-mapping a page registered as iouring fixed buffer", "fork() with an iouring fixed buffer"):
        assert f"{case} ... with base page" in ours


def test_every_scenario_round_trips_as_text() -> None:
    """What `pinhold show` prints is the test."""
    assert all(parse(format_scenario(test.scenario)) == test.scenario for test in STOCK)


def test_every_scenario_states_a_property() -> None:
    """Its result text is that of an expectation, and none expects an errno or a pin that only gup_test gives."""
    for test in STOCK:
        steps = test.scenario.steps
        assert test.result_text in {step.text for step in steps if isinstance(step, Expectation)}, test.scenario.title
        assert not any(isinstance(step, ExpectErrno | Pin) for step in steps)


def test_only_the_known_leak_is_xfail() -> None:
    """vmsplice() of hugetlb memory, as in present-day selftests, and nothing else."""
    known = [test.scenario.title for test in STOCK if test.scenario.xfail]
    assert len(known) == 4
    assert all(title.startswith("vmsplice()") and title.endswith("hugetlb (2048 kB)") for title in known)


def test_all_kinds_of_memory_are_there() -> None:
    """Base, swapped, huge, PTE-mapped and partial huge pages, hugetlb; private and shared files and zero pages."""
    kinds = {test.scenario.title.partition(" ... with ")[2] for test in STOCK}
    private = {"shared zeropage", "memfd", "tmpfile", "file", "huge zeropage", "memfd hugetlb (2048 kB)"}
    shared = {"shared memfd", "shared tmpfile", "shared file", "shared memfd hugetlb (2048 kB)"}
    assert len(kinds) == 11 + 6 + 4
    assert private | shared <= kinds


def test_a_tiny_geometry() -> None:
    """The same suite on a machine with other huge page sizes has the same tests."""
    assert [t.scenario.title for t in scenarios(4, 16)] == [t.scenario.title for t in STOCK]
