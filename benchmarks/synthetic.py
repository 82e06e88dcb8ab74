"""A machine made by hand, as large as one likes: struct pages, and the structures by which their owners are found.

What `pinhold pins` reads of a kernel is here as 6.18 has it, as far as the scan and the reverse mapping ask: processes,
their page tables, anon_vmas, files, one zone.  Struct pages are made when they are read: sections of a mix that
repeats, and the pinned ones among them, scattered evenly.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
from drgn import Program, Type, TypeKind, TypeMember

from pinhold.inspect.layout import Layout, PageType
from pinhold.inspect.memory.source import X86_64, Source
from pinhold.inspect.records import State
from pinhold.inspect.symbols import Symbols
from pinhold.inspect.tables import PRESENT
from pinhold.inspect.view import View

LAYOUT = Layout(
    size=64, page_flags=0, head=8, mapping=24, index=32, private=40, mapcount=48, refcount=52, order=64,
    pincount=92, entire_mapcount=88, large_mapcount=80, nr_pages_mapped=84,
    flags={"PG_lru": 5, "PG_head": 6, "PG_private": 15, "PG_swapcache": 10, "PG_anon_exclusive": 17},
    types={"hugetlb": PageType(0xFF << 24, 0xF4 << 24), "slab": PageType(0xFF << 24, 0xF5 << 24)},
)  # fmt: skip
VMEMMAP, PAGE_OFFSET, BASE = 0xFFFF_EA00_0000_0000, 0xFFFF_8880_0000_0000, 1 << 20
SECTION, MIX = 1 << 15, 16
"""Struct pages of a section; so many sections differ, too many for a processor's cache."""
PAGES, AREA = 100, 0x7F00_0000_0000
"""Pinned pages of a process, and where its memory begins."""

STRUCTS = """\
list_head: list_head* next, list_head* prev
rb_node: long parent, rb_node* rb_right, rb_node* rb_left
rb_root: rb_node* rb_node
rb_root_cached: rb_root rb_root, rb_node* rb_leftmost
atomic: long counter
fdtable: int max_fds, long fd
files_struct: fdtable* fdt
mm_struct: long pgd, atomic pinned_vm, long locked_vm
task_struct: list_head tasks, int pid, int tgid, char[16] comm, mm_struct* mm, files_struct* files
in_file: rb_node rb
anon_vma: rb_root_cached rb_root
address_space: rb_root_cached i_mmap
file: address_space* f_mapping, long f_op, long private_data
vm_area_struct: long vm_start, long vm_end, mm_struct* vm_mm, long vm_flags, long vm_pgoff, file* vm_file, \
anon_vma* anon_vma, in_file shared
anon_vma_chain: vm_area_struct* vma, anon_vma* anon_vma, rb_node rb
zone: long zone_start_pfn, long spanned_pages, char* name
pglist_data: zone[1] node_zones
"""
"""Members of each structure in order, each at a multiple of 8 bytes."""
_MEMBERS = {
    name: [tuple(member.split()) for member in rest.split(", ")]
    for name, _, rest in (line.partition(": ") for line in STRUCTS.splitlines())
}


