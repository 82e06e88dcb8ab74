"""What an IOMMU's tables map: page frames by I/O virtual address, in raw words.

Intel VT-d: second-level tables and, where the IOMMU scales, first-level ones.  Both have the form of the processor's,
but a mapping may be for writing alone.  Where the top is: struct dmar_domain (drivers/iommu/intel), in kernels with
generic page tables within its `sspt` and `fspt`.
"""

from __future__ import annotations

from collections.abc import Iterator

from drgn import Object, offsetof

from pinhold.inspect.errors import CannotLook
from pinhold.inspect.view import View

_DOMAIN = "struct dmar_domain"
_READ_OR_WRITE, _LARGE = 3, 1 << 7
_FRAME = 0x000F_FFFF_FFFF_F000
_BITS, _SHIFT = 9, 12
_LEVELS = range(2, 6)
_TOP_LEVEL = 7
"""Low bits of pt_common.top_of_table: the number of levels, less one (PT_TOP_LEVEL_MASK)."""


class OtherIommu(CannotLook):
    """The tables of this IOMMU are of a kind that is not known here."""


def mapped(view: View, domain: int, iova: int, size: int) -> Iterator[tuple[int, int, int]]:
    """(address, frame, number of frames) of what is mapped in a range, in order.

    domain: address of the struct iommu_domain.  Raises OtherIommu, drgn.FaultError.
    """
    top, levels = _top(view, view.pointer("struct iommu_domain *", domain))
    if levels not in _LEVELS:
        raise OtherIommu(f"the IOMMU's tables have {levels} levels, which cannot be")
    yield from _leaves(view, top, levels, 0, iova, iova + size)


def _top(view: View, domain: Object) -> tuple[int, int]:
    """Physical address of the highest table, and how many levels there are."""
    name = _intel(view, domain)
    if name is None:
        raise OtherIommu("the tables of this IOMMU are not Intel's VT-d, and no other kind is known here")
    address = domain.value_() - offsetof(view.program.type(_DOMAIN), "domain")
    dmar = view.pointer(f"{_DOMAIN} *", address)
    if view.has(_DOMAIN, "pgd"):
        return int(dmar.pgd.value_()) - view.page_offset, int(dmar.agaw.value_()) + 2
    common = dmar.fspt.x86_64_pt.common if "fs" in name.split("_") else dmar.sspt.vtdss_pt.common
    word = int(common.top_of_table.value_())
    return (word & ~_TOP_LEVEL) - view.page_offset, (word & _TOP_LEVEL) + 1


def _intel(view: View, domain: Object) -> str | None:
    """What its operations are called where they are Intel's: the IOMMU's own, its default ones, or named ones."""
    operations = int(domain.ops.value_())
    name = view.symbols.name(operations)
    if name is not None and name.startswith("intel_"):
        return name
    intel = view.symbols.address("intel_iommu_ops")
    if intel is None or not view.has("struct iommu_ops", "default_domain_ops"):
        return None
    default = int(view.at("struct iommu_ops", intel).default_domain_ops.value_())
    return "intel_default" if operations == default else None


def _leaves(view: View, table: int, level: int, base: int, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Of one table; base: the address that its first entry stands for."""
    shift = _SHIFT + _BITS * (level - 1)
    first = max(0, start - base >> shift)
    last = min(1 << _BITS, -(base - end >> shift))
    if last <= first:
        return
    for index, value in enumerate(view.words(table + 8 * first, last - first), first):
        if not value & _READ_OR_WRITE:
            continue
        here = base + (index << shift)
        if level > 1 and not value & _LARGE:
            yield from _leaves(view, value & _FRAME, level - 1, here, start, end)
            continue
        low, high = max(here, start), min(here + (1 << shift), end)
        frame = ((value & _FRAME & -(1 << shift)) + low - here) >> _SHIFT
        yield low, frame, high - low >> _SHIFT
