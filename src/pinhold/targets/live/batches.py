"""Scenarios in batches: what they leave behind is looked for once for many of them, and whose it is only where there is
something.

A look takes a few milliseconds, and on a machine that others use a rise of any count takes seconds to be understood.  A
batch is looked at as one scenario is (hygiene.py): where something is left, and comes again when the batch is repeated,
each of its scenarios is repeated by itself, under a look of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from pinhold.scenario.hugepages import hugepages_needed
from pinhold.scenario.steps import Scenario
from pinhold.targets.base import Broken, CannotDo, Crashed, LeftBehind
from pinhold.targets.live import hygiene

SIZE = 50
"""Scenarios: a second's work of a fast machine."""

_LATE_SECONDS = 0.02
_LOOK_SECONDS = 0.001
"""The kernel lets go of io_uring's pins some time after the last process is gone: the next scenario is to find their
huge pages free."""


@dataclass(slots=True)
class _Ran:
    """A scenario of the batch, and the words by which the kernel's log names its processes."""

    scenario: Scenario
    names: Collection[str]


@dataclass(slots=True)
class Batch:
    """run: does a scenario once more, and looks for nothing.  shared: others use this machine, too."""

    run: Callable[[Scenario], None]
    shared: bool
    size: int = SIZE
    _ran: list[_Ran] = field(default_factory=list)
    _looks: ExitStack | None = None
    _again: bool = False
    _in_use: int = 0

    @contextmanager
    def one(self, scenario: Scenario, names: Callable[[], Collection[str]]) -> Iterator[None]:
        """Around each scenario.  The last of a batch raises what end() raises.

        Where one breaks, or never ends, nobody is asked what the batch has left, as with a single scenario.
        """
        if self._again:
            yield
            return
        if self._looks is None:
            self._looks = ExitStack()
            self._looks.enter_context(hygiene.nothing_left(self._repeat if self.shared else None, self._names))
            self._in_use = hygiene.huge_pages_in_use()
        elif any(hugepages_needed(self._ran[-1].scenario).values()):
            self._await_huge_pages()
        try:
            yield
        except CannotDo:
            self._ran.append(_Ran(scenario, names()))
            raise
        except BaseException as error:
            self.drop(error)
            raise
        self._ran.append(_Ran(scenario, names()))
        if len(self._ran) >= self.size:
            self.end()

    def _await_huge_pages(self) -> None:
        """For a moment: others may have taken some, too."""
        until = time.monotonic() + _LATE_SECONDS
        while hygiene.huge_pages_in_use() > self._in_use and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)

    def drop(self, error: BaseException) -> None:
        """Forget the batch that is under way: what it has left behind is not looked for."""
        looks, self._looks, self._ran = self._looks, None, []
        if looks is not None:
            looks.__exit__(type(error), error, None)

    def end(self) -> None:
        """Look at what the batch that is under way has left behind.

        Raises LeftBehind, Broken, Crashed; the message names the scenarios that leave it behind by themselves.
        """
        looks, self._looks = self._looks, None
        if looks is None:
            return
        try:
            looks.close()
        except (LeftBehind, Broken, Crashed) as left:
            raise type(left)(f"{left}; {self._whose(left)}") from None
        finally:
            self._ran = []

    def _names(self) -> Collection[str]:
        return [name for ran in self._ran for name in ran.names]

    def _repeat(self) -> None:
        """The whole batch once more."""
        self._again = True
        try:
            for ran in self._ran:
                self.run(ran.scenario)
        finally:
            self._again = False

    def _whose(self, left: Exception) -> str:
        """In words: which scenarios of the batch may have done it."""
        if isinstance(left, Crashed):
            return _listed("it names a process of", [r.scenario for r in self._ran if hygiene.complained_of(r.names)])
        guilty = [ran.scenario for ran in self._ran if self._leaves_something(ran)]
        if guilty:
            return _listed(f"of the last {len(self._ran)} scenarios it is left by", guilty)
        return _listed("by itself none leaves it of", [ran.scenario for ran in self._ran])

    def _leaves_something(self, ran: _Ran) -> bool:
        """Whether the scenario does so by itself."""
        self._again = True
        try:
            again = (lambda: self.run(ran.scenario)) if self.shared else None
            with hygiene.nothing_left(again, lambda: ran.names):
                self.run(ran.scenario)
        except (Broken, Crashed):
            return True
        finally:
            self._again = False
        return False


def _listed(words: str, scenarios: Sequence[Scenario]) -> str:
    return f"{words} {', '.join(repr(scenario.title) for scenario in scenarios) or 'none of them'}"
