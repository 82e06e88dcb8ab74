"""Rules of NUMA balancing."""

from __future__ import annotations

from pinhold.mm.rules.switch import OLDEST, Commit, Switch, Value


class NumaRules:
    """Fields of the state."""

    rule_numa_skips = Switch(
        "Which pages NUMA balancing's scan leaves accessible.",
        "folio_can_map_prot_numa",
        Value("mapped_twice", OLDEST, "in COW mappings those that are mapped more than once"),
        Value("referenced", Commit("80d47f5de5e3", "5.17"), "in COW mappings those with more than one reference"),
        Value(
            "shared_or_pinned",
            Commit("d2136d749d76", "6.10"),
            "in COW mappings those that are shared or may be pinned",
        ),
        Value("any_pinned", Commit("f66e2727ddfc", "6.19"), "pinned ones of any mapping, and THPs, too"),
    )
    rule_numa_write = Switch(
        "How a hinting fault knows that the entry was writable.",
        "do_numa_page",
        Value("saved", OLDEST, "the inaccessible entry has kept its write bit"),
        Value("judged", Commit("6a56ccbcf6c6", "6.2"), "it is judged as mprotect() judges"),
    )
    rule_numa_huge_fails = Switch(
        "What a hinting fault makes of the entry of a THP that cannot be moved because something else, such as a pin,"
        " holds it.",
        "do_huge_pmd_numa_page",
        Value(
            "read_only",
            OLDEST,
            "something else holds the THP, so it cannot move: its entry stays read-only",
            "migrate_misplaced_transhuge_page",
        ),
        Value("as_it_was", Commit("c5b5a3dd2c1f", "5.14"), "the entry becomes what it was"),
    )


NUMA_SKIPS_MAPPED_TWICE, NUMA_SKIPS_REFERENCED, NUMA_SKIPS_SHARED_OR_PINNED, NUMA_SKIPS_ANY_PINNED = (
    NumaRules.rule_numa_skips.numbers
)
NUMA_WRITE_SAVED, NUMA_WRITE_JUDGED = NumaRules.rule_numa_write.numbers
NUMA_HUGE_READ_ONLY, NUMA_HUGE_AS_IT_WAS = NumaRules.rule_numa_huge_fails.numbers
