"""The kernel of a guest of ours, seen from outside: its memory is a file of this process.  Needs pinhold[inspect]."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from pinhold.inspect.memory import ram
from pinhold.inspect.view import View
from pinhold.lab.conversation import Conversation
from pinhold.lab.target import VmTarget
from pinhold.scenario.steps import Scenario
from pinhold.targets.runner import Result, StepRecord


def view_of(guest: Conversation, name: str = "the guest") -> View:
    """For as long as the caller keeps it, also after the guest's end.  Raises CannotLook, OSError.

    It is looked at while the agent waits, or within `paused()`: a guest that runs changes what is read.
    """
    source = ram.source(name, guest.ram, guest.paused, changes=False)
    try:
        return View(source)
    except BaseException:
        source.close()
        raise


def watch(target: VmTarget, scenario: Scenario, look: Callable[[View, StepRecord], None]) -> Result:
    """A scenario whose kernel is looked at after each step, while the guest's agent waits.  Raises CannotLook."""
    with ExitStack() as opened:
        views: list[View] = []

        def step(guest: Conversation, record: StepRecord) -> None:
            if not views:
                views.append(opened.enter_context(view_of(guest, target.name)))
            look(views[0], record)

        return target.watch(scenario, step)
