"""The Target protocol: what runs a scenario one step at a time and reports one observation after each.

Nothing else in pinhold knows what a target is made of.  A target may refuse: `Unavailable` when it cannot work on this
machine at all, `CannotDo` when it cannot do one step here; both carry the sentence that the user reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # what starts processes imports this, and is forked for each of them: it has to be small
    from pinhold.scenario.observation import Observation, Run
    from pinhold.scenario.ran import Decision, TargetInfo, Turn
    from pinhold.scenario.steps import Action, Range, Scenario

SCHEDULED = "a schedule of atomic steps: only a model (--on model:REL) can keep it"
"""Why a scenario with a schedule is skipped on a real kernel."""


class Unavailable(Exception):
    """The target cannot run here; the message says why and what to do."""


class CannotDo(Exception):
    """This step cannot be done exactly as asked on this target; the message says what is missing."""


class Livelock(Exception):
    """A step has no end: the specification goes round, or a kernel loops or hangs; the message says where.

    decisions: of the specification, what is decided in each round.
    """

    def __init__(self, message: str, decisions: tuple[Decision, ...] = ()) -> None:
        super().__init__(message)
        self.decisions = decisions


class Broken(Exception):
    """The tool itself failed (an invariant, a dead helper process); the message says where."""


class LeftBehind(Broken):
    """After the last step something stayed in the kernel that a scenario has to give back; the message says what."""


class Crashed(Exception):
    """The kernel under test crashed; the message is the end of what it said."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one action came to.

    errno: 0 or positive; note: e.g. the pin mechanism used.  Of the model only: decisions; `violated`, the safety
    properties (as sentences) that do not hold after it; turns, what the tasks of a schedule came to.  Of a real kernel
    only: by, the mechanism that was asked for the pin, also where it failed.
    """

    errno: int = 0
    note: str | None = None
    decisions: tuple[Decision, ...] = ()
    violated: tuple[str, ...] = ()
    turns: tuple[Turn, ...] = ()
    by: str | None = None


class Session(Protocol):
    """One scenario being run.  Closing it leaves nothing behind."""

    def do(self, action: Action) -> Outcome:
        """Do one step.  Raises CannotDo, Livelock, Broken, Crashed."""

    def observe(self) -> Observation:
        """Look without changing anything.  The errno of the observation is that of the last action."""

    def contents(self, proc: str, range: Range) -> Sequence[Run]:
        """What the process reads, page by page, without faulting anything in."""

    def pin_contents(self, pin: str) -> Sequence[Run]:
        """What the pin's holder reads, page by page.  Raises CannotDo where the mechanism cannot read back."""

    def pools(self) -> Mapping[str, str]:
        """What there is to be used up, as TargetInfo.config tells it, now; nothing where only the scenario uses it."""

    def unsound(self) -> Sequence[str]:
        """The specification's safety properties that do not hold, as sentences.  Raises CannotDo off the model."""

    def page_state(self, proc: str, range: Range) -> Sequence[tuple[int, int, str]]:
        """(first, count, state of step.STATES) over the range; raises CannotDo where it cannot be seen."""


class Target(Protocol):
    """what: which one, as the command line spells it, e.g. "model:6.1"; name: what results call it, which is the same
    unless the user has named it."""

    name: str
    what: str

    def info(self) -> TargetInfo:
        """Raises Unavailable."""

    def open(self, scenario: Scenario) -> AbstractContextManager[Session]:
        """A fresh machine, processes and memory for one scenario."""
