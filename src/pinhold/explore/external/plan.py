"""What an external search is of: written into its directory once, and read there by whoever takes on one of its tasks.

So a task needs nothing but the directory's name and its own numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pinhold.explore.checkpoint import Unusable
from pinhold.explore.external.runs import FIRST
from pinhold.explore.scope import Scope, scope_of
from pinhold.explore.world import World, world
from pinhold.scenario.small import BOUNDS, SWITCHES

FORMAT = 1
FILE = "search.json"
FIRST_BITS = 8 * FIRST.itemsize


@dataclass(frozen=True)
class Plan:
    """key: of the search (CompiledSearch.key), which says that the sources are the same, too.  piece: states that a
    task expands.  owners: a power of two, among whom all states are shared out by their fingerprints."""

    key: str
    scope: str
    table: Mapping[str, Any]
    row: Mapping[str, int]
    symmetric: bool
    properties: int
    invariants: bool
    piece: int
    owners: int
    format: int = FORMAT

    @property
    def shift(self) -> int:
        """A fingerprint's upper bits tell its owner: by so many bits it is shifted."""
        return FIRST_BITS - self.owners.bit_length() + 1

    @property
    def world(self) -> World:
        return world(scope_of(self.scope, self.table), self.row)

    def text(self) -> str:
        return json.dumps({f.name: getattr(self, f.name) for f in fields(self)}, default=dict)


def table_of(scope: Scope) -> dict[str, Any]:
    """The TOML table that describes it."""
    rest = {f.name: getattr(scope, f.name) for f in fields(Scope) if f.name not in ("name", "small")}
    rest |= {name: getattr(scope.small, name) for name in BOUNDS}
    asked = {name: getattr(scope.small, name) for name in SWITCHES if getattr(scope.small, name) is not None}
    table: dict[str, Any] = json.loads(json.dumps(rest | {"config": asked}, default=dict))
    return table


def read(directory: Path) -> Plan:
    """Raises Unusable, OSError."""
    try:
        table = json.loads((directory / FILE).read_text(encoding="utf-8"))
        plan = Plan(**table)
    except (ValueError, TypeError) as error:
        raise Unusable(f"{directory}: no search was put there by pinhold ({error})") from None
    if plan.format != FORMAT:
        raise Unusable(f"{directory}: a search in format {plan.format}; this pinhold has format {FORMAT}")
    return plan
