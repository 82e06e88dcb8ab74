"""Addresses of the kernel's variables and of its tables of operations, from its own kallsyms.

VMCOREINFO names the tables from 6.0 on, and drgn reads them; before that they are found by their look.
Few symbols are needed: they are kept by build id, relative to _stext where they move with it, so that
the next view need not look for them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from drgn import FaultError, Object, Program, Symbol, SymbolBinding, SymbolIndex, SymbolKind
from drgn.helpers.linux.kallsyms import load_vmlinux_kallsyms

from pinhold import trust
from pinhold.inspect import kallsyms
from pinhold.inspect.errors import CannotLook
from pinhold.inspect.vmcoreinfo import Vmcoreinfo

VARIABLES = {
    "init_task": "struct task_struct",
    "init_mm": "struct mm_struct",
    "init_pid_ns": "struct pid_namespace",
    "init_uts_ns": "struct uts_namespace",
    "modules": "struct list_head",
    "btf_modules": "struct list_head",
    "vmemmap_base": "unsigned long",
    "page_offset_base": "unsigned long",
    "zero_pfn": "unsigned long",
    "zero_page_pfn": "unsigned long",
    "huge_zero_pfn": "unsigned long",
    "max_pfn": "unsigned long",
    "nr_node_ids": "unsigned int",
    "sections_per_block": "int",
    "contig_page_data": "struct pglist_data",
    "hugetlb_max_hstate": "int",
    "nr_cpu_ids": "unsigned int",
    "cma_area_count": "unsigned int",
}
"""Variables that have no type in BTF, with the type that they have."""

NUMA_NODES = "node_data"
"""An array of pointers to struct pglist_data, one a node."""

CMA_AREAS = "cma_areas"
"""An array of struct cma, of which `cma_area_count` are areas."""

BATCHES = {"lru_pvecs": "struct lru_pvecs", "cpu_fbatches": "struct cpu_fbatches", "lru_rotate": "struct lru_rotate"}
"""Variables of each CPU (see inspect.batches), with their types."""

CPU_OFFSETS = "__per_cpu_offset"
"""An array of what a CPU's variables are away from their symbols, one of unsigned long a CPU."""

OPERATIONS = (
    "io_uring_fops",
    "socket_file_ops",
    "pipefifo_fops",
    "pipeanon_fops",
    "user_page_pipe_buf_ops",
    "dma_buf_fops",
    "udmabuf_ops",
    "vfio_fops",
    "iommufd_fops",
    "uverbs_fops",
    "uverbs_mmap_fops",
    "vhost_vdpa_fops",
    "vduse_dev_fops",
    "intel_iommu_ops",
    "intel_fs_paging_domain_ops",
    "intel_ss_paging_domain_ops",
    "amd_iommu_ops",
    "amdv1_ops",
    "shmem_aops",
    "hugetlbfs_aops",
)
"""Objects whose address tells what refers to them."""

FUNCTIONS = ("linear_hugepage_index",)
"""Functions that tell by being there how something is kept (rmap.index_of())."""

TABLES = ("__start_BTF", "__stop_BTF")

NEEDED = (*VARIABLES, NUMA_NODES, CMA_AREAS, *BATCHES, CPU_OFFSETS, *OPERATIONS, *FUNCTIONS, *TABLES)
_ANCHOR = "_stext"
_IMAGE_MOST = 96 << 20
_PIECE = 2 << 20
_VERSION = 2
_KERNEL = 1 << 63
"""Addresses from here on move with the kernel; below are what symbols of a CPU's variables are up to 6.14: offsets."""


