"""What a scope fixes, for the specialiser: its geometry and configuration, and what it leaves out."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping

from pinhold.compiler.cache import kept, worked_out
from pinhold.compiler.facts import Facts
from pinhold.compiler.record import SpecialisedState
from pinhold.compiler.source import stored_fields
from pinhold.compiler.specialise import specialise
from pinhold.explore.moves import move
from pinhold.explore.pushes import absent_functions
from pinhold.explore.record import SearchMachine
from pinhold.explore.world import World
from pinhold.mm.kernel import REGISTRY, Part, load_specification
from pinhold.mm.state import fields

KINDS = {"thp": Part.THP, "hugetlb": Part.HUGETLB, "swap": Part.SWAP, "file": Part.FILE}
"""A scope's word for a kind of memory -> the part of a machine."""


def facts_of(world: World) -> Facts:
    """All that the scope fixes; rules stay open, so that one image serves every release.

    What is said of the machine's parts stands at the functions (mm/kernel.py).
    """
    m = world.machine
    slots = m.layout.slots
    constants = {n: getattr(m, n) for n, slot in slots.items() if not slot.count and not n.startswith("rule_")}
    sizes = {name: slot.count for name, slot in slots.items() if slot.count}
    absent = absent_functions(action.numbers for action in world.actions)
    first = {name: set(getattr(m, name)) for name, f in fields() if not f.constant}
    alike = {name: values.pop() for name, values in first.items() if len(values) == 1}
    lacking = missing(world, absent, alike)
    absent |= {f.__name__ for f, marks in REGISTRY.items() if marks.needs in lacking}
    results = {f.__name__: marks.without[p] for f, marks in REGISTRY.items() for p in marks.without if p in lacking}
    return Facts(constants, sizes, dict(never_stored(m)), results, frozenset(absent), alike)


def missing(world: World, absent: Collection[str], alike: Mapping[str, int]) -> set[Part]:
    """What the scope's machine is without.  absent: functions that no operation comes to; alike: see Facts.first."""
    scope = world.scope
    found = {part for kind, part in KINDS.items() if kind not in scope.kinds}
    if {Part.THP, Part.HUGETLB} <= found:
        found.add(Part.LARGE)
    if scope.small.lru_batch <= 1 and "madvise_free" in absent:
        found.add(Part.LRU_BATCH)
    if not scope.content and alike.get("page_content") == alike.get("swap_content") == 0:
        found.add(Part.CONTENT)
    return found


def never_stored(m: SearchMachine) -> Iterator[tuple[str, int]]:
    """The constant arrays to which no function stores, and whose elements are alike."""
    stored = set(kept("stored", REGISTRY, None, lambda: " ".join(sorted(stored_anywhere()))).split())
    stored |= set(vars(SpecialisedState))  # by what stands in for functions that are left out
    for name, f in fields(record=type(m)):
        if f.constant and f.dim and name not in stored and len(values := set(getattr(m, name))) == 1:
            yield name, values.pop()


def stored_anywhere() -> set[str]:
    """The arrays that any function of the specification stores to: to be read from the text of all of them."""
    return {name for function in REGISTRY for name in stored_fields(function)}


def decisions_of(world: World) -> frozenset[int]:
    """The decision sites that the functions of the scope contain, whatever the rules."""
    load_specification()
    facts = facts_of(world)
    told = worked_out(
        "decisions", (move,), facts, world.machine.layout, lambda: " ".join(map(str, sorted(decisions_in(facts))))
    )
    return frozenset(map(int, told.split()))


def decisions_in(facts: Facts) -> set[int]:
    found: set[int] = set()
    for node in ast.walk(ast.parse(specialise([move], facts))):
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Subscript) and ast.unparse(target.value) == "m.coverage":
            found |= sites_in(target.slice)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "decided":
            found |= sites_in(node.args[1])
    return found


def sites_in(expression: ast.expr) -> set[int]:
    """The site, or the two between which an expression chooses."""
    chosen = (expression.body, expression.orelse) if isinstance(expression, ast.IfExp) else (expression,)
    return {e.value for e in chosen if isinstance(e, ast.Constant) and isinstance(e.value, int)}
