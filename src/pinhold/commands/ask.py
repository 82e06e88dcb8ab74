"""`pinhold ask`: what a pin taken with some FOLL_* flags promises its driver, on every kind of memory and release."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from pinhold.ask import interfaces
from pinhold.ask.answer import Task, answer, in_turn
from pinhold.ask.cell import Cell
from pinhold.ask.flags import UnknownFlag, parse_flags
from pinhold.ask.memory import Memory
from pinhold.commands import Stop, UsageError, nearest
from pinhold.commands.charts import chart_file
from pinhold.commands.output import output
from pinhold.commands.registry import make_target, target_names
from pinhold.commands.runs import Progress
from pinhold.commands.workers import in_workers, worth_it
from pinhold.report import terminal
from pinhold.scenario.verdict import EXIT_BROKEN, EXIT_HELD

if TYPE_CHECKING:
    from pinhold.pictures.chart import Chart
    from pinhold.pictures.promises import Charged, Promised

MODEL = "model:"


class WorkerDied(Stop):
    """One of the processes that compute was killed."""

    status = EXIT_BROKEN


def main(options: Namespace) -> int:
    """Compute and print the answer; whatever it says, asking for it succeeds."""
    text = " ".join(options.flags)
    named = interfaces.find(text)
    if named is not None:
        return _interface(named, options)
    try:
        request = parse_flags(text)
    except UnknownFlag as error:
        close = interfaces.nearest(text)
        if close is not None:
            raise UsageError(f"no flag and no interface {text!r}: did you mean {close!r}?") from None
        raise UsageError(f"{error}; or name an interface: {', '.join(interfaces.names())}") from None
    releases = _releases(options.on)
    if options.svg or options.html:
        with chart_file(options) as draw:
            found = answer(request, releases, _compute)
            draw(lambda: _chart(request.call, {"": found.columns}, found.charges, request.longterm))
        return _status([found.columns])
    with output(options.output) as stream:
        found = answer(request, releases, _compute)
        if options.format == "json":
            from pinhold.report.askjson import askjson

            terminal.plain(askjson(found, options.mebibytes), stream)
        else:
            from pinhold.report.asktable import asktable

            terminal.write(asktable(found, options.mebibytes), stream)
    return _status([found.columns])


def _interface(named: interfaces.Interface, options: Namespace) -> int:
    """The same for an interface by its name."""
    from pinhold.ask.promise import promise
    from pinhold.report.askinterface import interface_json, interface_table

    releases = _releases(options.on)
    if options.svg or options.html:
        with chart_file(options) as draw:
            found = promise(named, releases, _compute)
            uses = {use.use.words: use.columns for use in found.uses}
            charges = {use.use.words: use.charges for use in found.uses}
            longterm = any(call.request.longterm for use in found.uses for call in use.calls.values())
            draw(lambda: _chart(named.name, uses, charges, longterm))
        return _status([use.columns for use in found.uses])
    with output(options.output) as stream:
        found = promise(named, releases, _compute)
        if options.format == "json":
            terminal.plain(interface_json(found, options.mebibytes), stream)
        else:
            terminal.write(interface_table(found, options.mebibytes), stream)
    return _status([use.columns for use in found.uses])


def _chart(name: str, uses: Mapping[str, Promised], charges: Mapping[str, Charged], longterm: bool) -> Chart:
    """Of what was asked: every use, then what is charged."""
    from pinhold.pictures.promises import promises
    from pinhold.report.asktable import MEANING, patched, verdicts

    told = [
        " ".join(filter(None, (use and f"{use[0].upper()}{use[1:]}:", *verdicts(found, longterm))))
        for use, found in uses.items()
    ]
    words = {cell.word for found in uses.values() for column in found.values() for cell in column.values()}
    notes = [f"{word}: {meaning}." for word, meaning in MEANING.items() if word in words]
    told += filter(None, [patched()])
    about = f"{' '.join(told)} A bar: this release promises otherwise than the one before it."
    return promises(f"What {name} promises", about, uses, {k: v for k, v in charges.items() if v}, notes)


def _status(answers: Sequence[Mapping[str, Mapping[Memory, Cell]]]) -> int:
    words = {cell.word for columns in answers for column in columns.values() for cell in column.values()}
    return EXIT_BROKEN if "error" in words else EXIT_HELD


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
