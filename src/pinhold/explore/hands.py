"""Who does the tasks of a search whose truth lies in files (external/)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

Task = Callable[..., dict[str, Any]]


class Hands(Protocol):
    """Threads (external/search.py), or the workers of a cluster (pinhold.cluster)."""

    def __len__(self) -> int:
        """How many tasks are done at a time."""

    def each(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
        """What each call gives, in the order in which they end.  One that is lost with whoever did it is done again;
        closed early, those not begun are not begun."""
