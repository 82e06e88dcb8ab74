"""Tables of handlers: step class -> what a session does for such a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pinhold.scenario.steps import Step

C = TypeVar("C")
S = TypeVar("S", bound=Step)
R = TypeVar("R")


def on(step: type[S], handler: Callable[[C, S], R]) -> tuple[type[Step], Callable[[C, Any], R]]:
    """A line of a table: mypy sees here that handler and class fit together."""
    return step, handler
