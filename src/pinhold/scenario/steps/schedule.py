"""Schedules: steps that take operations apart into their atomic steps, for a scenario on a small machine."""

from __future__ import annotations

from pinhold.scenario.bounds import MAX_ADVANCE, MAX_CHANCE
from pinhold.scenario.forms import Columns, Keyed, Named, Number, Role, Thing, Values, form
from pinhold.scenario.meets import TASKS
from pinhold.scenario.steps.table import Action, Schedule, parse_step, show_step, startable_verbs, step
from pinhold.scenario.tokens import Cursor


class _Started:
    """A whole step, to the end of the line, of a kind that can be started."""

    usage = "STEP"

    def read(self, line: Cursor, values: Values, columns: Columns) -> None:
        column, verb = line.column, line.peek()
        if verb is None or verb.text not in startable_verbs():
            raise line.mismatch(*startable_verbs())
        inner, inner_columns = parse_step(line.rest())
        line.skip()
        values["step"] = inner
        columns |= inner_columns | {"step": column}

    def show(self, step: object) -> str | None:
        assert isinstance(step, Start)
        return " ".join(show_step(step.step))


@step(form("start", Named("task", "TASK", Thing.TASK, Role.MAKES), _Started()), meets=TASKS)
class Start(Schedule):
    """The task begins the operation `step`, which is startable, and takes none of its atomic steps yet.

    A task is a thread of the scenario's making, named where it first starts something.  One that is in an operation
    comes to its end first.
    """

    task: str
    step: Action


@step(
    form(
        "advance",
        Named("task", "TASK", Thing.TASK),
        options=(
            Keyed("steps", Number("steps", "N", "a number of steps", 1, MAX_ADVANCE), 1),
            Keyed("chance", Number("chance", "N", "a number", 0, MAX_CHANCE), 0),
        ),
    ),
    meets=TASKS,
)
class Advance(Schedule):
    """The task takes so many atomic steps of what it has begun; one that waits for a lock, or is idle, takes none.

    chance: which outcome each has of those that nobody decides, such as which free frame is taken.
    """

    task: str
    steps: int = 1
    chance: int = 0


@step(form("settle"), meets=TASKS)
class Settle(Schedule):
    """Every task comes to the end of what it has begun."""
