"""Rules: what differs between kernels, as switches with named values, a file a subsystem.

A switch is declared once: its field of the state, its values' numbers and the table RULES are made from that.  Which
value a release has, and how that is known, releases/ tells.
"""

from __future__ import annotations

from pinhold.mm.rules.fork import ForkRules
from pinhold.mm.rules.gup import GupRules
from pinhold.mm.rules.hugetlb import HugetlbRules
from pinhold.mm.rules.khugepaged import CollapseRules
from pinhold.mm.rules.ksm import KsmRules
from pinhold.mm.rules.lazyfree import LazyfreeRules
from pinhold.mm.rules.numa import NumaRules
from pinhold.mm.rules.pin import PinRules
from pinhold.mm.rules.swap import SwapRules
from pinhold.mm.rules.switch import BadRule, Commit, NoCommit, Since, Switch, Value
from pinhold.mm.rules.thp import ThpRules
from pinhold.mm.rules.vma import VmaRules
from pinhold.mm.rules.wp import WpRules


class Rules(
    GupRules,
    PinRules,
    WpRules,
    ForkRules,
    HugetlbRules,
    SwapRules,
    LazyfreeRules,
    ThpRules,
    CollapseRules,
    VmaRules,
    NumaRules,
    KsmRules,
):
    """The switches, as fields of the state."""


RULES: tuple[Switch, ...] = tuple(
    rule for group in Rules.__bases__ for rule in vars(group).values() if isinstance(rule, Switch)
)
BY_NAME = {rule.name: rule for rule in RULES}

__all__ = ["BY_NAME", "RULES", "BadRule", "Commit", "NoCommit", "Rules", "Since", "Switch", "Value"]
