"""Rules of GUP: which requests it takes, which entries it follows, and when it breaks COW first."""

from __future__ import annotations

from pinhold.mm.rules.switch import OLDEST, Commit, Switch, Value


class GupRules:
    """Fields of the state."""

    rule_gup_unshares = Switch(
        "For which pages a read-only pin breaks COW first.",
        "gup_must_unshare",
        Value("none", OLDEST, "no read-only pin breaks COW"),
        Value(
            "anon",
            Commit("a7f226604170", "5.19"),
            "an anonymous page that may be shared is unshared before a read-only pin",
        ),
        Value(
            "cow_longterm",
            Commit("84209e87c696", "6.2"),
            "all that a COW mapping maps but exclusive anonymous pages is unshared before a read-only long-term pin",
        ),
    )
    rule_gup_args = Switch(
        "Which callers' flags GUP refuses.",
        "is_valid_gup_args",
        Value("per_entry_point", OLDEST, "each entry point has its own checks, and the fast ones refuse FOLL_NOFAULT"),
        Value(
            "per_entry_point_nofault",
            Commit("55b8fe703bc5", "5.16"),
            "each entry point has its own checks, and the fast ones take FOLL_NOFAULT",
        ),
        Value(
            "is_valid_gup_args",
            Commit("d64e2dbc33a1", "6.3"),
            "one check for all entry points: no internal flags, no FOLL_LONGTERM without FOLL_PIN",
        ),
    )
    rule_longterm_dirty_tracked = Switch(
        "What comes of a writable long-term pin of a shared mapping of a file system that tracks dirtying.",
        "check_vma_flags",
        Value("allowed", OLDEST, "the page is pinned like any other"),
        Value(
            "refused",
            Commit("8ac268436e6d", "6.5"),
            "a writable long-term pin of a file that tracks dirtying is refused",
        ),
    )
    rule_foll_force = Switch(
        "How a forced write knows that COW was broken: where it does not, it was Dirty COW (CVE-2016-5195).",
        "can_follow_write_pte",
        Value(
            "drops_write",
            OLDEST,
            "a fault has broken COW: from here on the forced write looks for its page as a read does",
            "faultin_page",
        ),
        Value("foll_cow", Commit("19be0eaffa3a", "4.9"), "by FOLL_COW, after such a fault, and a dirty entry"),
        Value("exclusive", Commit("5535be309971", "6.0"), "by the page, which is anonymous and exclusive"),
    )
    rule_gup_protnone = Switch(
        "What GUP does at an entry that is inaccessible in an accessible mapping.",
        "gup_can_follow_protnone",
        Value("faults", OLDEST, "the page is faulted in first, if the request does not force"),
        Value(
            "follows",
            Commit("d74943a2f3cd", "6.5"),
            "the entry is followed, if the request does not ask to honor hinting faults",
        ),
    )
    rule_touch_pmd = Switch(
        "For which requests GUP marks the huge entry dirty that it follows: for any, it was Huge Dirty COW"
        " (CVE-2017-1000405).",
        "touch_pmd",
        Value(
            "any",
            OLDEST,
            "following the huge entry marks it dirty, though nobody writes",
        ),
        Value("writes", Commit("a8f97366452e", "4.15"), "only a write marks the huge entry dirty"),
    )
    rule_pin_touches = Switch(
        "Which pins have the slow path mark what it follows as accessed and, for a write, dirty (FOLL_TOUCH).",
        "__gup_longterm_locked",
        Value("all", OLDEST, "all, as whoever asks for references"),
        Value(
            "not_longterm_fast",
            Commit("eddb1c228f79", "5.6"),
            "neither those of pin_user_pages() nor long-term ones that GUP-fast leaves to the slow path",
        ),
        Value("fast", Commit("b2a72dff85fa", "6.3"), "all but those of pin_user_pages()"),
    )
    rule_write_protect_seq = Switch(
        "Whether GUP-fast lets its pins go again when fork() write-protected meanwhile.",
        "gup_fast",
        Value("no", OLDEST, "the pins stand, whatever fork() did meanwhile"),
        Value(
            "yes",
            Commit("57efa1fe5957", "5.11"),
            "fork write-protected meanwhile: nothing pinned in the fast path counts",
        ),
    )
    rule_huge_zero_special = Switch(
        "Whether PMD mappings of the huge zero folio are special.",
        "gup_fast_pmd_leaf",
        Value("no", OLDEST, "the fast path pins the huge zero folio"),
        Value("yes", Commit("d82d09e48219", "6.18"), "the entry is special: the fast path leaves it to the slow one"),
    )


UNSHARE_NONE, UNSHARE_ANON, UNSHARE_COW_LONGTERM = GupRules.rule_gup_unshares.numbers
ARGS_PER_ENTRY_POINT, ARGS_PER_ENTRY_POINT_NOFAULT, ARGS_IS_VALID_GUP_ARGS = GupRules.rule_gup_args.numbers
DIRTY_TRACKED_ALLOWED, DIRTY_TRACKED_REFUSED = GupRules.rule_longterm_dirty_tracked.numbers
FORCE_DROPS_WRITE, FORCE_BY_FOLL_COW, FORCE_BY_EXCLUSIVE = GupRules.rule_foll_force.numbers
PROTNONE_FAULTS, PROTNONE_FOLLOWS = GupRules.rule_gup_protnone.numbers
TOUCH_PMD_ANY, TOUCH_PMD_WRITES = GupRules.rule_touch_pmd.numbers
PIN_TOUCHES_ALL, PIN_TOUCHES_NOT_LONGTERM_FAST, PIN_TOUCHES_FAST = GupRules.rule_pin_touches.numbers
