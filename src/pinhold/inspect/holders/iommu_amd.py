"""AMD's IOMMU, tables of version 1: an entry says at which level the table is that it leads to, or that it is a page.

Where the top is: struct protection_domain (drivers/iommu/amd): a word of address and levels, later a struct
amd_io_pgtable, in kernels with generic page tables within `amdv1`.
"""

from __future__ import annotations

from drgn import Object, offsetof

from pinhold.inspect.holders.iommu_tables import FRAME, Form, OtherIommu, Tables, default_operations, generic
from pinhold.inspect.view import View

_OPERATIONS, _GENERIC = "amd_iommu_ops", "amdv1_ops"
_DOMAIN = "struct protection_domain"
_PRESENT, _NEXT_SHIFT, _NEXT = 1, 9, 7
_PAGE, _SIZED = 0, 7
"""Of the next level: it is a page of this level's size, or of one that its address tells (PAGE_MODE_7_LEVEL)."""
_LEVELS, _PAGES = 7, -4096


def _table(value: int) -> bool:
    return value >> _NEXT_SHIFT & _NEXT not in (_PAGE, _SIZED)


def _page(value: int, here: int, size: int) -> int:
    address = value & FRAME
    if value >> _NEXT_SHIFT & _NEXT == _SIZED:
        # The lowest bit that is 0 is half of the page's size; the page has one such entry for each of its parts.
        whole = (~address & (address | 0xFFF) + 1) << 1
        return (address & -whole) + (here & whole - 1)
    return address & -size


FORM = Form(_PRESENT, _table, _page)


def tables(view: View, domain: Object) -> Tables | None:
    """Of a struct iommu_domain *; None where it is not AMD's.  Raises OtherIommu, drgn.FaultError."""
    operations = int(domain.ops.value_())
    if operations not in (view.symbols.address(_GENERIC), default_operations(view, _OPERATIONS)):
        return None
    address = domain.value_() - offsetof(view.program.type(_DOMAIN), "domain")
    own = view.pointer(f"{_DOMAIN} *", address)
    if view.has(_DOMAIN, "amdv1"):
        return generic(view, FORM, int(own.amdv1.amdpt.common.top_of_table.value_()))
    if view.has(_DOMAIN, "iop"):
        root, mode = int(own.iop.root.value_()), int(own.iop.mode.value_())
    else:
        word = int(own.pt_root.counter.value_())
        root, mode = word & _PAGES, word & _LEVELS
    if not root:
        raise OtherIommu("the tables of this IOMMU are AMD's of version 2, which are not known here")
    return Tables(FORM, root - view.page_offset, mode)
