"""The probes of the rules, and what each gives under each value of its rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from play import Row

Probe = Callable[[Row], Any]

PROBES: dict[str, Probe] = {}
OUTCOMES: dict[str, Mapping[str, Any]] = {}
"""By the rule that a probe is named after; outcomes: value -> what the probe gives on the row of 6.2 with it."""


def probe(outcomes: Mapping[str, Any]) -> Callable[[Probe], Probe]:
    """Registers the probe of a rule."""

    def registered(function: Probe) -> Probe:
        PROBES[function.__name__], OUTCOMES[function.__name__] = function, outcomes
        return function

    return registered
