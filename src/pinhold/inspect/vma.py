"""Tasks, their memory and its mappings, by the kernel's own structures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drgn import Object, cast
from drgn.helpers.linux.mapletree import mt_for_each

from pinhold.inspect.lists import MOST, Endless, entries_of

if TYPE_CHECKING:
    from pinhold.inspect.view import View

PAGE_SHIFT = 12
VM_WRITE, VM_SHARED, VM_MAYWRITE, VM_HUGETLB = 0x2, 0x8, 0x20, 0x40_0000
"""Of vm_flags; the first three are the same in all releases, the last since 2.6."""


@dataclass(frozen=True, slots=True)
class Vma:
    """A mapping.  start, end: addresses; pgoff: of `start`, in pages, in the file, or where anonymous pages count from.

    anon_pgoff: in pages, what the index of an anonymous page at `start` is.  address: of the structure.
    """

    start: int
    end: int
    flags: int
    pgoff: int
    anon_pgoff: int
    file: int
    anon_vma: int
    mm: int
    address: int

    @property
    def shared(self) -> bool:
        return bool(self.flags & VM_SHARED)

    def at(self, index: int, anonymous: bool) -> int | None:
        """The address of a page by its index; None where this mapping does not have it (vma_address())."""
        address = self.start + ((index - (self.anon_pgoff if anonymous else self.pgoff)) << PAGE_SHIFT)
        return address if self.start <= address < self.end else None


def tasks(view: View) -> Iterator[Object]:
    """One struct task_struct * a process, its first thread.  Raises Endless, drgn.FaultError."""
    first = view.program["init_task"]
    yield first.address_of_()
    yield from entries_of(first.tasks.address_of_(), "struct task_struct", "tasks")


def task_of(view: View, pid: int) -> Object | None:
    """The process of that number in the first pid namespace; None where there is none.  As above."""
    return next((task for task in tasks(view) if int(task.pid.value_()) == pid), None)


def name_of(task: Object) -> str:
    """comm, whatever bytes are in it."""
    return str(task.comm.string_().decode("utf-8", "backslashreplace"))


def processes(view: View) -> Iterator[tuple[int, str, Object]]:
    """(pid, name, struct mm_struct *) of those that have memory of their own.  As above."""
    for task in tasks(view):
        mm = task.mm.read_()
        if mm:
            yield int(task.pid.value_()), name_of(task), mm


def mms(view: View) -> dict[int, tuple[int, str]]:
    """Who has the memory of a struct mm_struct, by its address: pid and name.  As above."""
    found: dict[int, tuple[int, str]] = {}
    for pid, name, mm in processes(view):
        found.setdefault(int(mm.value_()), (pid, name))
    return found


def vmas(view: View, mm: Object) -> Iterator[Vma]:
    """The mappings of a struct mm_struct * in order of address: a list up to 6.0, then a maple tree.  As above."""
    if view.has("struct mm_struct", "mm_mt"):
        for count, (_, _, entry) in enumerate(mt_for_each(mm.mm_mt.address_of_())):
            if count > MOST:
                raise Endless("the tree of a process's mappings has no end: it is damaged, or changed meanwhile")
            yield vma(view, cast("struct vm_area_struct *", entry))
        return
    seen: set[int] = set()
    here = mm.mmap.read_()
    while here:
        if here.value_() in seen:
            raise Endless("the list of a process's mappings goes in a circle: it is damaged, or changed meanwhile")
        seen.add(here.value_())
        yield vma(view, here)
        here = here.vm_next.read_()


def vma_at(view: View, mm: Object, address: int) -> Vma | None:
    """The mapping that has this address.  As above."""
    return next((found for found in vmas(view, mm) if found.start <= address < found.end), None)


def vma(view: View, area: Object) -> Vma:
    """Of a struct vm_area_struct *.  Raises drgn.FaultError."""
    address, area = int(area.value_()), area[0].read_()
    pgoff = anon_pgoff = int(area.vm_pgoff.value_())
    if view.has("struct vm_area_struct", "__vm_anon_pgoff_lo"):
        # 7.x: an index of its own, which private mappings of files need not share with the file's.
        low, high = area.member_("__vm_anon_pgoff_lo").value_(), area.member_("__vm_anon_pgoff_hi").value_()
        anon_pgoff = int(low) | int(high) << 32
    return Vma(
        start=int(area.vm_start.value_()),
        end=int(area.vm_end.value_()),
        flags=int(area.vm_flags.value_()),
        pgoff=pgoff,
        anon_pgoff=anon_pgoff,
        file=int(area.vm_file.value_()),
        anon_vma=int(area.anon_vma.value_()),
        mm=int(area.vm_mm.value_()),
        address=address,
    )
