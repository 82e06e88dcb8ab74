"""Other names for functions of the API: macros that stand for one, that call one, and macros that hold a release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pinhold.audit import syntax
from pinhold.audit.api import API, DIRTIES, PUTS, UNPINS, Entry, Shape
from pinhold.audit.macros import Macro, Macros
from pinhold.audit.syntax import text

if TYPE_CHECKING:
    from tree_sitter import Node

_ROUNDS = 3
_CALLS = "(call_expression function: (identifier) @name) @call"


@dataclass(frozen=True, slots=True)
class Names:
    """The functions by all their names.

    aliases: name -> what it stands for; meant: what each definition of a name stands for; puts, unpins, dirties: as in
    api.
    """

    entries: Mapping[str, Entry]
    aliases: Mapping[str, str]
    meant: Mapping[Macro, tuple[str, Entry]] = field(default_factory=dict)
    puts: frozenset[str] = PUTS
    unpins: frozenset[str] = UNPINS
    dirties: frozenset[str] = DIRTIES

    @property
    def releases(self) -> frozenset[str]:
        return self.puts | self.unpins

    def of(self, name: str, macros: Macros) -> list[tuple[Entry, Macro | None]]:
        """What a name is in a file with these macros: more than one where nobody decides between them."""
        if name in API:
            return [(API[name], None)]
        seen = [one for one in macros.of(name) if one in self.meant]
        seen = seen or [one for one in self.meant if one.name == name]
        found: list[tuple[Entry, Macro | None]] = []
        for macro in seen:
            entry = self.meant[macro][1]
            if all(entry != other or macro.parameters is not None for other, _ in found):
                found.append((entry, macro))
        return found or [(self.entries[name], None)]


def names(files: Iterable[Macros]) -> Names:
    """API with the aliases that these files define."""
    entries, aliases, meant = dict(API), dict[str, str](), dict[Macro, tuple[str, Entry]]()
    sets = {"puts": set(PUTS), "unpins": set(UNPINS), "dirties": set(DIRTIES)}
    defines = list(dict.fromkeys(one for file in files for same in file.known.values() for one in same if one.defined))
    calling = [(one, calls) for one in defines if (calls := one.calls)]
    for _ in range(_ROUNDS):
        named = frozenset(entries).union(*sets.values())
        for macro, calls in calling:
            called = calls & named
            if not called or macro.name in called or macro in meant:
                continue
            for known in sets.values():
                if called & known and (macro.parameters is not None or macro.body.strip("() ") in known):
                    known.add(macro.name)
            found = _meant(macro, entries) if macro.name not in API else None
            if found is not None:
                meant[macro] = found
                entries.setdefault(macro.name, found[1])
                aliases.setdefault(macro.name, aliases.get(found[0], found[0]))
    return Names(entries, aliases, meant, **{key: frozenset(known) for key, known in sets.items()})


def _meant(macro: Macro, entries: Mapping[str, Entry]) -> tuple[str, Entry] | None:
    """The function that a macro stands for, or calls: which of its own arguments are which of that."""
    target = macro.body.strip("() ")
    if macro.parameters is None:
        return (target, entries[target]) if target in entries else None
    body = syntax.fragment(macro.body)
    for match in syntax.matches(_CALLS, body) if body is not None else ():
        name = text(match["name"])
        if name not in entries:
            continue
        given = [text(one) for one in syntax.arguments_of(match["call"])]
        shape = entries[name].shapes.get(len(given), Shape())
        own = macro.parameters

        def where(number: int | None, given: list[str] = given, own: tuple[str, ...] = own) -> int | None:
            wanted = given[number].strip("() ") if number is not None and number < len(given) else None
            return own.index(wanted) if wanted in own else None

        made = Shape(where(shape.flags), where(shape.pages), where(shape.count), where(shape.write), where(shape.force))
        return name, replace(entries[name], shapes={len(own): made})
    return None


def called_by(macro: Macro, arguments: list[str], entries: Mapping[str, Entry]) -> tuple[str, list[Node]] | None:
    """The call of a function of the API that a macro makes with these arguments."""
    words = macro.expanded(arguments) if macro.parameters is not None else None
    body = syntax.fragment(words) if words is not None else None
    for match in syntax.matches(_CALLS, body) if body is not None else ():
        if text(match["name"]) in entries:
            return text(match["name"]), syntax.arguments_of(match["call"])
    return None
