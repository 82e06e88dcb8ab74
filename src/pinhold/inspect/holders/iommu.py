"""What an IOMMU's tables map: page frames by I/O virtual address."""

from __future__ import annotations

from collections.abc import Iterator

from pinhold.inspect.holders import iommu_amd, iommu_intel
from pinhold.inspect.holders.iommu_tables import OtherIommu, mapped_in
from pinhold.inspect.view import View

_LEVELS = range(1, 7)


def mapped(view: View, domain: int, iova: int, size: int) -> Iterator[tuple[int, int, int]]:
    """(address, frame, number of frames) of what is mapped in a range, in order.

    domain: address of the struct iommu_domain.  Raises OtherIommu, drgn.FaultError.
    """
    asked = view.pointer("struct iommu_domain *", domain)
    for kind in (iommu_intel, iommu_amd):
        tables = kind.tables(view, asked)
        if tables is None:
            continue
        if tables.levels not in _LEVELS:
            raise OtherIommu(f"the IOMMU's tables have {tables.levels} levels, which cannot be")
        yield from mapped_in(view, tables, iova, size)
        return
    raise OtherIommu("the tables of this IOMMU are neither Intel's nor AMD's, and no other kind is known here")
