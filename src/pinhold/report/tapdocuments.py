"""TAP as it stands in a log: behind what a console puts before each line, and as documents, each with its plan.

A document is told from the one around it by what its lines begin with: "# " by run_kselftest.sh, blanks in KTAP.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from pinhold.report.results import counted

_LONGEST = 4096
"""Characters of a line: longer ones are no TAP."""

_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0e-\x1f]")
_CONSOLE = re.compile(
    r"(?:<[0-9]{1,3}>)?"  # a level
    r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.,]+(?:Z|[+-][0-9:]+)? )?"  # a log's time, as LAVA and ts have it
    r"(?:[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} \S+ )?"  # syslog's, and the host
    r"(?:kernel: )?"
    r"(?:\[ *[0-9]+\.[0-9]+\](?:\[ *[CT][0-9]+\])? ?)?"  # printk's time, and CONFIG_PRINTK_CALLER
    r"(?:<[0-9]{1,3}>)?"
)
_SAID_BY = re.compile(r"[\w./-]+(?:\[[0-9]+\])?: ")
"""A program's name, which stands behind the time alone."""

DEPTH = r"(?P<depth>(?:# )*\s*)"
_VERSION = re.compile(DEPTH + r"K?TAP version [0-9]+\s*")
_PLAN = re.compile(DEPTH + r"1\.\.(?P<planned>[0-9]{1,9})\s*(?:#.*)?")
_BAIL = re.compile(DEPTH + r"Bail out!\s*(?P<words>.*)")


def bare(line: str) -> str:
    """A line without what a console, printk or a log has put before it."""
    if len(line) > _LONGEST:
        return ""
    line = _TERMINAL.sub("", line).rstrip()
    end = match.end() if (match := _CONSOLE.match(line)) else 0
    if end and (said := _SAID_BY.match(line, end)):
        end = said.end()
    return line[end:]


def is_tap(lines: Iterable[str]) -> bool:
    """Whether there is TAP in it; what the kernel printed before it may stand there, too."""
    return any("TAP version" in line and _VERSION.fullmatch(bare(line)) for line in lines)


@dataclass(slots=True, eq=False)
class Document:
    """planned: how many results, None until that is said; numbers: of the results; bail: the words of `Bail out!`."""

    planned: int | None = None
    numbers: set[int] = field(default_factory=set)
    bail: str | None = None

    def early(self) -> str | None:
        """That results are missing, in words; None where all are there that were planned.

        A selftest in which tests have failed bails out at its end, when it has all results.
        """
        if self.planned is None:
            return None if self.bail is None else f"it ended early ({f'Bail out! {self.bail}'.strip()})"
        planned = self.planned
        if planned <= len(self.numbers):
            return None
        said = f"planned {counted(planned, 'test')}, {counted(len(self.numbers), 'result')}: "
        said += "some are missing" if planned in self.numbers and self.bail is None else "it ended early"
        return said if self.bail is None else f"{said} ({f'Bail out! {self.bail}'.strip()})"


class Documents:
    """Those that are open while lines are read: one of each depth."""

    def __init__(self) -> None:
        self._open: dict[str, Document] = {}

    def result(self, depth: str, number: int) -> Document:
        """The document of a result."""
        document = self._open.setdefault(depth, Document())
        document.numbers.add(number)
        return document

    def says(self, line: str) -> bool:
        """Whether the line is about a document: its version, its plan, its end."""
        if match := _VERSION.fullmatch(line):
            self._open.pop(match["depth"], None)
        elif match := _PLAN.fullmatch(line):
            before = self._open.get(match["depth"])
            if before is None or before.planned is not None:
                self._open[match["depth"]] = before = Document()
            before.planned = int(match["planned"])
        elif match := _BAIL.fullmatch(line):
            own = self._open.get(match["depth"])
            for document in [own] if own else self._open.values():
                document.bail = match["words"].strip()
        return match is not None
