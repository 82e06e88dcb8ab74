"""New numbers put into effect: every array in its new order, every name of a frame, table, slot or token replaced.

Which field is ordered by what, and which names what, stands in the table of fields (mm/state.py), which the functions
that rename are made from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pinhold.explore.record import SearchState
from pinhold.mm.flags import PTE_FLAGS
from pinhold.mm.folio import folio_page, page_index
from pinhold.mm.generated import made
from pinhold.mm.kernel import kernel
from pinhold.mm.operations import arg_is_content, arg_is_pin  # noqa: F401
from pinhold.mm.pgtable import mk_pte, pt_is_table, pte_pfn, pte_present
from pinhold.mm.state import fields
from pinhold.mm.task import FN_GUP_FAST

PLACES = {
    "pages": "m.new_page[i]",
    "mm_ids": "2 * m.new_page[i // 2] + i % 2",
    "swap": "m.new_swap[i]",
    "tables": "m.new_table[i]",
}
"""Dimensions whose elements are renumbered with frames, swap slots and tables: where element i goes."""

PIN_PLACES = {
    "pins": "m.new_pin[i]",
    "runs": "m.new_pin[i // m.runs_per_pin] * m.runs_per_pin + i % m.runs_per_pin",
}
"""Those that are renumbered with pins."""


@kernel
def new_page_number(m: SearchState, page: int) -> int:
    """The page's new number; a negative one is no page."""
    if page < 0:
        return page
    if page < m.nr_pages:
        return m.new_page[page]
    index = page_index(m, page)
    return folio_page(m, m.new_page[index]) + page - folio_page(m, index)


@kernel
def new_entry(m: SearchState, entry: int) -> int:
    """An entry that names a page or a swap slot, with the new number."""
    if entry == 0:
        return 0
    if pte_present(entry):
        return mk_pte(new_page_number(m, pte_pfn(entry)), entry & PTE_FLAGS)
    return mk_pte(m.new_swap[pte_pfn(entry)], entry & PTE_FLAGS)


@kernel
def new_table_entry(m: SearchState, entry: int, level: int) -> int:
    """An entry of a table of that level."""
    if level > 0 and pt_is_table(entry):
        return mk_pte(m.new_table[pte_pfn(entry)], entry & PTE_FLAGS)
    return new_entry(m, entry)


@kernel
def rename_tables(m: SearchState) -> None:
    """Each table's entries to its new place."""
    for table in range(len(m.new_table)):
        first = m.new_table[table] << m.bits
        for i in range(1 << m.bits):
            m.spare[first + i] = new_table_entry(m, m.pte[(table << m.bits) + i], m.table_level[table])
    for slot in range(len(m.pte)):
        m.pte[slot] = m.spare[slot]


@kernel
def rename_new(m: SearchState) -> None:
    """act_new is a page, but in GUP-fast a number of pages."""
    for act in range(len(m.act_new)):
        if m.act_function[act] not in (FN_GUP_FAST, 0):
            m.act_new[act] = new_page_number(m, m.act_new[act])


@kernel
def new_pin_number(m: SearchState, pin: int) -> int:
    """The slot's new number; a negative one is no pin."""
    return m.new_pin[pin] if pin >= 0 else pin


def moved(name: str, place: str, new: str) -> Iterator[str]:
    """Each element i of a field to its place, as `new`."""
    yield from (f"    for i in range(len(m.{name})):", f"        m.spare[{place}] = {new}")
    yield from (f"    for i in range(len(m.{name})):", f"        m.{name}[i] = m.spare[i]")


def argument_lines(names: str, new: str) -> Iterator[str]:
    """The arguments of functions whose argument is of that sort, as `new`."""
    for name, f in fields():
        if f.names == "arg":
            yield from (f"    for i in range(len(m.{name})):", f"        if arg_is_{names}(m.act_function[i]):")
            yield f"            m.{name}[i] = {new.format(f'm.{name}[i]')}"


def renaming_lines() -> Iterator[str]:
    yield "def rename(m: SearchState) -> None:"
    yield '    """Every field in its new order, under new names."""'
    for name, f in fields():
        if f.constant or name in ("pte", "act_new"):
            continue
        old = f"m.{name}[i]"
        new = {
            "page": f"new_page_number(m, {old})",
            "swap": f"m.new_swap[{old}]",
            "table": f"m.new_table[{old}]",
            "entry": f"new_entry(m, {old})",
        }.get(f.names, old)
        if f.dim in PLACES:
            yield from moved(name, PLACES[f.dim], new)
        elif new == old:
            continue
        elif f.dim == "acts":
            yield from (f"    for i in range(len(m.{name})):", "        if m.act_function[i]:")
            yield f"            {old} = {new}"
        elif f.dim == "mms":
            yield from (f"    for i in range(len(m.{name})):", "        if m.mm_alive[i]:")
            yield f"            {old} = {new}"
        else:
            yield from (f"    for i in range(len(m.{name})):", f"        {old} = {new}")
    yield "    rename_tables(m)"
    yield "    rename_new(m)"


def pin_lines() -> Iterator[str]:
    yield "def rename_pins(m: SearchState) -> None:"
    yield '    """Every pin in its new slot, and whoever is at it there, too."""'
    for name, f in fields():
        if f.dim in PIN_PLACES and not f.constant:
            yield from moved(name, PIN_PLACES[f.dim], f"m.{name}[i]")
    yield from argument_lines("pin", "new_pin_number(m, {})")


def token_lines() -> Iterator[str]:
    yield "def rename_tokens(m: SearchState) -> None:"
    yield '    """Every token of content under its new name."""'
    for name, f in fields():
        if f.names == "token":
            yield from (f"    for i in range(len(m.{name})):", f"        m.{name}[i] = m.new_token[m.{name}[i]]")
    yield from argument_lines("content", "m.new_token[{}]")


rename: Callable[[SearchState], None] = made(renaming_lines(), globals())
rename_pins: Callable[[SearchState], None] = made(pin_lines(), globals())
rename_tokens: Callable[[SearchState], None] = made(token_lines(), globals())
