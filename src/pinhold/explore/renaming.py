"""New numbers put into effect: every array in its new order, every name of a frame, table, slot or token replaced.

Which field is ordered by what, and which names what, stands in the table of fields (mm/state.py); the two functions
that rename are made from it as source text, so that a new field cannot be forgotten.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator
from typing import cast

from pinhold.mm.flags import PTE_FLAGS
from pinhold.mm.folio import folio_page, page_index
from pinhold.mm.kernel import kernel
from pinhold.mm.pgtable import mk_pte, pt_is_table, pte_pfn, pte_present
from pinhold.mm.state import State, fields
from pinhold.mm.task import FN_ACCESS, FN_ACCESS_REMOTE, FN_GUP_FAST  # noqa: F401

ORDER = {"pages": "new_page", "swap": "new_swap", "tables": "new_table"}
"""Dimensions whose elements are renumbered: the array of new numbers."""


@kernel
def new_page_number(m: State, page: int) -> int:
    """The page's new number; a negative one is no page."""
    if page < 0:
        return page
    if page < m.nr_pages:
        return m.new_page[page]
    index = page_index(m, page)
    return folio_page(m, m.new_page[index]) + page - folio_page(m, index)


@kernel
def new_entry(m: State, entry: int) -> int:
    """An entry that names a page or a swap slot, with the new number."""
    if entry == 0:
        return 0
    if pte_present(entry):
        return mk_pte(new_page_number(m, pte_pfn(entry)), entry & PTE_FLAGS)
    return mk_pte(m.new_swap[pte_pfn(entry)], entry & PTE_FLAGS)


@kernel
def new_table_entry(m: State, entry: int, level: int) -> int:
    """An entry of a table of that level."""
    if level > 0 and pt_is_table(entry):
        return mk_pte(m.new_table[pte_pfn(entry)], entry & PTE_FLAGS)
    return new_entry(m, entry)


@kernel
def rename_tables(m: State) -> None:
    """Each table's entries to its new place."""
    for table in range(len(m.new_table)):
        first = m.new_table[table] << m.bits
        for i in range(1 << m.bits):
            m.spare[first + i] = new_table_entry(m, m.pte[(table << m.bits) + i], m.table_level[table])
    for slot in range(len(m.pte)):
        m.pte[slot] = m.spare[slot]


@kernel
def rename_new(m: State) -> None:
    """act_new is a page, but in GUP-fast a number of pages."""
    for act in range(len(m.act_new)):
        if m.act_function[act] not in (FN_GUP_FAST, 0):
            m.act_new[act] = new_page_number(m, m.act_new[act])


def renaming_lines() -> Iterator[str]:
    yield "def rename(m):"
    yield '    """Every field in its new order, under new names."""'
    for name, f in fields():
        if f.constant or name in ("pte", "act_new"):
            continue
        new = {
            "page": f"new_page_number(m, m.{name}[i])",
            "swap": f"m.new_swap[m.{name}[i]]",
            "table": f"m.new_table[m.{name}[i]]",
            "entry": f"new_entry(m, m.{name}[i])",
        }.get(f.names, f"m.{name}[i]")
        if f.dim in ORDER:
            yield from (f"    for i in range(len(m.{name})):", f"        m.spare[m.{ORDER[f.dim]}[i]] = {new}")
            yield from (f"    for i in range(len(m.{name})):", f"        m.{name}[i] = m.spare[i]")
        elif f.dim == "mm_ids":
            yield from (
                f"    for i in range(len(m.{name})):",
                f"        m.spare[2 * m.new_page[i // 2] + i % 2] = {new}",
            )
            yield from (f"    for i in range(len(m.{name})):", f"        m.{name}[i] = m.spare[i]")
        elif f.dim == "acts" and f.names:
            yield from (f"    for i in range(len(m.{name})):", "        if m.act_function[i]:")
            yield f"            m.{name}[i] = {new}"
        elif f.dim == "mms" and f.names:
            yield from (f"    for i in range(len(m.{name})):", "        if m.mm_alive[i]:")
            yield f"            m.{name}[i] = {new}"
        elif f.names:
            yield from (f"    for i in range(len(m.{name})):", f"        m.{name}[i] = {new}")
    yield "    rename_tables(m)"
    yield "    rename_new(m)"


def token_lines() -> Iterator[str]:
    yield "def rename_tokens(m):"
    yield '    """Every token of content under its new name."""'
    for name, f in fields():
        if f.names == "token":
            yield from (f"    for i in range(len(m.{name})):", f"        m.{name}[i] = m.new_token[m.{name}[i]]")
    yield "    for act in range(len(m.act_arg)):"
    yield "        if m.act_function[act] in (FN_ACCESS, FN_ACCESS_REMOTE):"
    yield "            m.act_arg[act] = m.new_token[m.act_arg[act]]"


def made(name: str, lines: Iterator[str]) -> Callable[[State], None]:
    """A `@kernel` function from its source text, which inspect finds as if it stood in a file."""
    source = "\n".join(lines) + "\n"
    file = f"<renaming {name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), globals())
    function = globals()[name]
    function.__annotations__["return"] = "None"
    return kernel(cast("Callable[[State], None]", function))


rename = made("rename", renaming_lines())
rename_tokens = made("rename_tokens", token_lines())
