"""Traps: what the specification does not know is refused, by name, and never done as something that it knows.

Past a trap the state means nothing, as past a limit of the machine (limits.py), whose numbers are below those of traps.
Interpreted, whoever runs the machine raises `Unspecified`; the explorer finds the number in the record.
"""

from __future__ import annotations

from collections.abc import Mapping

from pinhold.mm.flags import BLOCKED
from pinhold.mm.kernel import kernel
from pinhold.mm.limits import WITHIN_LIMITS
from pinhold.mm.state import State

TRAP_FUNCTION, TRAP_STAGE, TRAP_ADVICE, TRAP_ENTRY_POINT, TRAP_PIN_USER, TRAP_FILE_KIND, TRAP_LEVEL, TRAP_COLLAPSE = (
    range(32, 40)
)
"""Values of `trapped`."""

TRAPS: Mapping[int, str] = {
    TRAP_FUNCTION: "a task is in a function that has no number",
    TRAP_STAGE: "a task is at a stage that its function does not have",
    TRAP_ADVICE: "madvise() got an advice that the specification does not know",
    TRAP_ENTRY_POINT: "GUP was entered by an entry point that the specification does not know",
    TRAP_PIN_USER: "a pin has a user that the specification does not know",
    TRAP_FILE_KIND: "a file is of a kind that the specification does not know",
    TRAP_COLLAPSE: "MADV_COLLAPSE is specified for anonymous memory alone, and was given for a file's",
    TRAP_LEVEL: "a page-table entry maps something at a level where nothing is mapped",
}
"""What was met."""


class Unspecified(Exception):
    """The machine met something that the specification does not know; the message names it."""


@kernel
def trap(m: State, met: int) -> int:
    """Refuse to go on; what was met first counts."""
    if m.trapped[0] == WITHIN_LIMITS:
        m.trapped[0] = met
    return BLOCKED


def refuse_trapped(m: State) -> None:
    """Raises Unspecified where the machine has met a trap."""
    if m.trapped[0] in TRAPS:
        raise Unspecified(TRAPS[m.trapped[0]])
