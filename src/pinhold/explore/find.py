"""What can be looked for instead of something bad: a decision, or a state that violates one property by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from pinhold.explore.result import NO_SITE, SearchResult
from pinhold.explore.run import Options
from pinhold.explore.scope import SITE_NUMBERS
from pinhold.explore.world import World
from pinhold.mm import invariants
from pinhold.mm.properties import NAMES, PROPERTIES
from pinhold.mm.sites import SITES

STUCK = "stuck"


@dataclass(frozen=True)
class Goal:
    """What is looked for, in words, and as a search has it (result.Violation)."""

    words: str
    site: int = NO_SITE
    properties: int = 0
    invariant: int = 0
    stuck: bool = False

    def options(self, how: Options) -> Options:
        """A search that ends at nothing else.  Of invariants the first that is broken ends it: see `found`."""
        bad = replace(how, properties=self.properties, invariants=bool(self.invariant), stuck=self.stuck)
        return replace(bad, site=self.site)

    def found(self, result: SearchResult) -> bool:
        """Whether it was this that ended the search: of invariants it could be another one."""
        return result.violation is not None and result.violation.invariant == self.invariant


@cache
def goals() -> Mapping[str, Goal]:
    """By name: decisions, properties, invariants, and that everybody waits."""
    found = {
        name: Goal(f"{SITES[number].function}: {SITES[number].sentence}", number)
        for name, number in SITE_NUMBERS.items()
    }
    found |= {name: Goal(PROPERTIES[bit], properties=bit) for name, bit in NAMES.items()}
    numbers = {name.lower(): number for name, number in vars(invariants).items() if name.startswith("BAD_")}
    found |= {name: Goal(invariants.INVARIANTS[number], invariant=number) for name, number in numbers.items()}
    return found | {STUCK: Goal("every task waits for another", stuck=True)}


def unreached(world: World, result: SearchResult) -> tuple[str, ...]:
    """The decisions that the scope is there for, and that none of its steps takes: known when it is exhausted."""
    return (
        tuple(name for name in world.scope.reach if SITE_NUMBERS[name] not in result.sites) if result.exhausted else ()
    )
