"""Tables of handlers: the class of a step, or of a message -> what is done for such a one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

C = TypeVar("C")
S = TypeVar("S")
R = TypeVar("R")


def on(about: type[S], handler: Callable[[C, S], R]) -> tuple[type[Any], Callable[[C, Any], R]]:
    """A line of a table: mypy sees here that handler and class fit together."""
    return about, handler
