"""The line that says which small machine a scenario with a schedule is for."""

from __future__ import annotations

from pinhold.scenario.forms import Form, Keyed, Number, form
from pinhold.scenario.small import BOUNDS, DEFAULTS, SWITCHES


def _bound(name: str, least: int, most: int) -> Keyed:
    return Keyed(name, Number(name, "N", "a number", least, most), DEFAULTS[name])


SMALL: Form = form(
    "small",
    options=(*(_bound(name, *bounds) for name, bounds in BOUNDS.items()), *(_bound(name, 0, 1) for name in SWITCHES)),
)
