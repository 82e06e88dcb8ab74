"""VFIO type 1: what is mapped for devices by VFIO_IOMMU_MAP_DMA, IOVA by IOVA; drivers/vfio/vfio_iommu_type1.c.

A container's struct vfio_iommu has a tree of struct vfio_dma: I/O virtual address, user address, size and whose memory.
The pages that are pinned are those that the IOMMU maps there; those that a mediated device had pinned are in a tree of
their own.  All is read as raw words: a guest's memory is millions of pages.

Modules have had BTF since 5.11.  For kernels before that the offsets are a table by the build ids of the two modules.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from drgn import Object, Program, offsetof

from pinhold.inspect.errors import CannotLook
from pinhold.inspect.holders.iommu import mapped
from pinhold.inspect.holders.iommu_tables import OtherIommu
from pinhold.inspect.holders.kept import PAGE, Run, Unseen, joined
from pinhold.inspect.layout import offset
from pinhold.inspect.view import View

KIND = "VFIO"
OPERATIONS = (("vfio", "vfio_fops"),)

_DRIVER = b"vfio-iommu-type1"
_KERNEL = 0xFF00_0000_0000_0000
"""The lowest address of the kernel's own, with page tables of five levels."""
_NODE_RIGHT, _NODE_LEFT = 8, 16
"""Of struct rb_node."""
_MOST_NODES = 1 << 20
_MOST_DOMAINS = 1 << 10


@dataclass(frozen=True, slots=True)
class Layout:
    """Offsets.  driver, data: of struct vfio_container; domains, dmas: of struct vfio_iommu; domain, next: of struct
    vfio_domain; iova, vaddr, size, task, mm, invalid, pfns: of struct vfio_dma; pfn, pfn_iova: of struct vfio_pfn.
    None: there is no such member."""

    driver: int
    data: int
    domains: int
    dmas: int
    domain: int
    next: int
    iova: int
    vaddr: int
    size: int
    task: int
    mm: int | None
    invalid: int | None
    pfns: int
    pfn_iova: int
    pfn: int


_BY_BUILD = {
    # Debian's 5.10.262-1, cloud-amd64
    ("54b381d6f22445d64c1ec7307f2f08cac093c1a3", "937478147bc00f8bb27c724632792998082de1f1"): Layout(
        driver=64, data=72, domains=0, dmas=72, domain=0, next=8,
        iova=24, vaddr=32, size=40, task=56, mm=None, invalid=None, pfns=64, pfn_iova=24, pfn=32,
    ),
}  # fmt: skip
"""By the build ids of vfio.ko and vfio_iommu_type1.ko, where the modules have no types."""

_NAMES = {
    "driver": ("struct vfio_container", "iommu_driver"),
    "data": ("struct vfio_container", "iommu_data"),
    "domains": ("struct vfio_iommu", "domain_list"),
    "dmas": ("struct vfio_iommu", "dma_list"),
    "domain": ("struct vfio_domain", "domain"),
    "next": ("struct vfio_domain", "next"),
    "iova": ("struct vfio_dma", "iova"),
    "vaddr": ("struct vfio_dma", "vaddr"),
    "size": ("struct vfio_dma", "size"),
    "task": ("struct vfio_dma", "task"),
    "pfns": ("struct vfio_dma", "pfn_list"),
    "pfn_iova": ("struct vfio_pfn", "iova"),
    "pfn": ("struct vfio_pfn", "pfn"),
}


def layout(view: View) -> Layout:
    """Of this kernel's modules.  Raises CannotLook, drgn.FaultError."""
    for module in ("vfio", "vfio_iommu_type1"):
        view.module_types(module)
    if view.has("struct vfio_container", "iommu_data") and view.has("struct vfio_iommu", "domain_list"):
        return _of_types(view.program)
    modules = dict(view.modules())
    if "vfio" not in modules or "vfio_iommu_type1" not in modules:
        raise CannotLook("the container has no driver of type 1")
    builds = _build_id(view, modules["vfio"]), _build_id(view, modules["vfio_iommu_type1"])
    if builds not in _BY_BUILD:
        raise CannotLook(f"the modules of this kernel have no types, and pinhold has none for {' and '.join(builds)}")
    return _BY_BUILD[builds]


def _of_types(program: Program) -> Layout:
    dma = program.type("struct vfio_dma")
    found = {name: int(offsetof(program.type(type_), member)) for name, (type_, member) in _NAMES.items()}
    return Layout(**found, mm=offset(dma, "mm"), invalid=offset(dma, "vaddr_invalid"))


