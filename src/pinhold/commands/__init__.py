"""One module a command, imported by the command line when that command runs."""

import signal
from collections.abc import Sequence


class Stop(Exception):
    """Ends a command: the message is the one line that the user reads, `status` the exit status."""

    status: int


class UsageError(Stop):
    """What the user asked for cannot be; the message names it and the nearest valid choice."""

    status = 3


class NothingToRun(Stop):
    """Nothing that was asked for can be run on this machine; the message says why."""

    status = 4


class NotPutBack(Stop):
    """Something that was changed on this machine could not be put back; the message says what, and what to do."""

    status = 5


class WriteFailed(Stop):
    """The output could not be written; the message says what and why."""

    status = 5


class Ended(KeyboardInterrupt):
    """A signal has ended the command, as Ctrl-C does; `status` is what a shell calls that."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


def nearest(wrong: str, choices: Sequence[str], listed: str = "") -> str:
    """The end of a message about `wrong`: the nearest choice, or all of them.

    listed: where they are many, the command that lists them.
    """
    from difflib import get_close_matches

    close = get_close_matches(wrong, choices, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    if listed:
        return f"{listed} lists them"
    return f"choose from {', '.join(choices)}"
