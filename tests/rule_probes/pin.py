"""Probes of the rules of taking and counting pins, and of those who pin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pinhold.mm import flags as k
from pinhold.mm.mmap import do_mmap
from pinhold.mm.pin import GUP_PIN_COUNTING_BIAS
from pinhold.mm.state import TINY
from pinhold.mm.users import io_uring_flags
from pinhold.targets.model.session import TASK
from pinhold.targets.model.users import free_pin, take
from play import Play, Row
from rule_probes.registry import probe


@probe({"no": (1 + GUP_PIN_COUNTING_BIAS, 0), "yes": (1, 0), "slow_fails": (1, k.ENOMEM)})
def zero_page_pin_exempt(chosen: Row) -> Any:
    """References on the zero page while one pin of it is asked for, and what the pin returns."""
    played = Play(chosen, "map P x zeropage\nread P x\npin P x as p\n")
    return played.m.folio_refcount[k.ZERO_PFN], played.errnos[-1]


ORDER_ONE = replace(TINY, levels=6, bits=1)
"""Page tables of two entries: a THP has two pages."""


@probe({"more_than_two_pages": (1 + 2 * GUP_PIN_COUNTING_BIAS, 0), "large": (3, 2)})
def pincount_large(chosen: Row) -> Any:
    """References and exact pins of a THP of two pages, both pinned for writing."""
    played = Play(chosen, "map P x thp pages 2\nwrite P x 0x11\npin P x as p write\n", geometry=ORDER_ONE)
    return played.m.folio_refcount[played.frame()], played.m.folio_pincount[played.frame()]


@probe({"foll_get": True, "foll_pin": False})
def direct_io(chosen: Row) -> Any:
    """Whether a page shared with a child is still shared after a direct write of it."""
    played = Play(chosen, "map P x anon\nwrite P x 0x11\nfork P C\ndirect write P x as s\n")
    return played.frame() == played.frame(process="C")


@probe({"slow": False, "fast": True})
def io_uring_gup(chosen: Row) -> Any:
    """Whether a fixed buffer of a written page is pinned without mmap_lock."""
    return "fast_pinned" in Play(chosen, "map P x anon\nwrite P x 0x11\nio_uring P x as p\n").sites[-1]


@probe(
    {
        "hugetlb": (0, k.EOPNOTSUPP, k.EOPNOTSUPP, k.EOPNOTSUPP),
        "hugetlb_shmem": (0, 0, k.EOPNOTSUPP, 0),
        "hugetlb_shmem_one_file": (0, 0, k.EOPNOTSUPP, k.EINVAL),
        "any": (0, 0, 0, 0),
    }
)
def io_uring_files(chosen: Row) -> Any:
    """The errno of a fixed buffer of hugetlb, of shared shmem, and of a shared file; and of anonymous memory with shmem
    behind it."""
    kinds = ("memfd_hugetlb 2M", "memfd", "file")
    alone = [Play(chosen, f"map P x {kind} shared\nio_uring P x as p\n").errnos[-1] for kind in kinds]
    return *alone, -io_uring_of_several(chosen)


def io_uring_of_several(chosen: Row) -> int:
    """What a fixed buffer of a page of anonymous memory and one of shmem, mapped side by side, comes to."""
    m = Play(chosen, "map P x anon pages 1\nmap P y memfd shared pages 1\n").m
    start, end, shmem = m.vma_start[0], m.vma_end[0] + 1, m.vma_file[1]
    assert do_mmap(m, 0, m.vma_end[0], end, k.VM_READ | k.VM_WRITE | k.VM_SHARED, shmem, 0, 0) == 0
    return min(take(m, TASK, free_pin(m), (0, start, end), io_uring_flags(m), k.USER_IO_URING), 0)


@probe({"page": (k.ENOMEM, "present", "none"), "batch": (k.ENOMEM, "present", "present")})
def vfio_batch(chosen: Row) -> Any:
    """A limit of one page, and VFIO asks for four: is more faulted in than the second page, which is one too many?"""
    text = "map P x anon pages 4\nmemlock P 1\ncapability P ipc_lock off\npin P x as p write longterm user vfio\n"
    played = Play(chosen, text)
    return played.errnos[-1], played.state(page=1), played.state(page=2)


@probe({"each_page": (512, 500, 12), "one_folio": (1, 500, 12), "each_folio": (1, 1, 1)})
def io_uring_coalesces(chosen: Row) -> Any:
    """Pins of a THP that is a fixed buffer, and of two of which a buffer has the last 500 and the first 12 pages."""
    pins = [Play(chosen, "map P x thp\nwrite P x 0x11\nio_uring P x as p\n")]
    pins.append(Play(chosen, "map P x thp pages 1024\nwrite P x 0x11\nio_uring P x[12:524] as p\n"))
    places = ((pins[0], 0), (pins[1], 0), (pins[1], 512))
    return tuple(played.m.folio_pincount[played.frame(page=page)] for played, page in places)


@probe({"charged": k.ENOMEM, "free": 0})
def io_uring_ring(chosen: Row) -> Any:
    """The errno of a fixed buffer of as many pages as the limit has."""
    text = "map P x anon pages 4\ncapability P ipc_lock off\nmemlock P 4\nio_uring P x as p\n"
    return Play(chosen, text).errnos[-1]


@probe({"all": (1, 1), "user_pays": (1, 0)})
def io_uring_pinned_vm(chosen: Row) -> Any:
    """What a fixed buffer counts in pinned_vm without CAP_IPC_LOCK, and with it."""
    text = "map P x anon\nwrite P x 0x11\ncapability P ipc_lock {}\nio_uring P x as p\n"
    return tuple(Play(chosen, text.format(capable)).m.mm_pinned_vm[0] for capable in ("off", "on"))
