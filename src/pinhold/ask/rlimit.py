"""RLIMIT_MEMLOCK for so much memory, by the interface that pins it: each charges differently, and to another counter.

Read in the sources of 5.10, 6.1, 6.12 and 7.3, which agree but for what `since` says.
"""

from __future__ import annotations

from dataclasses import dataclass

from pinhold.mm.rules.switch import parts

MIB = 1 << 20
HUGE = 2 * MIB
PAGE = 4096

_USER = "user->locked_vm"
_LOCKED = "mm->locked_vm"
_PINNED = "mm->pinned_vm"

COUNTERS = {
    _USER: "one for all processes of a user: io_uring, AF_XDP, iommufd and MSG_ZEROCOPY add to it",
    _LOCKED: "one a process: mlock() adds to it, too",
    _PINNED: "one a process: RDMA, vDPA, io_uring and iommufd add to it",
}
"""What is compared with the limit, and what else is in it."""


@dataclass(frozen=True, slots=True)
class Limit:
    """interface: as interfaces.py names it; counter: of COUNTERS; waived: by CAP_IPC_LOCK; whole: a huge page counts
    once and whole, however little of it is used; error: what one page too many comes to; source: the kernel function;
    since: the first release that has it, "" for all that are known."""

    interface: str
    counter: str
    source: str
    waived: bool = True
    whole: bool = False
    error: str = "ENOMEM"
    since: str = ""

    def needed(self, mebibytes: int, huge: bool) -> int:
        """Bytes of the limit for a buffer of that size where nothing else is counted.

        huge: whether it may be of huge pages of 2 MiB, and begin within one: all that it touches then count whole.
        """
        size = mebibytes * MIB
        return ((size - PAGE) // HUGE + 2) * HUGE if huge and self.whole else size


LIMITS: tuple[Limit, ...] = (
    Limit("ibv_reg_mr", _PINNED, "ib_umem_get()"),
    Limit("io_uring fixed buffer", _USER, "__io_account_mem()", whole=True),
    Limit("vfio", _LOCKED, "vfio_pin_pages_remote()"),
    Limit("iommufd", _USER, "incr_user_locked_vm()", since="6.2"),
    Limit("af_xdp", _USER, "xdp_umem_account_pages()", error="ENOBUFS"),
    Limit("vhost", _PINNED, "vhost_vdpa_pa_map()", waived=False),
)


def limits(release: str) -> tuple[Limit, ...]:
    """Those that a release has."""
    series = parts(".".join(release.partition(",")[0].split(".")[:2]))
    return tuple(limit for limit in LIMITS if parts(limit.since) <= series)


def limit_of(interface: str) -> Limit | None:
    """None where the interface is charged nothing."""
    return next((limit for limit in LIMITS if limit.interface == interface), None)