class Symbols:
    """Those of NEEDED that the kernel has."""

    def __init__(self, addresses: Mapping[str, int]) -> None:
        self._addresses = dict(addresses)
        self._names = {address: name for name, address in addresses.items()}

    def address(self, name: str) -> int | None:
        """None where this kernel has no such symbol, or none that is needed."""
        return self._addresses.get(name)

    def name(self, address: int) -> str | None:
        """Of the symbol that begins there; None where none that is needed does."""
        return self._names.get(address)

    def register(self, program: Program) -> None:
        """Make them known to drgn, the variables with their types."""
        symbols = [
            Symbol(name, address, 1, SymbolBinding.GLOBAL, SymbolKind.OBJECT)
            for name, address in self._addresses.items()
        ]
        program.register_symbol_finder("pinhold", SymbolIndex(symbols), enable_index=-1)

        def variable(program: Program, name: str, flags: object, filename: str | None) -> Object | None:
            if filename is not None or name not in VARIABLES or name not in self._addresses:
                return None
            return Object(program, VARIABLES[name], address=self._addresses[name])

        program.register_object_finder("pinhold", variable, enable_index=-1)


def load(program: Program, info: Vmcoreinfo, keep: bool) -> Symbols:
    """From the cache, else from the kernel.  keep: they may be kept for the next view.  Raises CannotLook."""
    anchor = info.symbols.get(_ANCHOR)
    cache = _cache(info) if anchor is not None else None
    if cache is not None and anchor is not None:
        with suppress(OSError, ValueError, TypeError, AttributeError, LookupError):
            trust.check_cache(cache)
            kept = json.loads(cache.read_text())
            moved = {str(name): anchor + int(at) for name, at in kept["moving"].items()}
            return Symbols(moved | {str(name): int(at) for name, at in kept["fixed"].items()})
    found = _read(program, info)
    if cache is not None and anchor is not None and keep:
        moving = {name: address - anchor for name, address in found.items() if address >= _KERNEL}
        fixed = {name: address for name, address in found.items() if address < _KERNEL}
        _keep(cache, {"moving": moving, "fixed": fixed})
    return Symbols(found)


def _cache(info: Vmcoreinfo) -> Path | None:
    """The file of this kernel and of what is needed of it."""
    if not info.build_id.isalnum():
        return None
    needed = sha256(json.dumps([_VERSION, *NEEDED]).encode()).hexdigest()[:12]
    return trust.cache_dir() / "symbols" / f"{info.build_id}-{needed}.json"


def _keep(cache: Path, addresses: Mapping[str, Mapping[str, int]]) -> None:
    """A cache that cannot be written is done without."""
    with suppress(OSError):
        trust.cache_directory(cache.parent)
        partial = cache.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(addresses))
        os.replace(partial, cache)


def _read(program: Program, info: Vmcoreinfo) -> dict[str, int]:
    """Raises CannotLook."""
    if "kallsyms_names" in info.symbols:
        try:
            index = load_vmlinux_kallsyms(program)
        except (FaultError, LookupError, ValueError, NotImplementedError) as wrong:
            raise CannotLook(f"the symbols of this kernel cannot be read: {wrong}") from None
        found = {}
        for name in NEEDED:
            with suppress(LookupError):
                found[name] = _first(index, name, program)
        return found
    by_look = kallsyms.find(_image(program, info), NEEDED)
    if by_look is None:
        raise CannotLook(
            f"the symbols of this kernel ({info.release}) were not found: it was built without CONFIG_KALLSYMS_ALL, "
            "or its tables are of a form that pinhold does not know"
        )
    return dict(by_look)


def _first(index: SymbolIndex, name: str, program: Program) -> int:
    """Raises LookupError."""
    found = index(program, name, None, True)
    if not found:
        raise LookupError(name)
    return int(found[0].address)


def _image(program: Program, info: Vmcoreinfo) -> bytes:
    """The kernel's text and its read-only data, which follow each other."""
    start = info.symbols.get(_ANCHOR, 0)
    pieces = []
    for at in range(start, start + _IMAGE_MOST, _PIECE):
        try:
            pieces.append(program.read(at, _PIECE))
        except FaultError:
            break
    return b"".join(pieces)