def _build_id(view: View, module: Object) -> str:
    """As its notes have it (struct module_notes_attrs); "": it has none."""
    notes = module.notes_attrs.read_()
    if not notes:
        return ""
    for index in range(min(int(notes.notes.value_()), 16)):
        note = notes.attrs[index]
        if note.attr.name.string_() == b".note.gnu.build-id":
            names, data, _ = struct.unpack("<III", view.read(int(note.private.value_()), 12))
            return view.read(int(note.private.value_()) + 12 + names, min(data, 64)).hex()
    return ""


def held(view: View, private: int) -> Iterator[Run | Unseen]:
    """private: the struct vfio_container.  Raises CannotLook, drgn.FaultError."""
    at = layout(view)
    words = _Words(view)
    iommu = words(private + at.data)
    if not iommu or not words.is_driver(words.pointer(private + at.driver)):
        return
    domain = next(words.entries(words.checked(iommu) + at.domains, at.next, at.domain), 0)
    for dma in words.nodes(iommu + at.dmas):
        iova, vaddr, size = (words(dma + where) for where in (at.iova, at.vaddr, at.size))
        if size % PAGE or not 0 < size < 1 << 52:
            raise CannotLook(f"a mapping of VFIO has {size} bytes: this memory is damaged, or was read meanwhile")
        mm = words(dma + at.mm) if at.mm is not None else _mm_of(view, words.pointer(dma + at.task))
        known = at.invalid is None or not view.read(dma + at.invalid, 1)[0]
        yield from _of_domain(view, domain, iova, size, vaddr if known else None, mm)
        pfns = ((words(one + at.pfn_iova), words(one + at.pfn)) for one in words.nodes(dma + at.pfns))
        yield from joined(Run(pfn, 1, vaddr + where - iova if known else None, mm) for where, pfn in sorted(pfns))


def _of_domain(view: View, domain: int, iova: int, size: int, vaddr: int | None, mm: int) -> Iterator[Run | Unseen]:
    """What one mapping has in the IOMMU; domain 0: none, of mediated devices alone."""
    if not domain:
        return
    try:
        found = mapped(view, domain, iova, size)
        runs = (Run(pfn, pages, None if vaddr is None else vaddr + at - iova, mm) for at, pfn, pages in found)
        # What lies beyond all memory is another device's, mapped without a pin.
        yield from joined(run for run in runs if run.pfn < view.max_pfn)
    except OtherIommu as reason:
        yield Unseen(vaddr or 0, size, str(reason), mm)


def _mm_of(view: View, task: int) -> int:
    return int(view.pointer("struct task_struct *", task).mm.value_())


class _Words:
    """Words of the kernel's memory; every pointer is looked at before it is followed."""

    def __init__(self, view: View) -> None:
        self._view = view

    def __call__(self, address: int) -> int:
        (word,) = struct.unpack("<Q", self._view.read(address, 8))
        return int(word)

    def checked(self, pointer: int) -> int:
        """Raises CannotLook for what is no pointer into the kernel."""
        if pointer < _KERNEL or pointer % 8:
            raise CannotLook(f"{pointer:#x} is no pointer of the kernel: VFIO's records are not where they should be")
        return pointer

    def pointer(self, address: int) -> int:
        return self.checked(self(address))

    def is_driver(self, driver: int) -> bool:
        """Whether it is type 1: struct vfio_iommu_driver begins with its operations, and these with a name."""
        name = self(self.pointer(driver))
        return self._view.read(name, len(_DRIVER) + 1) in (_DRIVER + b"\0", _DRIVER + b"v")

    def entries(self, head: int, member: int, wanted: int) -> Iterator[int]:
        """A pointer of each structure of a list."""
        here = self.pointer(head)
        for _ in range(_MOST_DOMAINS):
            if here == head:
                return
            yield self.pointer(here - member + wanted)
            here = self.pointer(here)

    def nodes(self, root: int) -> Iterator[int]:
        """Addresses of a tree's nodes, in order; where it is a circle, it ends."""
        left: list[int] = []
        here = self(root)
        count = 0
        while here or left:
            while here:
                left.append(self.checked(here))
                here = self(here + _NODE_LEFT)
                if len(left) > _MOST_NODES:
                    raise CannotLook("a tree of VFIO's goes in a circle: it is damaged, or changed while it was read")
            node = left.pop()
            count += 1
            if count > _MOST_NODES:
                raise CannotLook("a tree of VFIO's goes in a circle: it is damaged, or changed while it was read")
            yield node
            here = self(node + _NODE_RIGHT)
