"""vhost-vdpa: what VHOST_IOTLB_UPDATE maps for a device; vhost_vdpa_pa_map(), drivers/vhost/vdpa.c.

The pages are pinned, and a struct vhost_iotlb_map keeps the physical address alone.  Devices that use the process's own
addresses (use_va) map without a pin.
"""

from __future__ import annotations

from collections.abc import Iterator

from drgn import Object

from pinhold.inspect.holders.kept import MOST, PAGE, Run, bounded
from pinhold.inspect.lists import chained_in, entries_of
from pinhold.inspect.view import View

KIND = "vDPA"
OPERATIONS = (("vhost_vdpa", "vhost_vdpa_fops"),)

_TYPE = "struct vhost_vdpa"


def held(view: View, private: int) -> Iterator[Run]:
    """private: the struct vhost_vdpa.  Raises CannotLook, LookupError, drgn.FaultError."""
    for module in ("vhost_iotlb", "vhost", "vdpa", "vhost_vdpa"):
        view.module_types(module)
    vdpa = view.pointer(f"{_TYPE} *", private)
    if vdpa.vdpa.use_va:
        return
    for table in _tables(view, vdpa):
        for one in entries_of(table.member_("list").address_of_(), "struct vhost_iotlb_map", "link"):
            size = int(one.size.value_()) or 1 << 64
            pages = bounded(-(-size // PAGE), MOST, "pages of a mapping")
            yield Run(int(one.addr.value_()) // PAGE, pages)


def _tables(view: View, vdpa: Object) -> Iterator[Object]:
    """The struct vhost_iotlb of each address space: one up to 5.18, then a hash table of them."""
    if not view.has(_TYPE, "as"):
        iotlb = vdpa.vdev.iotlb.read_()
        if iotlb:
            yield iotlb
        return
    for bucket in vdpa.member_("as"):
        for space in chained_in(bucket, "struct vhost_vdpa_as", "hash_link"):
            yield space.iotlb.address_of_()
