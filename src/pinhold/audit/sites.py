"""Call sites: each call of the API with its flags, alternative by alternative."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from pinhold.audit.aliases import Names, called_by, names
from pinhold.audit.api import API, OTHER, PIN, Entry, Shape
from pinhold.audit.callers import parameters_in
from pinhold.audit.evaluate import Evaluator
from pinhold.audit.files import Tree
from pinhold.audit.macros import Macro
from pinhold.audit.syntax import line, text
from pinhold.audit.unit import Call, Prepared, Unit, mentions, prepare, read
from pinhold.audit.values import Alternative, Value, bounded, joined, under, value

if TYPE_CHECKING:
    from tree_sitter import Node

MOST_MORE = 12
"""Functions that pass flags on, whose callers are looked for in all files."""
ROUNDS = 2
MOST_CALLS = 64
"""Of a file; no file of a kernel has half as many."""
MOST_SENTENCES = 20
"""About what is not followed."""


@dataclass(eq=False)
class Site:
    """A call.

    entry: what it calls; shape: where its arguments are, None where their number is of no known era; macro: what the
    name is, where it is one.
    """

    call: Call
    entry: Entry
    shape: Shape | None
    value: Value
    macro: Macro | None = None

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
        if self.macro is not None and self.macro.parameters is not None and self.shape.flags is None:
            return ", ".join(line(one) for one in self.call.arguments)
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
    prepared = _prepared(tree, tree.sources, release)
    known = names(one.macros for one in prepared)
    if known.aliases:
        prepared += _prepared(tree, tree.more(list(known.aliases)), release)
    wanted = frozenset(known.entries)
    units: dict[str, Unit] = {}
    evaluator = Evaluator([])
    made = Reading(tree, release, known, units, evaluator)
    for _ in range(ROUNDS):
        for number, one in enumerate(prepared):
            units[one.path] = read(one, wanted)
            progress(number + 1, len(prepared))
        fresh = [one.path for one in prepared]
        evaluator.add([units[path] for path in fresh])
        made.sites = [
            one for unit in units.values() for call in _calls(unit, known)[:MOST_CALLS] for one in calls_at(made, call)
        ]
        passing = _passing(made)
        prepared = _prepared(tree, tree.more(passing[:MOST_MORE]), release) if passing else []
        if not prepared:
            break
    for path, unit in sorted(units.items()):
        if len(_calls(unit, known)) > MOST_CALLS:
            tree.left_out.append(f"of {path} only the first {MOST_CALLS} calls were looked at")
    tree.left_out += list(dict.fromkeys(_not_followed(made)))[:MOST_SENTENCES]
    made.sites.sort(key=lambda one: (one.path, one.line))
    made.wrappers = _wrappers(made)
    return made


def _prepared(tree: Tree, sources: Mapping[str, bytes], release: str) -> list[Prepared]:
    return [prepare(path, sources[path], release, tree.header) for path in sorted(sources)]


def _calls(unit: Unit, known: Names) -> list[Call]:
    return [call for call in unit.calls if _is_site(call, known)]


def _is_site(call: Call, known: Names) -> bool:
    if call.name not in known.entries or call.in_macro:
        return False
    return call.function is not None or not _prototype(call)


def _prototype(call: Call) -> bool:
    """A declaration that is read as a call, as macros before it make it."""
    return any(one.type in ("ERROR", "declaration") or "*" in text(one)[:2] for one in call.arguments[:1])


def calls_at(reading: Reading, call: Call) -> Iterator[Site]:
    """One call, evaluated: of each function that its name may stand for."""
    for entry, macro in reading.names.of(call.name, call.unit.macros):
        made = Site(call, entry, entry.shapes.get(len(call.arguments)), (), macro)
        made.value = _value(reading, made)
        yield made


def _value(reading: Reading, made: Site) -> Value:
    evaluator = reading.evaluator
    shape, call = made.shape, made.call
    if made.macro is not None and made.macro.parameters is not None:
        return under(_by_macro(reading, made, made.macro), made.macro.when)
    if made.macro is not None and made.macro.when:
        return under(_passed(evaluator, made, shape, call.arguments), made.macro.when)
    return _passed(evaluator, made, shape, call.arguments)


def _by_macro(reading: Reading, made: Site, macro: Macro) -> Value:
    """What a macro passes on where it is called."""
    inner = called_by(macro, [text(one) for one in made.call.arguments], reading.names.entries)
    if inner is None:
        return value(f"?{macro.name}(), a macro")
    shape = reading.names.entries[inner[0]].shapes.get(len(inner[1]))
    return _passed(reading.evaluator, made, shape, inner[1])


def _passed(evaluator: Evaluator, made: Site, shape: Shape | None, arguments: Sequence[Node]) -> Value:
    call = made.call

    def argument(number: int | None) -> Node | None:
        return arguments[number] if number is not None and number < len(arguments) else None

    implied = value(*made.entry.implied)
    if shape is None:
        return implied if made.entry.kind == OTHER else value("?arguments")
    flags = argument(shape.flags)
    if flags is not None:
        return joined(implied, evaluator.value(call.unit, flags, call.node))
    made_of = implied
    for number, name in ((shape.write, "FOLL_WRITE"), (shape.force, "FOLL_FORCE")):
        node = argument(number)
        if node is not None:
            made_of = joined(made_of, _flag(evaluator.value(call.unit, node, call.node), name))
    return made_of


def _flag(truth: Value, name: str) -> Value:
    """A boolean argument of older releases as the flag that it stood for."""
    return bounded(
        Alternative(frozenset({name}) if one.known and one.flags else one.flags, one.when, one.path) for one in truth
    )


def _passing(reading: Reading) -> list[str]:
    """Functions that others call, on whose callers some site's flags depend: of a kernel, where none is seen yet."""
    found: dict[str, None] = {}
    for one in reading.sites:
        for name in dict.fromkeys(_asking(one, reading.tree.kernel)):
            same = reading.evaluator.functions.get(name, [])
            if name not in reading.names.entries and any(not each.static or each.unit.header for each in same):
                found[name] = None
    return list(found)


def _asking(site: Site, kernel: bool) -> Iterator[str]:
    """The functions that the flags of a call come through."""
    function = site.call.function
    for alternative in site.value:
        for flag in alternative.flags:
            words = flag.split()
            if flag.startswith("?parameter") and len(words) >= 4:
                yield words[3].rstrip(",").removesuffix("()")
        if not kernel and function is not None:
            yield from (step.function for step in alternative.path)
            asks = any(one.function == function.name and parameters_in(function, one.text) for one in alternative.when)
            if alternative.path or asks:
                yield function.name


def _not_followed(reading: Reading) -> Iterator[str]:
    """Sentences about where a function of the API is named and not called: what is done with that is not seen."""
    named = re.compile(rb"\b(" + "|".join(reading.names.entries).encode() + rb")\b(?!\s*\()")
    for path, unit in sorted(reading.units.items()):
        if reading.tree.kernel and path.startswith(("mm/", "include/")):
            continue
        for name in dict.fromkeys(found.decode() for found in named.findall(unit.source)):
            if any(mentions(unit, name)):
                yield f"{path}: {name}() is named and not called: calls by way of its address are not followed"
        for macro in (one for same in unit.macros.known.values() for one in same):
            called = sorted(macro.calls & set(API)) if macro.body else []
            if called and macro.name not in API and macro not in reading.names.meant:
                yield f"{path}: the macro {macro.name} names {called[0]}(): calls by it are not followed"


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
