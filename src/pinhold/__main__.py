"""The command `pinhold`, which is also `python -m pinhold`: the first of pinhold that runs."""

import os
import sys


def _only_installed_code() -> None:
    """As root nothing is imported from the current directory or from PYTHONPATH, whose owners may be others.

    Isolated Python has neither on its path.  pinhold itself is found by now, wherever it is.
    """
    if sys.flags.isolated or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    refused = {os.path.realpath(folder) for folder in (os.curdir, *given)}
    sys.path[:] = [folder for folder in sys.path if os.path.realpath(folder) not in refused]


def entry() -> None:
    """Run the command and exit with its status."""
    _only_installed_code()
    try:
        from pinhold import cli  # noqa: PLC0415 (what it imports is to be found by the path of now)
    except KeyboardInterrupt:
        sys.exit(130)
    try:
        cli.entry()
    except KeyboardInterrupt:
        sys.exit(cli.EXIT_INTERRUPTED)


if __name__ == "__main__":
    entry()
