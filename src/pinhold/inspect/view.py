"""A kernel seen from outside: its memory, types, symbols and layout in one object, which all else here is given."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property

from drgn import FaultError, MissingDebugInfoError, Object, Program, cast

from pinhold.inspect import layout, symbols
from pinhold.inspect.btf import MOST, Btf, BtfError
from pinhold.inspect.errors import CannotLook, unread
from pinhold.inspect.lists import entries_of
from pinhold.inspect.memory.source import Source
from pinhold.inspect.tables import PAGE_SHIFT, Entry, walk
from pinhold.inspect.types import TypesOfBtf

logging.getLogger("drgn").addHandler(logging.NullHandler())  # what is missing is said by CannotLook

NO_TYPES = (
    "this kernel's memory has no BTF (CONFIG_DEBUG_INFO_BTF), and there are no debug symbols of it here: "
    "install those of exactly this release"
)


_HIGHEST = (1 << 64) - 1


class View:
    """program: drgn's, for everything that is kept in structures; Object reads raise drgn.FaultError.

    layout: of struct page and struct folio; symbols: addresses that are needed; levels: of page tables.
    vmemmap, page_offset: where struct pages, and all of physical memory, are in the kernel's address space.
    """

    def __init__(self, source: Source) -> None:
        """Raises CannotLook."""
        self.source = source
        self.program: Program = source.program
        self.info = source.info
        self.levels = source.info.levels
        self._btf: Btf | None = None
        self._types: TypesOfBtf | None = None
        self._modules: dict[str, TypesOfBtf] = {}
        try:
            self.symbols = symbols.load(self.program, self.info, keep=source.own)
            self.symbols.register(self.program)
            self._find_types()
            self.layout = layout.ask(self.program)
            self.vmemmap = int(self.program["vmemmap_base"].value_())
            self.page_offset = int(self.program["page_offset_base"].value_())
        except (FaultError, LookupError) as wrong:
            raise CannotLook(f"{source.name}: the kernel {self.info.release} cannot be read: {unread(wrong)}") from None

    def _find_types(self) -> None:
        """Debug symbols of this kernel where they are installed, and its own BTF.  Raises CannotLook, FaultError."""
        self.program.set_enabled_debug_info_finders(["standard"])  # nothing is downloaded
        with suppress(MissingDebugInfoError):
            self.program.load_debug_info(main=True)
        start, stop = (self.symbols.address(name) for name in symbols.TABLES)
        if start is None or stop is None:
            if layout.type_of(self.program, "struct page", needed=False) is None:
                raise CannotLook(NO_TYPES)
            return
        if not 0 < stop - start <= MOST:
            raise BtfError(f"the BTF in this kernel's memory has {stop - start} bytes: its symbols are damaged")
        self._btf = Btf(self.program.read(start, stop - start))
        self._types = TypesOfBtf(self.program, self._btf)
        self._types.register("btf", -1)

    # Memory

    def read(self, address: int, size: int) -> bytes:
        """The kernel's memory by its own addresses.  Raises drgn.FaultError."""
        return self._read(address, size, False)

    def words(self, physical: int, count: int) -> memoryview:
        """So many words of 64 bits at a physical address.  Raises drgn.FaultError."""
        return memoryview(self._read(physical, 8 * count, True)).cast("Q")

    def _read(self, address: int, size: int, physical: bool) -> bytes:
        if not 0 <= address <= _HIGHEST:  # which drgn takes for a mistake of its caller
            raise FaultError("no such address", address & _HIGHEST)
        data: bytes = self.program.read(address, size, physical)
        return data

    def at(self, type_: str, address: int) -> Object:
        """What is at an address, as a type by name.  Raises LookupError where the kernel has no such type."""
        return Object(self.program, type_, address=address)

    def pointer(self, type_: str, value: Object | int) -> Object:
        """A pointer, or its value, as another type's, such as "struct page *"."""
        if isinstance(value, int):
            return Object(self.program, type_, value)
        return cast(type_, value)

    # Frames

    def struct_page(self, pfn: int) -> int:
        """The address of a frame's struct page."""
        return self.vmemmap + pfn * self.layout.size

    def pfn_of(self, page: int) -> int:
        """The frame of a struct page's address, which may be one of a folio.  Raises CannotLook where it is none."""
        pfn, rest = divmod(page - self.vmemmap, self.layout.size)
        if rest or not 0 <= pfn < 1 << 40:
            raise CannotLook(f"{page:#x} is no struct page")
        return pfn

    def struct_pages(self, pfn: int, count: int) -> bytes:
        """So many struct pages, raw.  Raises drgn.FaultError."""
        return self.read(self.struct_page(pfn), count * self.layout.size)

    @cached_property
    def zero_pfns(self) -> frozenset[int]:
        """The shared zero page, and the huge one while it is there."""
        found = set()
        for name in ("zero_pfn", "zero_page_pfn", "huge_zero_pfn"):
            with suppress(LookupError, FaultError):
                found.add(int(self.program[name].value_()))
        return frozenset(found)

    @cached_property
    def max_pfn(self) -> int:
        """One more than the last frame.  Raises CannotLook."""
        try:
            return min(int(self.program["max_pfn"].value_()), 1 << 40)
        except (LookupError, FaultError) as wrong:
            raise CannotLook(f"the kernel does not tell how much memory it has: {wrong}") from None

    def entry(self, mm: Object, address: int) -> Entry:
        """What an address of a process comes to; mm: a struct mm_struct *.  Raises drgn.FaultError."""
        return walk(self.words, self.top(mm), self.levels, address)

    def top(self, mm: Object) -> int:
        """The physical address of an mm's highest page table."""
        return int(mm.pgd.value_()) - self.page_offset

    def pfn_mapped(self, mm: Object, address: int) -> int | None:
        """The frame that an address of a process is mapped to; None where it is to none."""
        return self.entry(mm, address).pfn(address)

    # Types of modules

    def has(self, type_: str, member: str) -> bool:
        """Whether this kernel's structure has a member of this name."""
        found = layout.type_of(self.program, type_, needed=False)
        return found is not None and layout.offset(found, member) is not None

    def module_types(self, name: str) -> bool:
        """Make a module's types known; whether it has any: it is loaded, and has BTF (5.11).  Raises CannotLook."""
        if self._btf is None:
            return self._module(name) is not None  # with debug symbols they are there, or not at all
        if name not in self._modules:
            data = self._module_btf(name)
            if data is None:
                return False
            types = self._modules[name] = TypesOfBtf(self.program, Btf(data, self._btf), self._types)
            types.register(f"btf of {name}", -1)
            for known in (self._types, *self._modules.values()):
                if known is not None:
                    known.forget()
        return True

    def modules(self) -> Iterator[tuple[str, Object]]:
        """Loaded modules by name: struct module *.  Raises CannotLook, drgn.FaultError."""
        if self.symbols.address("modules") is None:
            return
        for module in entries_of(self.program["modules"].address_of_(), "struct module", "list"):
            yield module.name.string_().decode("utf-8", "replace"), module

    def _module(self, name: str) -> Object | None:
        return next((module for found, module in self.modules() if found == name), None)

    def _module_btf(self, name: str) -> bytes | None:
        """Raises CannotLook, drgn.FaultError."""
        if self.symbols.address("btf_modules") is None:
            return None
        for each in entries_of(self.program["btf_modules"].address_of_(), "struct btf_module", "list"):
            if each.module.name.string_().decode("utf-8", "replace") == name:
                size = int(each.btf.data_size.value_())
                if size > MOST:
                    raise BtfError(f"the BTF of the module {name} has {size} bytes: it is damaged")
                return self.read(each.btf.data.value_(), size)
        return None

    # Time

    @contextmanager
    def paused(self) -> Iterator[bool]:
        """The kernel stands still for so long, where it can be stopped: whether what is read now cannot change.

        What was kept of an earlier look and may have changed since is forgotten.
        """
        self.__dict__.pop("zero_pfns", None)
        self.__dict__.pop("max_pfn", None)
        with self.source.pause():
            yield not self.source.changes

    def close(self) -> None:
        """Let go of the kernel's memory."""
        self.source.close()

    def __enter__(self) -> View:
        return self

    def __exit__(self, *how: object) -> None:
        self.close()


def frames(size: int) -> int:
    """Pages of so many bytes."""
    return -(-size >> PAGE_SHIFT)