class Types:
    """The structures as drgn's types."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._made: dict[str, Type] = {}
        program.register_type_finder("synthetic", self.find, enable_index=0)

    def find(self, program: Program, kinds: Any, name: str | None, filename: str | None) -> Type | None:
        """See drgn.Program.register_type_finder()."""
        if TypeKind.STRUCT not in kinds or name not in _MEMBERS:
            return None
        if name not in self._made:  # the program keeps each type that is made
            members = [TypeMember(self._later(type_), member, 8 * at) for member, (at, type_) in offsets(name).items()]
            self._made[name] = program.struct_type(name, size(name), members)
        return self._made[name]

    def _later(self, text: str) -> Any:
        return lambda: self.program.type(_as_c(text))


def _as_c(text: str) -> str:
    name = text.rstrip("*").partition("[")[0]
    basic = {"long": "unsigned long", "int": "int", "char": "char"}
    return basic.get(name, f"struct {name}") + text[len(name) :].replace("[", " [").replace("*", " *")


def offsets(name: str) -> dict[str, tuple[int, str]]:
    """Offset in bytes and type of each member."""
    found, at = {}, 0
    for type_, member in _MEMBERS[name]:
        found[member] = at, type_
        at += size(type_)
    return found


def size(text: str) -> int:
    """In bytes, with what fills it up to a multiple of 8."""
    name, bracket, count = text.rstrip("]").partition("[")
    if text.endswith("*"):
        return 8
    if name in _MEMBERS:
        return sum(size(type_) for type_, _ in _MEMBERS[name]) * int(count or 1)
    return int(count) if bracket else 8


class Heap:
    """Memory of the kernel's own, by physical addresses from BASE on."""

    def __init__(self) -> None:
        self.memory = bytearray()

    def new(self, count: int, align: int = 8) -> int:
        """Zeroed memory; its address as the kernel's."""
        self.memory += bytes(-len(self.memory) % align)
        at = len(self.memory)
        self.memory += bytes(count)
        return PAGE_OFFSET + BASE + at

    def word(self, address: int, value: int) -> None:
        struct.pack_into("<Q", self.memory, address - PAGE_OFFSET - BASE, value)

    def get(self, address: int) -> int:
        found: int = struct.unpack_from("<Q", self.memory, address - PAGE_OFFSET - BASE)[0]
        return found

    def put(self, name: str, **members: int) -> int:
        """A structure with these members."""
        address = self.new(size(name))
        for member, value in members.items():
            self.word(address + offsets(name)[member][0], value)
        return address

    def map(self, pgd: int, address: int, pfn: int) -> None:
        """An entry of the page tables at `pgd`."""
        table = pgd
        for shift in (39, 30, 21):
            at = table + 8 * (address >> shift & 511)
            if not self.get(at):
                self.word(at, self.new(4096, 4096) - PAGE_OFFSET | PRESENT)
            table = PAGE_OFFSET + (self.get(at) & -4096)
        self.word(table + 8 * (address >> 12 & 511), pfn << 12 | PRESENT)


