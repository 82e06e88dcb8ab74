"""Rules of hugetlb: writes, pools and reserves, and what may be done to a mapping."""

from __future__ import annotations

from pinhold.mm.rules.switch import NEVER, OLDEST, Commit, NoCommit, Switch, Value


class HugetlbRules:
    """Fields of the state."""

    rule_hugetlb_force_write = Switch(
        "What comes of a forced write to a hugetlb mapping without VM_WRITE.",
        "check_vma_flags",
        Value("unchecked", OLDEST, "it goes through and leaves the entry writable", "hugetlb_wp"),
        Value("refused", Commit("1d8d14641fd9", "6.0"), "a forced write to hugetlb is refused", "hugetlb_wp"),
        Value(
            "supported",
            Commit("052ccfbcc6cd", "6.14"),
            "it goes through and leaves the entry read-only",
            "hugetlb_wp",
        ),
    )
    rule_hugetlb_touch = Switch(
        "Whether GUP marks the huge entry of hugetlb dirty that it follows for a write.",
        "follow_huge_pmd",
        Value("no", OLDEST, "the entry stays as it is: hugetlb has a walk of its own"),
        Value("yes", Commit("9cb28da54643", "6.10"), "a PMD is marked as that of a THP is, a PUD is not"),
    )
    rule_hugetlb_wp_reuse = Switch(
        "What a write to a read-only hugetlb page that is not exclusive judges reuse by.",
        "hugetlb_wp",
        Value(
            "mapcount",
            OLDEST,
            "nobody else maps the huge page, so it is used as it is, whoever else holds it",
        ),
        Value(
            "references",
            NoCommit("no release does so: an owner could run out of huge pages", NEVER),
            "nothing else holds the huge page, so it is used as it is",
        ),
    )
    rule_hugetlb_unmap_address = Switch(
        "Where an owner that finds no huge page to copy to takes its page from the other private mappings of the file.",
        "unmap_ref_private",
        Value(
            "owner",
            OLDEST,
            "at its own address in each, so that one that mremap() has moved keeps the page, and the owner tries for"
            " ever",
        ),
        Value(
            "each_mapping",
            NoCommit("'mm/hugetlb: unmap the page where the other VMA maps it': its hash was not at hand", "7.3.4"),
            "where each of them maps it",
        ),
    )
    rule_hugetlb_restores_reserve = Switch(
        "Whether an owner that gives up its private huge page gets the page's reserve back.",
        "__unmap_hugepage_range",
        Value("no", OLDEST, "it does not"),
        Value(
            "each_unmap",
            Commit("df7a6d1f6405", "6.9"),
            "the owner has its reserve back while a child still maps the page: it may take a page that others reserved",
        ),
        Value(
            "last_unmap",
            NoCommit(
                "'hugetlb: only adjust reservation during unmapping if mapcount is 0' (CVE-2026-89593): its hash was"
                " not at hand",
                "7.3",
            ),
            "it does at the last unmapping",
        ),
    )
    rule_hugetlb_cache_refs = Switch(
        "How many references the page cache holds on a huge page of a file.",
        "__filemap_add_folio",
        Value("one", OLDEST, "one, as on a small page"),
        Value("each_page", Commit("a08c7193e4f1", "6.7"), "one for each base page of it, as on any large folio"),
    )
    rule_mremap_hugetlb = Switch(
        "Whether mremap() moves hugetlb mappings.",
        "vma_to_resize",
        Value("no", OLDEST, "it refuses (EINVAL)"),
        Value("yes", Commit("550a7d60bd5e", "5.16"), "it moves them"),
    )
    rule_madv_dontneed_hugetlb = Switch(
        "Whether MADV_DONTNEED discards hugetlb pages.",
        "madvise_dontneed_free",
        Value("no", OLDEST, "it refuses (EINVAL)"),
        Value("yes", Commit("90e7e7f5ef3f", "5.18"), "it discards them"),
    )
    rule_dofork_hugetlb = Switch(
        "Whether MADV_DOFORK undoes MADV_DONTFORK for hugetlb.",
        "madvise_vma_behavior",
        Value("allowed", OLDEST, "fork() copies the mapping again"),
        Value(
            "refused",
            NoCommit("not yet in 6.18, and in 7.2: what lies between has not been read", "7.2"),
            "hugetlb memory is special, so MADV_DOFORK is refused and fork() goes on leaving it out",
        ),
    )


HUGETLB_WRITE_UNCHECKED, HUGETLB_WRITE_REFUSED, HUGETLB_WRITE_SUPPORTED = HugetlbRules.rule_hugetlb_force_write.numbers
HUGETLB_BY_MAPCOUNT, HUGETLB_BY_REFERENCES = HugetlbRules.rule_hugetlb_wp_reuse.numbers
UNMAP_AT_OWNER, UNMAP_AT_EACH_MAPPING = HugetlbRules.rule_hugetlb_unmap_address.numbers
RESTORES_NO, RESTORES_AT_EACH_UNMAP, RESTORES_AT_LAST_UNMAP = HugetlbRules.rule_hugetlb_restores_reserve.numbers
CACHE_HOLDS_ONE, CACHE_HOLDS_EACH_PAGE = HugetlbRules.rule_hugetlb_cache_refs.numbers
DOFORK_ALLOWED, DOFORK_REFUSED = HugetlbRules.rule_dofork_hugetlb.numbers
