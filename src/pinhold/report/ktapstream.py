"""KTAP documents of several targets on one stream: in the order of the targets, each line as soon as that allows it.

One target gives a plain document.  Several give one document each, nested in an outer one as the KTAP specification has
it, or a plain one all together, if its plan is known; what is behind the one being written waits.
"""

from __future__ import annotations

from typing import TextIO

from pinhold.report.results import one_line

TOTALS = ("pass", "fail", "xfail", "xpass", "skip", "error")
TOTAL_OF = {
    "held": "pass",
    "violated": "fail",
    "livelock": "fail",
    "xfail": "xfail",
    "skipped": "skip",
    "unknown": "error",
    "error": "error",
    "crashed": "error",
}
"""What a verdict counts as."""

OURS = "selftests: pinhold: "
"""Begins the comment by which a document with a unique name for each test is known as pinhold's."""

THIS_IS = "this is "
"""Begins the comment that names a test where its result line does not."""

INDENT = "  "


def text(words: str) -> str:
    """A description: one line, in which no "#" starts a directive."""
    return one_line(words).replace("#", "\\#")


def totals_line(totals: dict[str, int]) -> str:
    """As kselftest ends a document."""
    return "# Totals: " + " ".join(f"{name}:{count}" for name, count in totals.items())


class Documents:
    """place: which target.  plan: how many results there are in all, of a plain document."""

    def __init__(self, stream: TextIO, targets: int, plan: int | None = None) -> None:
        self._stream = stream
        self._nested = targets > 1 and plan is None
        self._waiting: list[list[str]] = [[] for _ in range(targets)]
        self._names = [""] * targets
        self._ended = [False] * targets
        self._writing = 0
        self._write(*(["KTAP version 1", f"1..{targets}"] if self._nested else ["TAP version 13"]))
        self._write(*([] if plan is None else [f"1..{plan}"]))

    def begin(self, place: int, name: str, *lines: str) -> None:
        """Its first lines."""
        self._names[place] = name
        head = ["KTAP version 1", f"# Subtest: {name}"] if self._nested else []
        self.say(place, *head, *lines)

    def say(self, place: int, *lines: str) -> None:
        """More lines of it."""
        indent = INDENT if self._nested else ""
        self._waiting[place] += [indent + line for line in lines]
        self._catch_up()

    def end(self, place: int, passed: bool) -> None:
        """It has all of its lines."""
        if self._nested:
            self._waiting[place].append(f"{'ok' if passed else 'not ok'} {place + 1} {self._names[place]}")
        self._ended[place] = True
        self._catch_up()

    def close(self, cut: str | None) -> None:
        """Cut off, what waits is written too: fewer results than planned, and a line that says why."""
        for lines in self._waiting:
            self._write(*lines)
        if cut is not None:
            self._write(f"# cut off by {one_line(cut)}")

    def _catch_up(self) -> None:
        while self._writing < len(self._waiting):
            self._write(*self._waiting[self._writing])
            self._waiting[self._writing].clear()
            if not self._ended[self._writing]:
                return
            self._writing += 1

    def _write(self, *lines: str) -> None:
        self._stream.writelines(f"{line}\n" for line in lines)
        self._stream.flush()
