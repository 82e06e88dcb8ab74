"""Which switch made the difference between two releases: those that the kernel used, turned back one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pinhold.ask.cell import ABSENT, Cell, cell
from pinhold.ask.flags import Request
from pinhold.ask.memory import Memory
from pinhold.mm.releases import row
from pinhold.mm.rules import RULES, Switch


@dataclass(frozen=True, slots=True)
class Cause:
    """A switch that changed.  before, after: the names of its values."""

    rule: Switch
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """A cell that differs from its neighbour's.

    causes: turned back in the newer release, each of them alone brings the older answer back; where `together` is true
    all of them do, and none can be left out.  Empty where nothing does.
    """

    memory: Memory
    old: str
    new: str
    before: str
    after: str
    causes: tuple[Cause, ...] = ()
    together: bool = False


def changes(request: Request, old: str, new: str, cells: Mapping[Memory, tuple[Cell, Cell]]) -> tuple[Change, ...]:
    """Why the newer release's answers differ: each is computed again with switches turned back.

    cells: what both releases give.  A switch whose decision was recorded while they were computed is taken before one
    that only differs; several together where none does alone.
    """
    before_row, after_row = row(old), row(new)
    differing = [rule for rule in RULES if before_row[rule.name] != after_row[rule.name]]
    known: dict[tuple[Switch, ...], None] = {}
    found = []
    for memory, (before, after) in cells.items():
        if before.word == after.word or ABSENT in (before.word, after.word):
            continue

        def enough(rules: Sequence[Switch], memory: Memory = memory, older: Cell = before) -> bool:
            turned = {rule.name: before_row[rule.name] for rule in rules}
            words = (cell(request, memory, new, rules=turned, only=event).word for event in (older.event, ""))
            return all(word == older.word for word in words)

        used = {d.rule for d in (*before.decisions, *after.decisions)}
        recorded = [rule for rule in differing if rule.name in used]
        others = [rule for rule in differing if rule.name not in used]
        guilty = tuple(r for r in recorded if enough([r])) or tuple(r for r in others if enough([r]))
        together = not guilty
        if together:
            guilty = next((rules for rules in known if enough(rules)), ()) or _needed(recorded + others, enough)
            known[guilty] = None
        causes = tuple(Cause(r, r.names[before_row[r.name]], r.names[after_row[r.name]]) for r in guilty)
        found.append(Change(memory, old, new, before.word, after.word, causes, together))
    return tuple(found)


def _needed(suspects: Sequence[Switch], enough: Callable[[Sequence[Switch]], bool]) -> tuple[Switch, ...]:
    """Some that are enough together and of which none can be left out; the first ones are kept longest."""
    if not enough(suspects):
        return ()
    needed = list(suspects)
    for rule in reversed(suspects):
        fewer = [other for other in needed if other is not rule]
        if fewer and enough(fewer):
            needed = fewer
    return tuple(needed)
