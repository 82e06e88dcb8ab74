"""Rules of MADV_COLLAPSE."""

from __future__ import annotations

from pinhold.mm.rules.switch import OLDEST, Commit, NoCommit, Switch, Value


class CollapseRules:
    """Fields of the state."""

    rule_madv_collapse = Switch(
        "Which memory MADV_COLLAPSE makes into THPs.",
        "__collapse_huge_page_isolate",
        Value("none", OLDEST, "there is no such advice (EINVAL)", function="madvise_behavior_valid"),
        Value(
            "writable",
            Commit("7d8faaf15545", "6.1"),
            "none of the pages is mapped writable, so they stay as they are (EINVAL)",
        ),
        Value(
            "any",
            NoCommit("not in 6.12, and seen of a running 6.18; its hash was not at hand", "6.18"),
            "pages that can be read alone are collapsed as well",
        ),
    )
    rule_madv_collapse_held = Switch(
        "What MADV_COLLAPSE tells its caller of pages that somebody holds.",
        "madvise_collapse_errno",
        Value("einval", OLDEST, "that it cannot be done (EINVAL)"),
        Value("eagain", Commit("ae63c898f400", "6.2"), "that it may try again (EAGAIN)"),
    )
    rule_madv_collapse_gap = Switch(
        "Whether MADV_COLLAPSE goes on behind a PMD that maps nothing.",
        "madvise_collapse",
        Value("stops", OLDEST, "a PMD of the range maps nothing: what comes behind it is not tried"),
        Value(
            "goes_on",
            NoCommit("not in a running 6.18, and in 7.2; its hash was not at hand", "7.2"),
            "what comes behind it is tried all the same",
        ),
    )
    rule_madv_collapse_part = Switch(
        "What MADV_COLLAPSE does where the range is a part of one PMD that touches neither of its ends.",
        "madvise_collapse",
        Value("einval", OLDEST, "there is less than nothing to collapse, which was not done (EINVAL)"),
        Value(
            "nothing",
            NoCommit("not in a running 6.18, and in 7.2; its hash was not at hand", "7.2"),
            "there is nothing to collapse",
        ),
    )


COLLAPSE_NONE, COLLAPSE_WRITABLE, COLLAPSE_ANY = CollapseRules.rule_madv_collapse.numbers
COLLAPSE_HELD_EINVAL, COLLAPSE_HELD_EAGAIN = CollapseRules.rule_madv_collapse_held.numbers
COLLAPSE_GAP_STOPS, COLLAPSE_GAP_GOES_ON = CollapseRules.rule_madv_collapse_gap.numbers
COLLAPSE_PART_EINVAL, COLLAPSE_PART_NOTHING = CollapseRules.rule_madv_collapse_part.numbers
