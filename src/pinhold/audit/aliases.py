"""Other names for functions of the API: macros that stand for one, and macros that hold a release."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pinhold.audit.api import API, DIRTIES, PUTS, UNPINS, Entry, Shape

_ALIAS = re.compile(
    rb"^[ \t]*#[ \t]*define[ \t]+(\w+)(\([^()\n]*\))?[ \t]*(?:\\\r?\n[ \t]*)?\(?(\w+)[ \t]*(\([^\n]*)?$", re.M
)
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Names:
    """The functions by all their names.  aliases: name -> what it stands for; puts, unpins, dirties: as in api."""

    entries: Mapping[str, Entry]
    aliases: Mapping[str, str]
    puts: frozenset[str] = PUTS
    unpins: frozenset[str] = UNPINS
    dirties: frozenset[str] = DIRTIES

    @property
    def releases(self) -> frozenset[str]:
        return self.puts | self.unpins


def names(sources: Iterable[bytes]) -> Names:
    """API with the aliases that these sources define."""
    entries, aliases = dict(API), dict[str, str]()
    sets = {"puts": set(PUTS), "unpins": set(UNPINS), "dirties": set(DIRTIES)}
    defines = [match.groups() for text in sources for match in _ALIAS.finditer(text)]
    for _ in range(_ROUNDS):
        for raw, parameters, raw_target, passed in defines:
            name, target = raw.decode("latin1"), raw_target.decode("latin1")
            if name == target:
                continue
            for known in sets.values():
                if target in known:
                    known.add(name)
            if target in entries and name not in entries:
                entry = entries[target] if parameters is None else _by_parameters(entries[target], parameters, passed)
                if entry is not None:
                    entries[name] = entry
                    aliases[name] = aliases.get(target, target)
    return Names(entries, aliases, **{key: frozenset(known) for key, known in sets.items()})


def _by_parameters(entry: Entry, parameters: bytes, passed: bytes | None) -> Entry | None:
    """A macro with arguments: which of its own it passes as flags, and which as pages."""
    own = [one.strip() for one in parameters.decode("latin1").strip("()").split(",")]
    inner = (passed or b"").decode("latin1").strip()
    if not inner.startswith("("):
        return None
    given = [one.strip(" ()") for one in inner.rstrip(" ;\\")[1:].split(",")]
    shape = entry.shapes.get(len(given))
    if shape is None:
        return None

    def where(number: int | None) -> int | None:
        wanted = given[number] if number is not None and number < len(given) else None
        return own.index(wanted) if wanted in own else None

    made = Shape(where(shape.flags), where(shape.pages), where(shape.count), where(shape.write), where(shape.force))
    if made.flags is None and made.write is None:
        return None
    return replace(entry, shapes={len(own): made})
