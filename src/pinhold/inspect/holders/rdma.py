"""Memory regions of RDMA: ib_reg_mr, ibv_reg_mr(); drivers/infiniband/core/umem.c.

A uverbs file has a list of objects, of which memory regions are some.  A region's struct ib_umem has the address, whose
memory it is, and the pinned pages as scatter lists; but where it stands only the device's driver knows.
"""

from __future__ import annotations

from collections.abc import Iterator

from drgn import Object, container_of

from pinhold.inspect.errors import CannotLook
from pinhold.inspect.holders.kept import MOST, PAGE, Run, Unseen, bounded, joined
from pinhold.inspect.layout import enumerators
from pinhold.inspect.lists import entries_of
from pinhold.inspect.view import View

KIND = "RDMA"
OPERATIONS = (("ib_uverbs", "uverbs_fops"), ("ib_uverbs", "uverbs_mmap_fops"))

_DRIVERS = {
    "rdma_rxe": ("struct rxe_mr", "ibmr", "umem"),
    "mlx5_ib": ("struct mlx5_ib_mr", "ibmr", "umem"),
    "mlx4_ib": ("struct mlx4_ib_mr", "ibmr", "umem"),
    "efa": ("struct efa_mr", "ibmr", "umem"),
    "bnxt_re": ("struct bnxt_re_mr", "ib_mr", "ib_umem"),
    "irdma": ("struct irdma_mr", "ibmr", "region"),
}
"""Drivers' modules: what they keep of a region, its struct ib_mr, and its struct ib_umem *."""

_CHAIN, _END = 1, 2
"""Low bits of scatterlist.page_link."""


def held(view: View, private: int) -> Iterator[Run | Unseen]:
    """private: the struct ib_uverbs_file.  Raises CannotLook, LookupError, drgn.FaultError."""
    for module in ("ib_core", "ib_uverbs"):
        view.module_types(module)
    region = enumerators(view.program, "enum uverbs_default_objects").get("UVERBS_OBJECT_MR")
    file = view.pointer("struct ib_uverbs_file *", private)
    for one in entries_of(file.uobjects.address_of_(), "struct ib_uobject", "list"):
        if int(one.uapi_object.id.value_()) == region and one.object:
            yield from _of_region(view, view.pointer("struct ib_mr *", one.object))


def _of_region(view: View, region: Object) -> Iterator[Run | Unseen]:
    owner = region.device.ops.owner.read_()
    driver = owner.name.string_().decode("utf-8", "backslashreplace") if owner else "that is built in"
    if driver not in _DRIVERS or not view.module_types(driver):
        reason = f"what the driver {driver} keeps of a memory region is not known"
        yield Unseen(int(region.iova.value_()), int(region.length.value_()), reason)
        return
    type_, member, name = _DRIVERS[driver]
    umem = container_of(region, type_, member).member_(name).read_()
    if umem:
        yield from joined(_of_umem(view, umem))


def _of_umem(view: View, umem: Object) -> Iterator[Run]:
    table = umem.sgt_append.sgt if view.has("struct ib_umem", "sgt_append") else umem.sg_head
    address, mm = int(umem.address.value_()), int(umem.owning_mm.value_())
    here, rest = table.sgl.read_(), int(umem.length.value_())
    for _ in range(bounded(int(table.orig_nents.value_()), MOST, "entries of a memory region")):
        if rest <= 0:
            return
        while int(here.page_link.value_()) & _CHAIN:
            here = view.pointer("struct scatterlist *", int(here.page_link.value_()) & ~(_CHAIN | _END))
        offset, length = int(here.offset.value_()), int(here.length.value_())
        if not length:
            raise CannotLook("a scatter list has an empty entry: this memory is damaged, or was read meanwhile")
        pfn = view.pfn_of(int(here.page_link.value_()) & ~(_CHAIN | _END)) + offset // PAGE
        # The list is of whole pages; the region begins, and ends, somewhere in one.
        yield Run(pfn, -(-(offset % PAGE + length) // PAGE), address & -PAGE, mm)
        rest -= length - address % PAGE
        address = (address & -PAGE) + length
        here = here + 1
