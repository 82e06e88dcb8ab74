"""Call sites: each call of the API with its flags, alternative by alternative."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from pinhold.audit.aliases import Names, names
from pinhold.audit.api import OTHER, PIN, Entry, Shape
from pinhold.audit.evaluate import Evaluator
from pinhold.audit.files import Tree
from pinhold.audit.syntax import line, text
from pinhold.audit.unit import Call, Unit, read
from pinhold.audit.values import Alternative, Value, bounded, joined, value

if TYPE_CHECKING:
    from tree_sitter import Node

MOST_MORE = 12
"""Functions that pass flags on, whose callers are looked for in all files."""
ROUNDS = 2
MOST_CALLS = 64
"""Of a file; no file of a kernel has half as many."""


@dataclass(eq=False)
class Site:
    """A call.  entry: what it calls; shape: where its arguments are, None where their number is of no known era."""

    call: Call
    entry: Entry
    shape: Shape | None
    value: Value

    @property
    def unit(self) -> Unit:
        return self.call.unit

    @property
    def path(self) -> str:
        return self.call.unit.path

    @property
    def line(self) -> int:
        return self.call.line

    @property
    def function(self) -> str:
        return self.call.function.name if self.call.function else "?"

    @property
    def gup(self) -> bool:
        """Whether it is a function of GUP itself, not one above it."""
        return self.entry.kind != OTHER

    @property
    def pin(self) -> bool:
        return self.entry.kind == PIN or (self.entry.kind == OTHER and self.entry.pinned)

    @property
    def resolved(self) -> bool:
        """Whether every alternative is known."""
        return bool(self.value) and all(one.known for one in self.value)

    def argument(self, number: int | None) -> Node | None:
        return self.call.arguments[number] if number is not None and number < len(self.call.arguments) else None

    @cached_property
    def pages(self) -> Node | None:
        """The expression for the array of pages."""
        node = self.argument(self.shape.pages if self.shape else None)
        return None if node is None or line(node) in ("NULL", "0") else node

    @property
    def keeps_none(self) -> bool:
        """Whether NULL is passed for the array of pages: they are faulted in, and not got."""
        return self.shape is not None and self.shape.pages is not None and self.pages is None

    @cached_property
    def expression(self) -> str:
        """What is passed as flags, as it stands in the source."""
        if self.shape is None:
            return "?"
        if self.shape.flags is not None:
            return line(self.argument(self.shape.flags))
        if self.shape.write is not None:
            force = self.argument(self.shape.force)
            return f"write={line(self.argument(self.shape.write))}" + (f", force={line(force)}" if force else "")
        return ""


@dataclass(eq=False)
class Reading:
    """A tree, parsed.  sites: by file and line; wrappers: the functions that pass on flags of their callers' choice."""

    tree: Tree
    release: str
    names: Names
    units: dict[str, Unit]
    evaluator: Evaluator
    sites: list[Site] = field(default_factory=list)
    wrappers: dict[str, list[Site]] = field(default_factory=dict)
    letting: dict[tuple[str, int], bool] = field(default_factory=dict)
    """Of functions that were asked for: whether they release pages (lifetime.lets_go())."""


def sites(tree: Tree, release: str, progress: Callable[[int, int], None] = lambda done, total: None) -> Reading:
    """Parse what names the API, and evaluate each call.  Raises syntax.Missing."""
    known = names(tree.sources.values())
    fresh = dict(tree.sources)
    if known.aliases:
        fresh |= tree.more(list(known.aliases))
    wanted = frozenset(known.entries)
    units: dict[str, Unit] = {}
    evaluator = Evaluator([])
    made = Reading(tree, release, known, units, evaluator)
    for _ in range(ROUNDS):
        for number, path in enumerate(sorted(fresh)):
            units[path] = read(path, fresh[path], release, wanted)
            progress(number + 1, len(fresh))
        evaluator.add([units[path] for path in sorted(fresh)])
        made.sites = [site(made, call) for unit in units.values() for call in _calls(unit, known)[:MOST_CALLS]]
        passing = _passing(made)
        fresh = tree.more(passing[:MOST_MORE]) if passing else {}
        if not fresh:
            break
    for path, unit in sorted(units.items()):
        if len(_calls(unit, known)) > MOST_CALLS:
            tree.left_out.append(f"of {path} only the first {MOST_CALLS} calls were looked at")
    made.sites.sort(key=lambda one: (one.path, one.line))
    made.wrappers = _wrappers(made)
    return made


def _calls(unit: Unit, known: Names) -> list[Call]:
    return [call for call in unit.calls if _is_site(call, known)]


def _is_site(call: Call, known: Names) -> bool:
    if call.name not in known.entries or call.in_macro:
        return False
    return call.function is not None or not _prototype(call)


def _prototype(call: Call) -> bool:
    """A declaration that is read as a call, as macros before it make it."""
    return any(one.type in ("ERROR", "declaration") or "*" in text(one)[:2] for one in call.arguments[:1])


def site(reading: Reading, call: Call) -> Site:
    """One call, evaluated."""
    entry = reading.names.entries[call.name]
    shape = entry.shapes.get(len(call.arguments))
    made = Site(call, entry, shape, ())
    made.value = _value(reading.evaluator, made)
    return made


def _value(evaluator: Evaluator, made: Site) -> Value:
    shape, call = made.shape, made.call
    implied = value(*made.entry.implied)
    if shape is None:
        return implied if made.entry.kind == OTHER else value("?arguments")
    flags = made.argument(shape.flags)
    if flags is not None:
        return joined(implied, evaluator.value(call.unit, flags, call.node))
    made_of = implied
    for number, name in ((shape.write, "FOLL_WRITE"), (shape.force, "FOLL_FORCE")):
        node = made.argument(number)
        if node is not None:
            made_of = joined(made_of, _flag(evaluator.value(call.unit, node, call.node), name))
    return made_of


def _flag(truth: Value, name: str) -> Value:
    """A boolean argument of older releases as the flag that it stood for."""
    return bounded(
        Alternative(frozenset({name}) if one.known and one.flags else one.flags, one.when, one.path) for one in truth
    )


def _passing(reading: Reading) -> list[str]:
    """Functions that others call, whose parameter is what is not known of some site's flags."""
    found: dict[str, None] = {}
    for one in reading.sites:
        for alternative in one.value:
            for flag in alternative.flags:
                words = flag.split()
                if flag.startswith("?parameter") and len(words) == 4:
                    name = words[3].removesuffix("()")
                    same = reading.evaluator.functions.get(name, [])
                    if name not in reading.names.entries and any(
                        not function.static or function.unit.header for function in same
                    ):
                        found[name] = None
    return list(found)


def _wrappers(reading: Reading) -> dict[str, list[Site]]:
    """By name of a function with callers: the sites in it whose flags its callers choose."""
    found: dict[str, list[Site]] = {}
    for one in reading.sites:
        function = one.call.function
        if function is None:
            continue
        if any(step.function != function.name for alternative in one.value for step in alternative.path):
            found.setdefault(function.name, []).append(one)
    return found
