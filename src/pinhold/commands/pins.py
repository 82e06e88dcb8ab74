"""--pin: programs of the user's that pin memory on the running kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pinhold.commands import UsageError
from pinhold.targets.base import Unavailable

if TYPE_CHECKING:
    from pinhold.targets.pins.external import External


def external(texts: Sequence[str] | None, targets: Sequence[str]) -> list[External]:
    """The programs, each asked for what it declares.  Raises UsageError."""
    if not texts:
        return []
    from pinhold.targets.pins.external import PREFIX, External

    if "live" not in targets:
        raise UsageError(f"--pin {texts[0]!r} is for the target live, which is not among the targets: add --on live")
    programs = []
    for text in texts:
        if not text.startswith(PREFIX) or text == PREFIX:
            raise UsageError(
                f"--pin takes {PREFIX}PROGRAM, not {text!r}; a scenario names a built-in mechanism itself, by 'via'"
            )
        try:
            programs.append(External(text.removeprefix(PREFIX)))
        except Unavailable as reason:
            raise UsageError(str(reason)) from None
    return programs
