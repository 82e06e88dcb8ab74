"""VDUSE: a process's memory as the bounce buffer of its device; vduse_dev_reg_umem(), drivers/vdpa/vdpa_user.

A struct vduse_umem keeps the pages and whose memory it is, and no address.  A device has one, in newer kernels one in
each of its address spaces.
"""

from __future__ import annotations

from collections.abc import Iterator

from drgn import Object

from pinhold.inspect.holders.kept import MOST, Run, bounded, joined, pointers
from pinhold.inspect.view import View

KIND = "VDUSE"
OPERATIONS = (("vduse", "vduse_dev_fops"),)

_DEVICE = "struct vduse_dev"
_SPACES = 1 << 16


def held(view: View, private: int) -> Iterator[Run]:
    """private: the struct vduse_dev.  Raises CannotLook, LookupError, drgn.FaultError."""
    view.module_types("vduse")
    for umem in _umems(view, view.pointer(f"{_DEVICE} *", private)):
        if umem:
            count, mm = bounded(int(umem.npages.value_()), MOST, "pages of a umem"), int(umem.mm.value_())
            pages = pointers(view, int(umem.pages.value_()), count)
            yield from joined(Run(view.pfn_of(page), 1, mm=mm) for page in pages)


def _umems(view: View, device: Object) -> Iterator[Object]:
    """Each as a struct vduse_umem *."""
    if view.has(_DEVICE, "umem"):
        yield device.umem.read_()
        return
    spaces = device.member_("as")
    for index in range(bounded(int(device.nas.value_()), _SPACES, "address spaces of a device")):
        yield spaces[index].umem.read_()
