"""One guest at a time of a kernel: booted when it is needed, and afresh after a crash.

A guest that crashes takes one scenario with it: that one is `crashed`, with the end of the console, and the rest goes
on in a fresh boot; and so it does after one whose kernel loops.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from pinhold.lab.conversation import Conversation, GuestLost
from pinhold.lab.errors import LabError
from pinhold.scenario.steps import Scenario
from pinhold.scenario.verdict import Verdict
from pinhold.scenario.watch import gigantic
from pinhold.targets.runner import Result, StepRecord

Look = Callable[[Conversation, StepRecord], None]

BOOTS = 2
"""A kernel that did not come up so many times in a row is not booted again."""


class Lane:
    """target: the name that results carry; boot: a fresh guest, with 1 GiB pages or without."""

    def __init__(self, target: str, boot: Callable[[bool], Conversation]) -> None:
        self._target = target
        self._boot = boot
        self._guest: Conversation | None = None
        self._gigantic = False
        self._failures: list[GuestLost] = []

    def booted(self, gigantic: bool) -> Conversation:
        """The guest; one with 1 GiB pages serves all scenarios.  Raises GuestLost, LabError."""
        if self._guest is None or (gigantic and not self._gigantic):
            self.close()
            self._guest = self._boot(gigantic)
            self._gigantic = gigantic
        return self._guest

    def run(self, scenario: Scenario, look: Look | None = None) -> Result:
        """One scenario to its verdict.  look: see VmTarget.watch()."""
        if len(self._failures) >= BOOTS:
            return self.without(scenario, self._failures[-1].kind, str(self._failures[-1]))
        try:
            guest = self.booted(gigantic(scenario))
            self._failures.clear()
        except LabError as reason:
            return self.without(scenario, "skipped", str(reason))
        except GuestLost as lost:
            self._failures.append(lost)
            return self.without(scenario, lost.kind, str(lost))
        try:
            result = guest.run(scenario, partial(look, guest) if look else None)
        except GuestLost as lost:
            self.close(gently=False)
            at = lost.steps[-1].index + 1 if lost.steps else 0
            return self.without(scenario, lost.kind, str(lost), lost.steps, min(at, len(scenario.steps) - 1))
        except BaseException:
            self.close(gently=False)
            raise
        if result.verdict.kind == "livelock":
            self.close(gently=False)  # the task may loop on, and nothing ends it
        return result

    def without(
        self, scenario: Scenario, kind: str, reason: str, steps: tuple[StepRecord, ...] = (), at: int | None = None
    ) -> Result:
        """The result of a scenario that did not come to its end.  at: the step that it did not end, if it began."""
        return Result(self._target, scenario, Verdict(kind, None, reason, at), steps)

    def close(self, gently: bool = True) -> None:
        """End the guest; the next scenario boots another."""
        guest, self._guest = self._guest, None
        if guest is not None:
            with suppress(OSError):
                guest.close(gently)
