"""Rules of mappings: mremap(), mprotect(), merging, populating, clearing soft-dirty, UFFDIO_CONTINUE."""

from __future__ import annotations

from pinhold.mm.rules.switch import OLDEST, Commit, NoCommit, Switch, Value


class VmaRules:
    """Fields of the state."""

    rule_mremap_several_vmas = Switch(
        "Whether mremap() moves a range of several VMAs in one go.",
        "remap_move",
        Value("no", OLDEST, "it refuses (EFAULT)"),
        Value("yes", Commit("d23cb648e365", "6.17"), "it moves them"),
    )
    rule_mremap_realigns = Switch(
        "Whether mremap() moves the whole page table that a mapping begins within, where nothing is mapped before it.",
        "try_realign_addr",
        Value("no", OLDEST, "the entries up to the next page table are moved one by one, and become soft-dirty"),
        Value("yes", Commit("af8ca1c14906", "6.7"), "the page table is moved as it is"),
    )
    rule_mprotect_upgrade = Switch(
        "Which private pages mprotect() maps writable without a fault.",
        "can_change_pte_writable",
        Value("none", OLDEST, "none"),
        Value("exclusive_dirty", Commit("64fe24a3e05e", "6.0"), "exclusive, dirty ones mapped by PTEs"),
        Value("exclusive", Commit("d84887739d5c", "6.2"), "exclusive ones, THPs (c27f479ef542), too"),
    )
    rule_mprotect_batch = Switch(
        "How many PTEs of a large folio mprotect() changes at once.",
        "change_pte_range",
        Value("single", OLDEST, "each by itself"),
        Value(
            "rows",
            Commit("cac1db8c3aad", "6.17"),
            "those in a row that are equally writable and soft-dirty: all are dirty from here on if one was, and if it"
            " was one behind the first, soft-dirty, and so perhaps writable at once",
        ),
    )
    rule_mprotect_unaccounts = Switch(
        "Whether private memory without pages of its own that becomes read-only is accounted no more.",
        "mprotect_fixup",
        Value("no", OLDEST, "it stays accounted, like a part that has pages"),
        Value(
            "yes",
            Commit("9b9143298585", "6.7"),
            "it is not, so that it is no longer like a part that has pages and is read-only, too",
        ),
    )
    rule_vma_merges_anon = Switch(
        "Which VMAs that come to be alike become one where one of the two has no anonymous pages yet.",
        "is_mergeable_anon_vma",
        Value("neighbour_has", OLDEST, "those where the one that changed has none"),
        Value(
            "either_has",
            Commit("879bca0a2c4f", "6.16"),
            "whichever has none, if fork() did not make the other",
        ),
    )
    rule_madv_populate = Switch(
        "How far MADV_POPULATE_READ and MADV_POPULATE_WRITE fault pages in, where they exist.",
        "madvise_populate",
        Value("absent", OLDEST, "there is no such advice (EINVAL)"),
        Value(
            "each_vma",
            Commit("4ca9b3859dac", "5.14"),
            "they go by VMAs: holes are passed over, and told at the end (ENOMEM)",
        ),
        Value("to_a_hole", Commit("fa9fcd8bb6e4", "6.10"), "they end at the first hole (ENOMEM)"),
    )
    rule_dontneed_frees_tables = Switch(
        "Whether MADV_DONTNEED of all that a page table of base pages maps frees the table as well, so that a THP fits"
        " there again: where the kernel is configured so (CONFIG_PT_RECLAIM).",
        "zap_pte_range",
        Value("no", OLDEST, "the page table stays"),
        Value("yes", Commit("6375e95f381e", "6.14"), "nothing is left in the page table, so it goes, too"),
    )
    rule_zap_drains = Switch(
        "Whether munmap(), MADV_DONTNEED and the end of a process drain the CPU's LRU batch before they take pages.",
        "exit_mmap",
        Value("yes", OLDEST, "they do, so that a page which waits there has one reference less from then on"),
        Value(
            "no",
            NoCommit("'mm: remove unnecessary calls to lru_add_drain': its hash was not at hand", "6.14"),
            "they do not, so that a page which waits there is copied by a write that could have used it",
        ),
    )
    rule_soft_dirty_skips_pinned = Switch(
        "Whether clearing soft-dirty leaves pages writable that may be pinned.",
        "clear_soft_dirty",
        Value("no", OLDEST, "a pinned page is write-protected like any other"),
        Value("yes", Commit("9348b73c2e1b", "5.11"), "the page may be pinned, so it stays writable"),
    )
    rule_read_fault_dirty = Switch(
        "Whether a read fault maps a dirty page of a file dirty that the mapping can write to without another fault.",
        "set_pte_range",
        Value("no", OLDEST, "it is clean, until the processor writes"),
        Value(
            "yes",
            Commit("4e92030c05dc", "6.16"),
            "it is dirty at once, and soft-dirty where the kernel tracks it: so is all of shmem that is mapped shared",
        ),
    )
    rule_uffd_continue = Switch(
        "How UFFDIO_CONTINUE maps a page of shmem.",
        "mfill_atomic_install_pte",
        Value("absent", OLDEST, "it does not (EINVAL)"),
        Value("dirty_if_writable", Commit("153132571f02", "5.14"), "dirty if the mapping is shared and writable"),
        Value(
            "dirty",
            Commit("9ae0f87d009c", "5.16"),
            "always dirty, so that a forced write that goes by FOLL_COW takes it for a private copy (CVE-2022-2590)",
        ),
    )
    rule_uffd_prepares_first = Switch(
        "Whether UFFDIO_CONTINUE gives a private mapping its anon_vma before it looks whether the range is within it.",
        "find_vma_and_prepare_anon",
        Value("no", OLDEST, "a range that reaches beyond the mapping leaves it without one"),
        Value(
            "yes",
            Commit("867a43a34ff8", "6.9"),
            "the mapping that the range begins in gets it, whether the call succeeds or not",
        ),
    )


REALIGNS_NO, REALIGNS_YES = VmaRules.rule_mremap_realigns.numbers
UPGRADE_NONE, UPGRADE_EXCLUSIVE_DIRTY, UPGRADE_EXCLUSIVE = VmaRules.rule_mprotect_upgrade.numbers
CHANGES_SINGLE, CHANGES_ROWS = VmaRules.rule_mprotect_batch.numbers
MERGES_IF_NEIGHBOUR_HAS, MERGES_IF_EITHER_HAS = VmaRules.rule_vma_merges_anon.numbers
POPULATE_ABSENT, POPULATE_EACH_VMA, POPULATE_TO_A_HOLE = VmaRules.rule_madv_populate.numbers
ZAP_DRAINS_YES, ZAP_DRAINS_NO = VmaRules.rule_zap_drains.numbers
UFFD_PREPARES_FIRST_NO, UFFD_PREPARES_FIRST_YES = VmaRules.rule_uffd_prepares_first.numbers
UFFD_ABSENT, UFFD_DIRTY_IF_WRITABLE, UFFD_DIRTY = VmaRules.rule_uffd_continue.numbers
