"""Why a kernel cannot be looked at, in one sentence for the user."""

from __future__ import annotations

from importlib.util import find_spec

PACKAGES = ("drgn", "numpy")


class CannotLook(Exception):
    """The message is a sentence that says what is missing or wrong, and the next step."""


def missing() -> str | None:
    """Which packages a view of a kernel lacks here, in words; None where all are there.

    The other modules of this room import them at their beginning: ask here before one of those is imported.
    """
    absent = [name for name in PACKAGES if find_spec(name) is None]
    if not absent:
        return None
    return f"a view of a kernel needs {' and '.join(absent)}: pip install 'pinhold[inspect]'"


def unread(wrong: Exception) -> str:
    """Why memory could not be read, and what helps."""
    if "xcluded page" in str(wrong):
        return f"{wrong}: makedumpfile has left it out (-d); a newer one, which knows this kernel, or -d 0 keeps it"
    return str(wrong)
