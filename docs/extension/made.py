"""Texts of the book that are made from pinhold's own tables: commands, releases, interfaces, mechanisms."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence

from pinhold.ask.answer import Task
from pinhold.ask.interfaces import INTERFACES
from pinhold.ask.promise import promise
from pinhold.cli import parser
from pinhold.mm.releases import entry, file_of, releases, stable
from pinhold.mm.rules import RULES
from pinhold.report.askinterface import interface_table

WIDTH = 100
"""Columns of a command's usage."""


def commands() -> str:
    """Every command with its arguments and options, from the grammar of the command line."""
    return "\n".join(line for words, each in walk(parser(), "pinhold") for line in _command(words, each))


def walk(of: argparse.ArgumentParser, words: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The commands below one, each by all its words, in the order of --help."""
    for action in of._actions:  # argparse tells them in no other way
        if isinstance(action, argparse._SubParsersAction):
            for name, each in action.choices.items():
                yield f"{words} {name}", each
                yield from walk(each, f"{words} {name}")


def _command(words: str, each: argparse.ArgumentParser) -> Iterator[str]:
    each.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=WIDTH)
    yield from (f"{'##' if words.count(' ') == 1 else '###'} {words}", "")
    if each.description:
        yield from (f"{each.description[0].upper()}{each.description[1:]}.", "")
    yield from (
        "```text",
        "\n".join(line[len("usage: ") :] for line in each.format_usage().rstrip().splitlines()),
        "```",
        "",
    )
    for action in each._actions:
        if action.help and not isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            yield from (f"`{_form(action)}`", f": {action.help}", "")


def _form(action: argparse.Action) -> str:
    """As one writes it: `--on TARGET`, `-o FILE`, `TEST`."""
    value = action.metavar or ("{" + ",".join(map(str, action.choices)) + "}" if action.choices else "")
    value = value if isinstance(value, str) else " ".join(value)
    return f"{', '.join(action.option_strings)} {'' if action.nargs == 0 else value}".strip()


def release_list() -> str:
    """The releases that have a row of rules, with the stable ones known of each."""
    return "\n".join(_table(("release", "stable releases", "source that was read"), map(_release, releases())))


def _release(series: str) -> tuple[str, ...]:
    ranges = (f"{series}.{r.start}" + (f" to {series}.{r.stop - 1}" if len(r) > 1 else "") for r in stable(series))
    return (f"Linux {series}", ", ".join(ranges) or "none", file_of(series).read or "no source")


def rule_rows() -> str:
    """Rules down, releases across: the value of each."""
    rows = ((f"[`{r.name}`](../rules.md#{r.name})", *(entry(r, each).value for each in releases())) for r in RULES)
    return "\n".join(_table(("rule", *releases()), rows))


def interfaces() -> str:
    """Of each interface that takes pages of user memory what `pinhold ask` answers."""
    seen: dict[Task[object], object] = {}

    def once(tasks: Sequence[Task[object]]) -> Iterable[object]:
        for task in tasks:
            if task not in seen:
                function, arguments = task
                seen[task] = function(*arguments)
            yield seen[task]

    lines: list[str] = []
    for interface in INTERFACES:
        others = ", ".join(f"`{alias}`" for alias in interface.aliases)
        lines += [f"## {interface.name}", "", f"Also asked for as {others}.", "", "```text"]
        lines += [*interface_table(promise(interface, releases(), once)), "```", ""]
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


TEXTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "interfaces": interfaces,
    "release_list": release_list,
    "rule_rows": rule_rows,
}
"""What `{{ NAME }}` in a page becomes."""
