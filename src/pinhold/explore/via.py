"""How a state is reached from its parent: which task moved, what it began, how chance fell.

A search stores one such word for each state that it finds.  This is the one place that knows how wide its parts are:
a scope that has more of something than its part can tell is refused when it is read (scope.py), and a step that has
more outcomes than its scope allows for ends the search (`outcomes` there), compiled or interpreted.

`packed` and `begun` are compiled, too, with the inner loop (engine.py): integers in, integers out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NewType

TaskNumber = NewType("TaskNumber", int)
"""A task's place among those of its scope."""

ActionNumber = NewType("ActionNumber", int)
"""An operation's place among those of all tasks, in the order of the tasks."""

WENT_ON: Final = ActionNumber(-1)
"""No operation: the task took the next step of the one that it was in."""

TASK_BITS, ACTION_BITS, CHANCE_BITS = 2, 8, 6
WORD_BYTES = 2

TASKS_MAX = 1 << TASK_BITS
ACTIONS_MAX = (1 << ACTION_BITS) - 1
OUTCOMES_MAX = 1 << CHANCE_BITS
"""How many of each a word tells apart; of the actions' numbers, one is WENT_ON."""


@dataclass(frozen=True)
class Via:
    """One transition.  chance: which outcome the step had of those that nobody decides (mm/chance.py)."""

    task: TaskNumber
    action: ActionNumber
    chance: int


def packed(task: int, action: int, chance: int) -> int:
    """The word: from the lowest bit, chance, the action (WENT_ON as 0), the task."""
    return (task << (ACTION_BITS + CHANCE_BITS)) | ((action + 1) << CHANCE_BITS) | chance


def begun(word: int) -> int:
    """The action that a word has, or WENT_ON."""
    return ((word >> CHANCE_BITS) & ACTIONS_MAX) - 1


def unpacked(word: int) -> Via:
    """What a word says."""
    task, chance = word >> (ACTION_BITS + CHANCE_BITS), word & (OUTCOMES_MAX - 1)
    return Via(TaskNumber(task), ActionNumber(begun(word)), chance)
