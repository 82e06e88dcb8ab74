"""The kernel's interfaces that take pages of user memory, by the names that people know: with which flags, release by
release, and what is charged.

Each call was read in the sources of 5.10, 6.1, 6.12 and 7.3; where two of them differ, the commit says since when.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from pinhold.ask.flags import Request
from pinhold.mm import flags as k
from pinhold.mm.rules.switch import parts

_LT = k.FOLL_LONGTERM
_RW = k.FOLL_LONGTERM | k.FOLL_WRITE
_FORCED = k.FOLL_WRITE | k.FOLL_FORCE


@dataclass(frozen=True, slots=True)
class Call:
    """since: the first release that calls so, "" for the first that is known; commit: of the change, "" for none."""

    request: Request
    fast: bool = False
    since: str = ""
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """One way to use an interface.  words: which; calls: how it calls GUP, oldest first."""

    words: str
    calls: tuple[Call, ...]

    def call(self, release: str) -> Call:
        """As that release makes it."""
        wanted = parts(".".join(re.findall(r"[0-9]+", release)[:2]))
        return [call for call in self.calls if parts(call.since) <= wanted][-1]


@dataclass(frozen=True, slots=True)
class Interface:
    """name, aliases: what people call it; what: it does, in words; source: the kernel function and file.

    user: as whom the specification charges it, "" where it does not; charge: against what, in words.
    """

    name: str
    aliases: tuple[str, ...]
    what: str
    source: str
    uses: tuple[Use, ...]
    charge: str
    user: str = ""


def _pin(flags: int, fast: bool = False, since: str = "", commit: str = "") -> Call:
    return Call(Request(True, flags), fast, since, commit)


def _get(flags: int) -> Call:
    return Call(Request(False, flags), fast=True)


INTERFACES: tuple[Interface, ...] = (
    Interface(
        "ibv_reg_mr",
        ("rdma", "rdma mr", "ib_umem_get", "memory region"),
        "registers memory for RDMA",
        "ib_umem_get() (drivers/infiniband/core/umem.c)",
        (
            Use(
                "a region to read: no IBV_ACCESS_LOCAL_WRITE",
                (_pin(_LT | _FORCED, True), _pin(_LT, True, "6.2", "b40656aa7d55")),
            ),
            Use("a writable region", (_pin(_RW, True),)),
        ),
        "mm->pinned_vm of the process: every page that is asked for, before it is pinned; waived by CAP_IPC_LOCK",
        "rdma",
    ),
    Interface(
        "io_uring fixed buffer",
        ("io_uring", "fixed buffer", "io_uring_register_buffers", "ioring_register_buffers"),
        "registers memory for later reads and writes",
        "io_pin_pages() (io_uring/memmap.c, rsrc.c up to 6.9)",
        (Use("a buffer", (_pin(_RW), _pin(_RW, True, "6.10", "1943f96b3816"))),),
        "locked_vm of the user, a huge page once and whole; waived by CAP_IPC_LOCK",
        "io_uring",
    ),
    Interface(
        "vfio",
        ("vfio type1", "vfio_iommu_map_dma", "vfio_pin_pages_remote"),
        "maps memory for a device that user space or a guest drives",
        "vfio_pin_pages_remote() (drivers/vfio/vfio_iommu_type1.c)",
        (
            Use("VFIO_DMA_MAP_FLAG_READ alone", (_pin(_LT),)),
            Use("with VFIO_DMA_MAP_FLAG_WRITE", (_pin(_RW),)),
        ),
        "locked_vm of the process: every page but the zero page; waived by CAP_IPC_LOCK",
        "vfio",
    ),
    Interface(
        "v4l2 userptr",
        ("v4l2", "v4l2_memory_userptr", "videobuf2", "get_vaddr_frames"),
        "queues memory of the process to a video device",
        "get_vaddr_frames() (drivers/media/common/videobuf2/frame_vector.c; mm/frame_vector.c in 5.10)",
        (
            Use(
                "output: the device reads",
                (_pin(_FORCED), _pin(_LT | _FORCED, True, "5.11"), _pin(_LT, True, "6.2")),
            ),
            Use(
                "capture: the device writes",
                (_pin(_FORCED), _pin(_LT | _FORCED, True, "5.11"), _pin(_RW, True, "6.2")),
            ),
        ),
        "nothing",
    ),
    Interface(
        "af_xdp",
        ("xdp", "xdp_umem_reg", "umem", "xsk"),
        "registers the packet memory of a socket",
        "xdp_umem_pin_pages() (net/xdp/xdp_umem.c)",
        (Use("a umem", (_pin(_RW),)),),
        "locked_vm of the user: every page; waived by CAP_IPC_LOCK",
    ),
    Interface(
        "vhost",
        ("vhost vdpa", "vdpa", "vhost_vdpa_pa_map"),
        "maps a guest's memory for a vDPA device; vhost without vDPA copies, and pins no guest memory",
        "vhost_vdpa_pa_map() (drivers/vhost/vdpa.c)",
        (
            Use("VHOST_ACCESS_RO", (_pin(_LT),)),
            Use("VHOST_ACCESS_WO or RW", (_pin(_RW),)),
        ),
        "mm->pinned_vm of the process: every page; CAP_IPC_LOCK does not waive it",
    ),
    Interface(
        "process_vm_readv",
        ("process_vm_writev", "process_vm"),
        "copies memory of another process",
        "process_vm_rw_single_vec() (mm/process_vm_access.c)",
        (
            Use("process_vm_readv(): the other's memory is read", (_pin(0),)),
            Use("process_vm_writev(): it is written", (_pin(k.FOLL_WRITE),)),
        ),
        "nothing; the pages are let go before the call returns",
    ),
    Interface(
        "O_DIRECT",
        ("direct io", "direct i/o", "odirect"),
        "moves data between a file and memory without the page cache",
        "iov_iter_extract_pages() (lib/iov_iter.c; bio_iov_iter_get_pages() with references up to 6.4)",
        (
            Use("write(): memory is read", (_get(0), _pin(0, True, "6.5", "a7e689dd1c06"))),
            Use(
                "read(): memory is written",
                (_get(k.FOLL_WRITE), _pin(k.FOLL_WRITE, True, "6.5", "a7e689dd1c06")),
            ),
        ),
        "nothing; the pages are held until the I/O is done",
    ),
    Interface(
        "vmsplice",
        ("splice_f_gift",),
        "puts pages of memory into a pipe",
        "iov_iter_get_pages2() for vmsplice_to_pipe() (fs/splice.c)",
        (Use("into a pipe", (_get(0),)),),
        "nothing but the pipe's buffers (fs.pipe-user-pages-soft); the pages are held until the pipe is read",
    ),
    Interface(
        "gup_test",
        ("pin_longterm_test_start",),
        "pins memory for the kernel's own selftests, since 6.2 (c77369b437f9); PIN_LONGTERM_TEST_FLAG_USE_FAST: by the "
        "_fast form",
        "pin_longterm_test_start() (mm/gup_test.c)",
        (
            Use("PIN_LONGTERM_TEST_START alone", (_pin(_LT),)),
            Use("with PIN_LONGTERM_TEST_FLAG_USE_WRITE", (_pin(_RW),)),
        ),
        "nothing",
    ),
)


def names() -> tuple[str, ...]:
    """Of every interface."""
    return tuple(interface.name for interface in INTERFACES)


def find(text: str) -> Interface | None:
    """The interface of that name or alias; case, blanks, hyphens and underscores are all one."""
    wanted = _plain(text)
    for interface in INTERFACES:
        if wanted in map(_plain, (interface.name, *interface.aliases)):
            return interface
    return None


def nearest(text: str) -> str | None:
    """The name that was probably meant."""
    known = {_plain(word): i.name for i in INTERFACES for word in (i.name, *i.aliases)}
    close = get_close_matches(_plain(text), known, n=1, cutoff=0.7)
    return known[close[0]] if close else None


def _plain(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", text.strip().casefold())
