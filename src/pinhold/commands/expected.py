"""What the rules of a release predict for the suite `seed`: the one place where `check` gets its expectations from.

A prediction follows from the row's switches and from what a test asks, never from a number or a recorded result.
"""

from __future__ import annotations

from collections.abc import Mapping

from pinhold.commands.registry import switches
from pinhold.commands.select import Selected
from pinhold.mm import releases
from pinhold.mm.rules import BY_NAME
from pinhold.scenario.titles import case_and_memory

UNSHARE = "gup_unshares"
"""The switch that the seed turns: what a read-only pin breaks copy-on-write for."""

LONGTERM = ("R/O longterm GUP pin", "R/O longterm GUP-fast pin")
"""The cases that the seed makes succeed, on memory that is not anonymous: its twelve tests."""


def is_twelve(test: Selected) -> bool:
    """Whether the seed quotes this test's line."""
    return case_and_memory(test.scenario.title)[0] in LONGTERM


def predicted(test: Selected, model: str) -> str | None:
    """The verdict that the rules of a model (REL, or REL,RULE=VALUE,...) predict, or None where they leave it to the
    specification.

    They do so for rows without PageAnonExclusive, which share anonymous pages by chance of reference counts.  In
    every release hugetlb_wp() reuses a huge page by its mapcount and does not see the FOLL_GET reference of
    vmsplice(): a leak that is known and open, and therefore predicted.
    """
    release, *switched = model.split(",")
    if any(switch.startswith("with=") for switch in switched):
        return None  # of functions that a user gives, no rule knows
    unshares = _value(releases.switched(releases.row(release), switches(switched)), UNSHARE)
    if unshares == "none":
        return None
    case, memory = case_and_memory(test.scenario.title)
    if case in LONGTERM:
        return "held" if unshares == "cow_longterm" else "violated"
    if case.startswith("vmsplice()") and memory.startswith("hugetlb"):
        return "violated"
    return "held"


def _value(row: Mapping[str, int], name: str) -> str:
    return BY_NAME[name].names[row[name]]
