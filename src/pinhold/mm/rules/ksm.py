"""Rules of KSM."""

from __future__ import annotations

from pinhold.mm.rules.switch import OLDEST, Commit, Switch, Value


class KsmRules:
    """Fields of the state."""

    rule_ksm_protects_exclusive = Switch(
        "Whether KSM looks who holds an exclusive page also where its entry is read-only and clean.",
        "write_protect_page",
        Value("no", OLDEST, "the entry is read-only and clean already, so KSM does not look who holds the page"),
        Value("yes", Commit("6c287605fd56", "5.19"), "it looks who holds every exclusive page"),
    )
    rule_break_ksm = Switch(
        "How KSM takes back a merge, by MADV_UNMERGEABLE or because it failed.",
        "break_ksm",
        Value("write", OLDEST, "by a write fault, which leaves the page dirty and writable"),
        Value("unshare", Commit("6cce3314b928", "6.2"), "by unsharing"),
    )
    rule_ksm_protnone = Switch(
        "Whether KSM finds a page again that is mapped inaccessible (PROT_NONE).",
        "get_mergeable_page",
        Value("found", OLDEST, "it finds the page", again=Commit("d74943a2f3cd", "6.5")),
        Value("passed_over", Commit("474098edac26", "6.1"), "it finds none there, so nothing is merged with it"),
    )


BREAK_KSM_BY_WRITE, BREAK_KSM_BY_UNSHARE = KsmRules.rule_break_ksm.numbers
PROTNONE_FOUND, PROTNONE_PASSED_OVER = KsmRules.rule_ksm_protnone.numbers
