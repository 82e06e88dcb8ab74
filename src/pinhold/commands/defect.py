"""A defect of pinhold: what no command foresaw, in a sentence that no one takes for a finding."""

from __future__ import annotations

import os
import traceback
from contextlib import suppress

from pinhold import __version__

TRACEBACK = "PINHOLD_TRACEBACK"
"""In the environment, with any value: a defect shows its calls, too."""

_OURS = f"{os.sep}pinhold{os.sep}"


def told(error: BaseException) -> str:
    """The sentence; with TRACEBACK the calls go to standard error before it."""
    if os.environ.get(TRACEBACK):
        with suppress(OSError):
            traceback.print_exception(error)
    calls = traceback.extract_tb(error.__traceback__)
    ours = [call for call in calls if _OURS in call.filename] or calls
    where = f" in {os.path.basename(ours[-1].filename)}, line {ours[-1].lineno}" if ours else ""
    words = " ".join(traceback.format_exception_only(error)[-1].split())
    said = f"a defect of pinhold {__version__}{where}, which says nothing about any kernel: {words}"
    if os.environ.get(TRACEBACK):
        return said
    return f"{said} (with {TRACEBACK}=1 in the environment it shows its calls: report them, please)"
