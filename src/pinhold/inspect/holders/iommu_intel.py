"""Intel's VT-d: second-level tables and, where the IOMMU scales, first-level ones.

Both have the form of the processor's, but a mapping may be for writing alone.  Where the top is: struct dmar_domain
(drivers/iommu/intel), in kernels with generic page tables within its `sspt` and `fspt`.
"""

from __future__ import annotations

from drgn import Object, offsetof

from pinhold.inspect.holders.iommu_tables import FRAME, Form, Tables, default_operations, generic
from pinhold.inspect.view import View

_OPERATIONS = "intel_iommu_ops"
_DOMAIN = "struct dmar_domain"
_READ_OR_WRITE, _LARGE = 3, 1 << 7

FORM = Form(_READ_OR_WRITE, lambda value: not value & _LARGE, lambda value, here, size: value & FRAME & -size)


def tables(view: View, domain: Object) -> Tables | None:
    """Of a struct iommu_domain *; None where it is not Intel's.  Raises drgn.FaultError."""
    name = _name(view, domain)
    if name is None:
        return None
    address = domain.value_() - offsetof(view.program.type(_DOMAIN), "domain")
    dmar = view.pointer(f"{_DOMAIN} *", address)
    if view.has(_DOMAIN, "pgd"):
        return Tables(FORM, int(dmar.pgd.value_()) - view.page_offset, int(dmar.agaw.value_()) + 2)
    common = dmar.fspt.x86_64_pt.common if "fs" in name.split("_") else dmar.sspt.vtdss_pt.common
    return generic(view, FORM, int(common.top_of_table.value_()))


def _name(view: View, domain: Object) -> str | None:
    """What its operations are called where they are Intel's: the IOMMU's own, its default ones, or named ones."""
    operations = int(domain.ops.value_())
    name = view.symbols.name(operations)
    if name is not None and name.startswith("intel_"):
        return name
    return _OPERATIONS if operations == default_operations(view, _OPERATIONS) else None
