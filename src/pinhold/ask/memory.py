"""The kinds of memory that a driver can be handed, each as the lines of a scenario that make it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Memory:
    """One row of the answer.

    lines: make the region x in process P as it is before the pin.  pages: the range of x that is pinned and written
    (a few pages of a THP stand for all).  writable: P may write at once; else it has to mprotect() first.
    bystander: another view of the same memory and the byte that it must go on reading, or "".
    """

    group: str
    name: str
    lines: str
    pages: str = "x"
    writable: bool = True
    bystander: str = ""


_ANON = "private anonymous"
_THP = "private anonymous, THP"
_HUGETLB = "private anonymous, hugetlb 2M"
_PRIVATE = "private file mapping (MAP_PRIVATE)"
_SHARED = "shared mapping (MAP_SHARED)"

_CHILD = "fork P C\n"
_FORMER_CHILD = "fork P C\nexit C\n"
_ONE_BASE_PAGE = "map P x anon\n"
_ONE_THP = "map P x thp\n"
_ONE_HUGETLB = "map P x hugetlb 2M\n"


def _file(kind: str, prot: str, lines: str = "read P x\n") -> str:
    """A file mapped privately, and again as somebody else sees it."""
    return f"map P x {kind} {prot}\nmap P s of x shared read\nread P s\n{lines}"


MEMORY: tuple[Memory, ...] = (
    Memory(_ANON, "written", f"{_ONE_BASE_PAGE}write P x 0x11\n"),
    Memory(_ANON, "written, shared with a child", f"{_ONE_BASE_PAGE}write P x 0x11\n{_CHILD}", bystander="C x 0x11"),
    Memory(_ANON, "written, child has exited", f"{_ONE_BASE_PAGE}write P x 0x11\n{_FORMER_CHILD}"),
    Memory(_ANON, "written, now PROT_READ", f"{_ONE_BASE_PAGE}write P x 0x11\nmprotect P x read\n", writable=False),
    Memory(_ANON, "only read: shared zeropage", "map P x zeropage\nread P x\n"),
    Memory(_ANON, "never touched", _ONE_BASE_PAGE),
    Memory(_THP, "written", f"{_ONE_THP}write P x 0x11\n", "x[:4]"),
    Memory(_THP, "written, shared with a child", f"{_ONE_THP}write P x 0x11\n{_CHILD}", "x[:4]", True, "C x 0x11"),
    Memory(_THP, "written, child has exited", f"{_ONE_THP}write P x 0x11\n{_FORMER_CHILD}", "x[:4]"),
    Memory(_THP, "only read: huge zeropage", "map P x hugezero\nread P x[0]\n", "x[:4]"),
    Memory(_HUGETLB, "written", f"{_ONE_HUGETLB}write P x 0x11\n"),
    Memory(_HUGETLB, "written, shared with a child", f"{_ONE_HUGETLB}write P x 0x11\n{_CHILD}", bystander="C x 0x11"),
    Memory(_HUGETLB, "written, child has exited", f"{_ONE_HUGETLB}write P x 0x11\n{_FORMER_CHILD}"),
    Memory(_HUGETLB, "only read", f"{_ONE_HUGETLB}read P x\n"),
    Memory(_PRIVATE, "memfd or tmpfs, only read", _file("memfd", "rw"), bystander="P s 0x00"),
    Memory(_PRIVATE, "file on disk, only read", _file("file", "rw"), bystander="P s 0x00"),
    Memory(_PRIVATE, "hugetlb 2M file, only read", _file("memfd_hugetlb 2M", "rw"), bystander="P s 0x00"),
    Memory(_PRIVATE, "file on disk, PROT_READ", _file("file", "read"), writable=False, bystander="P s 0x00"),
    Memory(_PRIVATE, "file on disk, written", _file("file", "rw", "write P x 0x11\n"), bystander="P s 0x00"),
    Memory(_SHARED, "memfd or tmpfs", "map P x memfd shared\nread P x\n"),
    Memory(_SHARED, "file on disk", "map P x file shared\nread P x\n"),
    Memory(_SHARED, "hugetlb 2M", "map P x memfd_hugetlb 2M shared\nread P x\n"),
    Memory(_SHARED, "file on disk, PROT_READ", "map P x file shared read\nread P x\n", writable=False),
)
