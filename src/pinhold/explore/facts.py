"""What a scope fixes, for the specialiser: its geometry and configuration, and what it leaves out."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from pinhold.compiler.cache import known
from pinhold.compiler.facts import Facts
from pinhold.compiler.specialise import specialise
from pinhold.explore.moves import ACT_PIN, move
from pinhold.explore.pushes import absent_functions
from pinhold.explore.world import World
from pinhold.mm.kernel import load_specification
from pinhold.mm.state import fields


@dataclass(frozen=True)
class Without:
    """What is known where a kind of memory is missing: see compiler/facts.py."""

    results: dict[str, str] = field(default_factory=dict)
    everywhere: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


WITHOUT = {
    "thp": Without(
        results={"is_huge_zero_page": "False"},
        absent=("fault_pmd", "split_huge_pmd", "copy_huge_pmd", "huge_install", "zap_huge_pmd", "huge_zero_folio"),
    ),
    "hugetlb": Without(
        results={"vma_is_hugetlb": "False", "folio_test_hugetlb": "False", "page_index": "page", "folio_page": "folio"},
        absent=(
            "hugetlb_fault",
            "hugetlb_install",
            "zap_hugetlb",
            "copy_hugetlb_page_range",
            "copy_hugetlb_page",
            "hugetlb_install_folio",
            "hugetlb_unreserve",
            "alloc_hugetlb_folio",
        ),
    ),
    "large": Without(
        results={"page_folio": "page", "folio_nr_pages": "1", "folio_has_pincount": "False"},
        everywhere=(
            "folio_order",
            "page_offset",
            "folio_entire_mapcount",
            "folio_large_mapcount",
            "folio_pincount",
            "folio_mm_id",
            "folio_mm_id_mapcount",
        ),
        absent=("large_mapcount_add", "large_mapcount_sub", "wp_can_reuse_large_anon_folio", "split_folio"),
    ),
    "swap": Without(
        results={"folio_test_swapcache": "False", "pte_swapped": "False", "free_swap_cache": "None"},
        everywhere=("folio_swap",),
        absent=("swapin_lookup", "swapin_read", "do_swap_page", "free_swap_and_cache", "swap_duplicate"),
    ),
    "file": Without(results={"vma_is_anonymous": "True"}, absent=("do_fault",)),
    "lru_batch": Without(results={"folio_add_lru": "None", "lru_add_drain": "None"}),
    "pools": Without(results={"put_first": "None", "pins_in_order": "True"}, everywhere=("pool_rest",)),
    "content": Without(results={"store": "None", "folio_copy": "None"}, everywhere=("page_content", "swap_content")),
    "user": Without(results={"user_of": "0"}),
}


def facts_of(world: World) -> Facts:
    """All that the scope fixes; rules stay open, so that one image serves every release."""
    m, scope = world.machine, world.scope
    slots = m.layout.slots
    constants = {n: getattr(m, n) for n, slot in slots.items() if not slot.count and not n.startswith("rule_")}
    sizes = {name: slot.count for name, slot in slots.items() if slot.count}
    numbers = [action.numbers for action in world.actions]
    absent = absent_functions(numbers)
    first = {name: set(getattr(m, name)) for name, f in fields() if not f.constant}
    alike = {name: values.pop() for name, values in first.items() if len(values) == 1}
    missing = {kind for kind in ("thp", "hugetlb", "swap", "file") if kind not in scope.kinds}
    missing |= {"large"} if {"thp", "hugetlb"} <= missing else set()
    missing |= {"pools"} if not scope.pools else set()
    batched = scope.small.lru_batch > 1 or "madvise_free" not in absent
    missing |= set() if batched else {"lru_batch"}
    stored = scope.content or alike.get("page_content") != 0 or alike.get("swap_content") != 0
    missing |= set() if stored else {"content"}
    used = any(kind == ACT_PIN and user for kind, user, *_ in numbers)
    missing |= set() if used else {"user"}
    results: dict[str, str] = {}
    everywhere: dict[str, int] = {}
    for kind in missing:
        results |= WITHOUT[kind].results
        everywhere |= dict.fromkeys(WITHOUT[kind].everywhere, 0)
        absent |= set(WITHOUT[kind].absent)
    return Facts(constants, sizes, everywhere, results, frozenset(absent), alike)


def decisions_of(world: World) -> frozenset[int]:
    """The decision sites that the functions of the scope contain, whatever the rules."""
    load_specification()
    facts = facts_of(world)
    told = known(
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
