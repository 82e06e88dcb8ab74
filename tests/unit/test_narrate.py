"""A step in words."""

from dataclasses import replace

from pinhold.report.narrate import outcome_lines, page_words, pin_words
from pinhold.scenario.observation import MIXED, PageView, PinView
from pinhold.scenario.ran import Decision
from pinhold.scenario.steps import Drain
from pinhold.targets.base import Outcome
from pinhold.targets.runner import StepRecord


def test_a_page_is_told_by_what_is_known_of_it() -> None:
    """Unknown fields are left out, and frames keep their symbolic names."""
    full = PageView("P", "x", 3, "present", 1, "anon", True, 2, 0xFF)
    assert page_words(full) == "P x[3] maps f1, anonymous, exclusive, mapped twice, reads 0xff"
    entry = replace(full, level="pmd", writable=True, dirty=False, soft_dirty=True, uffd_wp=False)
    assert page_words(entry).startswith("P x[3] maps f1 by a writable, clean, soft-dirty PMD, anonymous")
    assert page_words(replace(full, writable=False)).startswith("P x[3] maps f1 by a read-only entry, anonymous")
    assert page_words(replace(full, level="pud")).startswith("P x[3] maps f1 by a PUD, anonymous")
    assert page_words(replace(full, kind="hugetlb", anon=False)).startswith("P x[3] maps f1, hugetlb page cache")
    assert page_words(PageView("P", "x", 0, "present", byte=MIXED)) == (
        "P x[0] maps a frame that cannot be seen, reads mixed bytes"
    )
    assert (
        page_words(PageView("P", "x", 0, "present", 0, "zero", False, 0, 0))
        == "P x[0] maps f0, the zero page, reads 0x00"
    )
    assert page_words(PageView("P", "x", 0, "swapped")) == "P x[0] is swapped out"
    assert page_words(PageView("P", "x", 0, "swapped", exclusive=True)) == "P x[0] is swapped out, exclusive"
    assert page_words(PageView("P", "x", 0, "none")) == "P x[0] maps nothing"
    assert page_words(PageView("P", "x", 0)) == "P x[0] cannot be seen"


def test_a_pin_is_told_by_what_it_holds() -> None:
    """The byte is there only where it was read."""
    assert pin_words(PinView("p", 0, 4)) == "p[0] holds f4"
    assert pin_words(PinView("p", 1, 4, 0)) == "p[1] holds f4, sees 0x00"
    whose = PinView("p", 1, 4, 0, "P", "x[:2]", "FOLL_LONGTERM|FOLL_PIN")
    assert pin_words(whose) == "p[1] holds f4 of P x[:2] (FOLL_LONGTERM|FOLL_PIN), sees 0x00"


def test_a_decision_is_told_with_its_rule_value_and_commit() -> None:
    """Errno, note, and each decision in the words of the specification."""
    decision = Decision(
        "gup_must_unshare.yes", "gup_must_unshare", "gup_unshares", "84209e87c696", "break COW first", "cow_longterm"
    )
    record = StepRecord(
        0, Drain(), Outcome(errno=14, note="by gup_test", decisions=(decision,), violated=("the zero page stays zero",))
    )
    assert list(outcome_lines(record)) == [
        "failed with EFAULT (Bad address)",
        "by gup_test",
        "gup_must_unshare: break COW first [rule gup_unshares=cow_longterm, commit 84209e87c696]",
        "VIOLATED: the zero page stays zero",
    ]
