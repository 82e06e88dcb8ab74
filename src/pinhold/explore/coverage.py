"""What no search has come by: decisions, rules, and values of rules, from the records of searches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pinhold.explore.history import bad_world, good_world
from pinhold.explore.scope import Scope
from pinhold.explore.world import World, world
from pinhold.mm import releases
from pinhold.mm.rules import BY_NAME, RULES
from pinhold.mm.sites import SITES
from pinhold.scenario.ran import Search

RULE_OF = {site.name: site.rule for site in SITES}


@dataclass(frozen=True)
class Coverage:
    """Names, in the order of their tables.  sites: that no step passed; rules: of which no decision was taken; values:
    (rule, value) under which none of the rule's decisions was taken, of rules of which some was; silent: rules that no
    decision tells of, so that nothing is known."""

    searches: int
    sites: tuple[str, ...]
    rules: tuple[str, ...]
    values: tuple[tuple[str, str], ...]
    silent: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return not (self.sites or self.rules or self.values)


def coverage(searches: Iterable[Search]) -> Coverage:
    """What all of them together never came by."""
    passed: set[str] = set()
    decided: set[tuple[str, str]] = set()
    count = 0
    for search in searches:
        count += 1
        row = releases.switched(releases.row(search.rules), search.switched)
        passed.update(search.passed)
        ruled = {RULE_OF[site] for site in search.passed if RULE_OF.get(site)}
        decided |= {(rule, BY_NAME[rule].names[row[rule]]) for rule in ruled}
    told = {rule for rule in RULE_OF.values() if rule}
    taken = {rule for rule, _ in decided}
    return Coverage(
        count,
        tuple(site.name for site in SITES if site.name not in passed),
        tuple(rule.name for rule in RULES if rule.name in told - taken),
        tuple(
            (rule.name, value)
            for rule in RULES
            if rule.name in taken
            for value in rule.names
            if (rule.name, value) not in decided
        ),
        tuple(rule.name for rule in RULES if rule.name not in told),
    )


def worlds(scope: Scope, rules: Iterable[str]) -> Iterator[World]:
    """The scope under its own rules, under those that bring its defect back or mend it, and under releases'."""
    own = [good_world(scope), bad_world(scope)]
    own += [world(replace(scope, rules=release), releases.row(release)) for release in rules]
    seen = []
    for ready in own:
        if ready.row not in seen:
            seen.append(ready.row)
            yield ready
