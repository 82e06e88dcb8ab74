"""From SUITE, SUITE/N, SUITE/N-M or FILE.pin on the command line to the tests that it names."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pinhold.commands import UsageError, nearest
from pinhold.scenario.bounds import MAX_TEXT
from pinhold.scenario.parse import ScenarioError, parse
from pinhold.scenario.steps import Expectation, Scenario
from pinhold.scenario.suites import SUITES, Suite, suite
from pinhold.scenario.watch import gigantic


@dataclass(frozen=True, slots=True)
class Selected:
    """One test that was asked for.

    number: in its suite, or of a file its place on the command line; name: "seed/151" or the file's name; text: the
    words of its result line; left_out: why it is not run, though it has its line.
    """

    number: int
    name: str
    scenario: Scenario
    text: str
    left_out: str | None = None


def select(arguments: Iterable[str], without: str | None = None) -> list[Selected]:
    """The tests, in the order asked for.  without: "1G" or nothing.  Raises UsageError."""
    tests = [test for argument in arguments for test in _select_one(argument)]
    if without == "1G":
        words = "1 GiB pages are left out (--without 1G)"
        tests = [replace(test, left_out=words) if gigantic(test.scenario) else test for test in tests]
    return [test if test.number else replace(test, number=place) for place, test in enumerate(tests, start=1)]


def is_file(argument: str) -> bool:
    """Whether the argument names a file and no part of a suite: no part of a suite ends in .pin."""
    if argument.endswith(".pin"):
        return True
    return argument.partition("/")[0] not in SUITES and ("/" in argument or os.path.lexists(argument))


def _select_one(argument: str) -> list[Selected]:
    if is_file(argument):
        return [_from_file(argument)]
    name, slash, part = argument.partition("/")
    if name not in SUITES:
        raise UsageError(f"no suite and no file {argument!r}: {nearest(name, SUITES)}")
    chosen = suite(name)
    numbers = _numbers(chosen, argument, part) if slash else range(1, len(chosen.tests) + 1)
    return [_from_suite(chosen, number) for number in numbers]


def _numbers(chosen: Suite, argument: str, part: str) -> range:
    last = len(chosen.tests)
    match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", part)
    if not match:
        raise UsageError(f"{argument!r} is no test: write {chosen.name}/N or {chosen.name}/N-M, N from 1 to {last}")
    low, high = int(match[1]), int(match[2] or match[1])
    for number in (low, high):
        if not 1 <= number <= last:
            near = min(max(number, 1), last)
            raise UsageError(f"{argument!r}: {chosen.name} has tests 1 to {last}; the nearest is {chosen.name}/{near}")
    if low > high:
        raise UsageError(f"{argument!r} names no test; did you mean {chosen.name}/{high}-{low}?")
    return range(low, high + 1)


def _from_suite(chosen: Suite, number: int) -> Selected:
    test = chosen.tests[number - 1]
    return Selected(number, f"{chosen.name}/{number}", test.scenario, test.result_text)


def _from_file(path: str) -> Selected:
    return from_text(read_text(path), path)


def from_text(text: str, path: str) -> Selected:
    """The test that has the text of that file.  Raises UsageError."""
    try:
        scenario = parse(text)
    except ScenarioError as error:
        raise UsageError(f"{path}: {error}") from None
    texts = [step.text for step in scenario.steps if isinstance(step, Expectation) and step.text]
    return Selected(0, path, scenario, texts[-1] if texts else scenario.title)


def _open_at_once(path: str, flags: int) -> int:
    """Opening a FIFO that nobody writes to would wait."""
    return os.open(path, flags | os.O_NONBLOCK)


def read_text(path: str, what: str = "scenario") -> str:
    """A file's text, bounded.  Raises UsageError naming the file and what is wrong with it."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"cannot read {path!r}: it is no ordinary file")
            data = file.read(MAX_TEXT + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path!r}: {error.strerror or error}{_neighbour(path)}") from None
    if len(data) > MAX_TEXT:
        raise UsageError(f"{path!r} is no {what}: it is larger than {MAX_TEXT // 1024} KiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path!r} is no {what}: byte {error.start} is not UTF-8 text") from None
    if "\0" in text:
        raise UsageError(f"{path!r} is no {what}: it is a binary file")
    return text


def _neighbour(path: str) -> str:
    """A file of nearly that name beside it, or the suites, as the end of a message."""
    from difflib import get_close_matches

    if os.path.isdir(path):
        return "; name a .pin file in it"
    folder, name = os.path.split(path)
    if folder.partition("/")[0] == "examples" and not os.path.exists("examples"):
        return "; pinhold examples --copy examples puts pinhold's there"
    try:
        names = [n for n in os.listdir(folder or ".") if n.endswith(".pin")]
    except OSError:
        names = []
    close = get_close_matches(name, names, n=1) or get_close_matches(path.partition("/")[0], SUITES, n=1, cutoff=0.5)
    return f"; did you mean {os.path.join(folder, close[0]) if close[0] in names else close[0]}?" if close else ""
