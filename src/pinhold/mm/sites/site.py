"""Decision sites: every use of a rule and every outcome of a decision function that a reader may want to know of.

`decided` is the one hook.  Interpreted, the machine's trace gets the site; compiled, a coverage bit outside the state
is set.
"""

from __future__ import annotations

from dataclasses import dataclass

from pinhold.mm.kernel import kernel
from pinhold.mm.rules import Switch
from pinhold.mm.state import State


@dataclass(frozen=True, slots=True)
class Site:
    """What a decision means.  rule: the switch that it uses, or ""; releases.commit() knows by which commit.  value: of
    the rule, where that alone decides."""

    name: str
    function: str
    rule: str
    sentence: str
    value: str = ""


SITES: list[Site] = []
"""All sites; a site's number is its place."""


def site(name: str, function: str, sentence: str, rule: Switch | None = None, value: str = "") -> int:
    """Declares a site at which more decides than a rule, or none.  Its number."""
    SITES.append(Site(name, function, rule.name if rule else "", sentence, value))
    return len(SITES) - 1


def by_value(name: str, rule: Switch, value: str) -> int:
    """Declares a site at which the rule's value decides: what is done is said there.  Its number."""
    chosen = rule.value(value)
    return site(name, rule.decides(chosen), chosen.sentence, rule, value)


@kernel
def decided(m: State, number: int) -> None:
    """Note that the step came by this decision."""
    m.coverage[number] = 1
