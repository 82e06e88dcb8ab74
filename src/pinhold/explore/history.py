"""Every defect of the library's history: found with its switch, and gone from the whole space without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pinhold.explore.budget import Watch, unwatched
from pinhold.explore.result import SearchResult
from pinhold.explore.run import Options, explore
from pinhold.explore.scope import Scope, library
from pinhold.explore.world import World, world
from pinhold.mm import releases


@dataclass(frozen=True)
class Chapter:
    """One defect.  bad: the search with the rules that have it; good: with those that have it mended."""

    scope: Scope
    world: World
    bad: SearchResult
    good: SearchResult

    @property
    def confirmed(self) -> bool:
        """Whether the defect was found, and the mended rules were exhausted without it."""
        return self.bad.violation is not None and self.good.exhausted


def defects() -> list[Scope]:
    return [scope for scope in library().values() if scope.defect]


def bad_world(scope: Scope) -> World:
    return world(scope, releases.switched(releases.row(scope.rules), scope.without))


def good_world(scope: Scope) -> World:
    return world(scope, releases.switched(releases.row(scope.rules), scope.fix))


def history(options: Options = Options(), watch: Watch = unwatched) -> Iterator[Chapter]:  # noqa: B008
    """The chapters, one after the other.  watch: is told how far each search is."""
    for scope in defects():
        bad = bad_world(scope)
        yield Chapter(scope, bad, explore(bad, options, watch), explore(good_world(scope), options, watch))
