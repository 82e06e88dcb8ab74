"""An IOMMU's tables, walked in raw words: as the processor's they are of 512 entries at each level."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pinhold.inspect.errors import CannotLook
from pinhold.inspect.view import View

FRAME = 0x000F_FFFF_FFFF_F000
"""Bits of an entry that are a physical address."""
_BITS, _SHIFT = 9, 12
_TOP_LEVEL = 7
"""Low bits of pt_common.top_of_table: the number of levels, less one (PT_TOP_LEVEL_MASK)."""


class OtherIommu(CannotLook):
    """The tables of this IOMMU are of a kind that is not known here."""


@dataclass(frozen=True, slots=True)
class Form:
    """What entries look like.  present: bits of which one is set in those that are not empty; table: whether an entry
    above the lowest level leads to a table, by its value; page: the physical address of an entry, by its value, the
    address that it stands for, and how many bytes."""

    present: int
    table: Callable[[int], bool]
    page: Callable[[int, int, int], int]


@dataclass(frozen=True, slots=True)
class Tables:
    """top: physical address of the highest table."""

    form: Form
    top: int
    levels: int


def generic(view: View, form: Form, top_of_table: int) -> Tables:
    """Those of a kernel with generic page tables (struct pt_common)."""
    return Tables(form, (top_of_table & ~_TOP_LEVEL) - view.page_offset, (top_of_table & _TOP_LEVEL) + 1)


def default_operations(view: View, name: str) -> int | None:
    """What the operations of domains of an IOMMU's are by default; before they had their own, those of the IOMMU."""
    address = view.symbols.address(name)
    if address is None or not view.has("struct iommu_ops", "default_domain_ops"):
        return address
    return int(view.at("struct iommu_ops", address).default_domain_ops.value_())


def mapped_in(view: View, tables: Tables, iova: int, size: int) -> Iterator[tuple[int, int, int]]:
    """(address, frame, number of frames) of what is mapped in a range, in order.  Raises drgn.FaultError."""
    yield from _leaves(view, tables.form, tables.top, tables.levels, 0, iova, iova + size)


def _leaves(
    view: View, form: Form, table: int, level: int, base: int, start: int, end: int
) -> Iterator[tuple[int, int, int]]:
    """Of one table; base: the address that its first entry stands for."""
    size = 1 << _SHIFT + _BITS * (level - 1)
    first = max(0, (start - base) // size)
    last = min(1 << _BITS, -((base - end) // size))
    if last <= first:
        return
    for index, value in enumerate(view.words(table + 8 * first, last - first), first):
        if not value & form.present:
            continue
        here = base + index * size
        if level > 1 and form.table(value):
            yield from _leaves(view, form, value & FRAME, level - 1, here, start, end)
            continue
        low, high = max(here, start), min(here + size, end)
        yield low, form.page(value, here, size) + low - here >> _SHIFT, high - low >> _SHIFT
