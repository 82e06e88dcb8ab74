"""What is known of the functions before they are specialised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pinhold.mm.kernel import Given


@dataclass(frozen=True)
class Facts:
    """What a scope fixes.

    constants: scalar fields of the record -> value.  sizes: array fields -> number of elements.  everywhere: array
    fields -> the value that each element has and keeps.  results: function -> what every call of it comes to.
    absent: functions that are never entered.  first: array fields -> the value that each element has at first.
    parameters: (function, parameter) -> what every call passes.
    """

    constants: Mapping[str, int]
    sizes: Mapping[str, int]
    everywhere: Mapping[str, int] = field(default_factory=dict)
    results: Mapping[str, Given] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    first: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[tuple[str, str], Any] = field(default_factory=dict)