class Machine:
    """frames: of its memory.  pins: so many small pages are pinned, nine of ten anonymous and where they should be, the
    tenth a page of a file, of which its process has written its own copy since.  symbols: more of them, by name."""

    def __init__(self, frames: int, pins: int) -> None:
        self.frames, self.pins = frames, pins
        self.heap = Heap()
        self.symbols: dict[str, int] = {}
        self._mix = [_section(np.random.default_rng(number)) for number in range(MIX)]
        self._pinned: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
        self._init = self.heap.put("task_struct")
        self._tasks = [self._init]
        pfns = iter(range(1, frames, max(1, frames // (pins + 1))))
        for first in range(0, pins, PAGES):
            self._process(len(self._tasks), [next(pfns) for _ in range(min(PAGES, pins - first))])
        for here, after in zip(self._tasks, self._tasks[1:] + self._tasks[:1], strict=True):
            self.heap.word(here, after)  # tasks.next, of the first member

    def _process(self, pid: int, pfns: list[int]) -> None:
        heap = self.heap
        pgd = heap.new(4096, 4096)
        mm = heap.put("mm_struct", pgd=pgd)
        task = heap.put("task_struct", pid=pid, tgid=pid, mm=mm)
        self._tasks.append(task)
        anon_vma, mapping = heap.put("anon_vma"), heap.put("address_space")
        area = {"vm_start": AREA, "vm_end": AREA + PAGES * 4096, "vm_mm": mm, "vm_pgoff": AREA >> 12}
        vma = heap.put("vm_area_struct", **area, vm_file=heap.put("file", f_mapping=mapping), anon_vma=anon_vma)
        chain = heap.put("anon_vma_chain", vma=vma, anon_vma=anon_vma)
        heap.word(anon_vma, chain + offsets("anon_vma_chain")["rb"][0])
        heap.word(mapping, vma + offsets("vm_area_struct")["shared"][0])
        for number, pfn in enumerate(pfns):
            address = AREA + number * 4096
            copied = number % 10 == 9
            heap.map(pgd, address, pfn + 1 if copied else pfn)
            page = bytearray(LAYOUT.size)
            struct.pack_into("<Q", page, LAYOUT.page_flags, 1 << LAYOUT.flags["PG_lru"])
            struct.pack_into("<QQ", page, LAYOUT.mapping, mapping if copied else anon_vma | 1, address >> 12)
            struct.pack_into("<ii", page, LAYOUT.mapcount, *((-1, 1025) if copied else (0, 1025)))
            self._pinned[pfn // SECTION].append((pfn % SECTION, bytes(page)))

    def give_back(self, pfn: int) -> None:
        """Let go of a pin."""
        section = self._pinned[pfn // SECTION]
        section[:] = [(index, page) for index, page in section if index != pfn % SECTION]

    @property
    def states(self) -> dict[State, int]:
        """How many pins are in each state."""
        whole, rest = divmod(self.pins, PAGES)
        stale = whole * (PAGES // 10) + rest // 10
        return {State.SAME: self.pins - stale, State.STALE: stale}

    def struct_pages(self, address: int, count: int, offset: int, physical: bool) -> bytearray | memoryview:
        """A memory segment of drgn's."""
        first, *more = self._parts(offset, count)
        return bytearray().join((first, *more)) if more else first

    def _parts(self, offset: int, count: int) -> Iterator[bytearray | memoryview]:
        whole = SECTION * LAYOUT.size
        while count:
            section, at = divmod(offset, whole)
            length = min(count, whole - at)
            part: bytearray | memoryview = memoryview(self._mix[section % MIX])[at : at + length]
            for index, page in self._pinned.get(section, ()):
                start = index * LAYOUT.size - at
                if 0 <= start < length:
                    part = part if isinstance(part, bytearray) else bytearray(part)
                    part[start : start + LAYOUT.size] = page
            yield part
            offset, count = offset + length, count - length

    def view(self) -> View:
        """Its kernel, looked into."""
        heap, program = self.heap, Program(X86_64)
        Types(program)
        name = heap.new(8)
        heap.word(name, int.from_bytes(b"Normal", "little"))
        node = heap.put("pglist_data")
        for at, value in enumerate((0, self.frames, name)):
            heap.word(node + 8 * at, value)
        most = heap.new(8)
        heap.word(most, self.frames)
        program.add_memory_segment(VMEMMAP, self.frames * LAYOUT.size, self.struct_pages)
        for start, physical in ((PAGE_OFFSET + BASE, False), (BASE, True)):
            program.add_memory_segment(start, len(heap.memory), self._of_heap, physical)
        view = View.__new__(View)  # which would look for BTF and kallsyms
        view.program, view.layout, view.levels = program, LAYOUT, 4
        view.vmemmap, view.page_offset = VMEMMAP, PAGE_OFFSET
        there = {"init_task": self._init, "contig_page_data": node, "max_pfn": most}
        view.symbols = Symbols(there | self.symbols)
        view.symbols.register(program)
        view.info = SimpleNamespace(release="made by hand")  # type: ignore[assignment]
        view.source = Source("a machine made by hand", program, view.info)
        return view

    def _of_heap(self, address: int, count: int, offset: int, physical: bool) -> bytes:
        return bytes(self.heap.memory[offset : offset + count])


def _section(dice: np.random.Generator) -> bytes:
    """Struct pages of a section: half of it huge pages, an eighth large folios of files, a quarter small pages of
    processes, the rest free.  Where they lie differs from section to section."""
    words = np.zeros((SECTION, 16), np.uint32)
    words[:, 12] = 0xFFFF_FFFF
    blocks = dice.permutation(SECTION // 512) * 512
    for order, starts in ((9, blocks[:32]), (4, (blocks[32:40, None] + np.arange(0, 512, 16)).ravel())):
        for start in starts:
            words[start, [0, 6, 7, 13]] = 0x60, 0x1000 | (order == 9), 0xFFFF_8880, 2
            words[start + 1 : start + (1 << order), 2] = 1  # of a tail: somewhere is its head
            words[start + 1, [0, 4, 5, 6]] = order, 0, 0, 0xFFFF_FFFF
    small = (blocks[40:56, None] + np.arange(512)).ravel()
    words[small, 0], words[small, 6], words[small, 7], words[small, 12] = 0x20, 0x1001, 0xFFFF_8880, 0
    words[small, 13] = dice.integers(1, 4, len(small))
    return words.tobytes()
