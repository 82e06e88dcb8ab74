"""`pinhold ask`: what a pin taken with some FOLL_* flags promises its driver, on every kind of memory and release."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import NoReturn

from pinhold.ask.answer import Task, answer, in_turn
from pinhold.ask.flags import UnknownFlag, parse_flags
from pinhold.commands import Stop, UsageError, nearest
from pinhold.commands.output import output
from pinhold.commands.registry import make_target, target_names
from pinhold.commands.runs import Progress
from pinhold.commands.workers import in_workers, worth_it
from pinhold.scenario.verdict import EXIT_BROKEN, EXIT_HELD

MODEL = "model:"


class WorkerDied(Stop):
    """One of the processes that compute was killed."""

    status = EXIT_BROKEN


def main(options: Namespace) -> int:
    """Compute and print the answer; whatever it says, asking for it succeeds."""
    try:
        request = parse_flags(" ".join(options.flags))
    except UnknownFlag as error:
        raise UsageError(str(error)) from None
    releases = _releases(options.on)
    with output(options.output) as stream:
        found = answer(request, releases, _compute)
        if options.format == "json":
            from pinhold.report.askjson import askjson

            lines: Iterator[str] = askjson(found)
        else:
            from pinhold.report.asktable import asktable

            lines = asktable(found)
        for line in lines:
            stream.write(line + "\n")
    broken = any(cell.word == "error" for column in found.columns.values() for cell in column.values())
    return EXIT_BROKEN if broken else EXIT_HELD


def _releases(names: Sequence[str] | None) -> tuple[str, ...]:
    """The releases of the targets that were named, all mainline ones where none was."""
    from pinhold.mm.releases import releases

    if not names:
        return releases()
    for name in names:
        if not name.startswith(MODEL):
            models = [target for target in target_names() if target.startswith(MODEL)]
            raise UsageError(f"ask answers from the specification alone, not from {name!r}: {nearest(name, models)}")
        make_target(name)
    return tuple(name.removeprefix(MODEL) for name in names)


def _compute(tasks: Sequence[Task[object]]) -> Iterator[object]:
    """In a few processes, telling after a second how far it is.  Raises WorkerDied."""
    progress = Progress("ask", len(tasks), "steps")
    try:
        for done, result in enumerate(in_workers(_do, tasks, _died) if worth_it() else in_turn(tasks), start=1):
            progress.at(done)
            yield result
    finally:
        progress.clear()


def _do(task: Task[object]) -> object:
    function, arguments = task
    return function(*arguments)


def _died(task: Task[object]) -> NoReturn:
    raise WorkerDied("a process that computed the answer was killed; try again")
