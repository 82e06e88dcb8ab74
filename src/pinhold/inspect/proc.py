"""What /proc tells of pinned memory, without a look into the kernel's own: no privilege, no other package.

What is charged to each process, the fixed buffers of io_uring and the sizes of udmabufs by their fdinfo, which other
files are open through which pins are taken, and the kernel's counters.  Page frames, and so the state, cannot be told.

Processes come and go meanwhile.  Each is read below one descriptor of its directory, which never leads to another
process that got its number; one that has gone is left out.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from contextlib import suppress

from pinhold.inspect.fdinfo import exported, fixed_buffers
from pinhold.inspect.records import (
    At,
    Buffer,
    Counters,
    Holder,
    Looked,
    NotThere,
    Process,
    ProcessPins,
    Selection,
    Told,
)
from pinhold.targets.live.pagemap import pin_counters

IO_URING = "io_uring"
UDMABUF = "udmabuf"

_OPEN = (
    (re.compile(r"anon_inode:\[io_uring\]"), IO_URING),
    (re.compile(r"/dmabuf:.*", re.DOTALL), UDMABUF),
    (re.compile(r"/dev/vfio/(?:vfio|[0-9]+|noiommu-[0-9]+|devices/vfio[0-9]+)"), "VFIO"),
    (re.compile(r"/dev/iommu"), "iommufd"),
    (re.compile(r"/dev/infiniband/(?:uverbs[0-9]+|rdma_cm)"), "RDMA"),
    (re.compile(r"/dev/vhost-(?:net|vsock|scsi)"), "vhost"),
    (re.compile(r"/dev/vhost-vdpa-[0-9]+"), "vDPA"),
    (re.compile(r"/dev/vduse/.*", re.DOTALL), "VDUSE"),
)
"""What the link of a descriptor looks like, and which kind of holder that is."""

_LOOKS = 5
"""So often a ring is asked whose lock somebody has."""

_HIDDEN = "what it holds is not in /proc"


class _Gone(Exception):
    """The process has ended."""


class Reader:
    """One look.  proc: where /proc is; at: see At."""

    def __init__(self, proc: str = "/proc", at: At = lambda what, done, total: None) -> None:
        self._proc = proc
        self._at = at
        self._processes: list[ProcessPins] = []
        self._buffers: list[Buffer] = []
        self._total = self._denied = self._inconsistent = 0

    def look(self, selection: Selection) -> Told:
        """What is asked for, as far as /proc tells.  Raises NotThere, and OSError where there is no /proc."""
        if selection.of_frames:
            return Told(self._proc, self._release(), missing=missing(self._proc))
        pids = self._pids() if selection.pid is None else [selection.pid]
        for done, pid in enumerate(pids):
            self._at("processes", done, len(pids))
            with suppress(_Gone):
                self._read(pid)
        if selection.pid is not None and not self._total:
            raise NotThere(f"no process {selection.pid} is to be seen here: `ps -e` lists those that are")
        buffers = tuple(b for b in self._buffers if selection.address is None or _has(b, selection.address))
        looked = Looked("processes", self._total, self._inconsistent, self._denied)
        processes = tuple(self._processes)
        counted = counters(self._proc)
        return Told(self._proc, self._release(), processes, buffers, (), counted, looked, missing(self._proc))

    def _pids(self) -> list[int]:
        return sorted(int(name) for name in os.listdir(self._proc) if name.isdecimal())

    def _release(self) -> str:
        try:
            with open(f"{self._proc}/sys/kernel/osrelease", encoding="ascii") as file:
                return file.read().strip()
        except OSError:
            return os.uname().release

    def _read(self, pid: int) -> None:
        """One process.  Raises _Gone."""
        try:
            folder = os.open(f"{self._proc}/{pid}", os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            raise _Gone from None
        try:
            status = _text(folder, "status")
            self._total += 1
            pin, lck = _kib(status, "VmPin"), _kib(status, "VmLck")
            if pin is None or lck is None:
                return  # a kernel thread, or one that is ending: it has no memory
            process = Process(pid, _text(folder, "comm").removesuffix("\n"))
            held = list(self._held(folder, process))
        except PermissionError:
            self._denied += 1
            return
        finally:
            os.close(folder)
        self._processes.append(ProcessPins(process, pin, lck))
        self._buffers += held

    def _held(self, folder: int, process: Process) -> Iterator[Buffer]:
        """What it has open.  Raises _Gone."""
        for fd, kind in self._open(folder):
            holder = Holder(kind, process, fd)
            try:
                if kind == IO_URING:
                    yield from self._ring(folder, holder)
                elif kind == UDMABUF:
                    dma_buf = exported(_text(folder, f"fdinfo/{fd}"))
                    if dma_buf is not None and dma_buf[0] == UDMABUF:
                        yield Buffer(
                            holder, dma_buf[1], reason="it keeps no address, and its page frames are not in /proc"
                        )
                else:
                    yield Buffer(holder, reason=_HIDDEN)
            except _Gone:
                continue  # the descriptor has been closed; if the process has gone, so are the others

    def _ring(self, folder: int, holder: Holder) -> Iterator[Buffer]:
        for _ in range(_LOOKS):
            buffers = fixed_buffers(_text(folder, f"fdinfo/{holder.fd}"))
            if buffers is not None:
                break
            os.sched_yield()
        else:
            self._inconsistent += 1
            yield Buffer(holder, reason="the ring was busy each time that it was asked: ask again")
            return
        for address, size in buffers:
            yield Buffer(
                Holder(holder.kind, holder.process, holder.fd, address=address),
                size,
                reason="its page frames are not in /proc",
            )

    def _open(self, folder: int) -> list[tuple[int, str]]:
        """Number and kind of each open file through which pins are taken.  Counts what may not be looked at."""
        try:
            names = os.open("fd", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
        except PermissionError:
            self._denied += 1
            return []
        except OSError:
            raise _Gone from None
        found = []
        try:
            for name in os.listdir(names):
                with suppress(OSError, ValueError):  # closed since then
                    link = os.readlink(name, dir_fd=names)
                    kind = next((kind for pattern, kind in _OPEN if pattern.fullmatch(link)), None)
                    if kind is not None:
                        found.append((int(name), kind))
        except PermissionError:
            self._denied += 1
        except OSError:
            raise _Gone from None
        finally:
            os.close(names)
        return sorted(found)


def counters(proc: str = "/proc") -> Counters | None:
    """FOLL_PIN references since boot; None where the kernel does not count them."""
    exact = pin_counters(proc)
    if exact is not None:
        return Counters(*exact, True)
    with suppress(OSError, KeyError, ValueError), open(f"{proc}/vmstat", encoding="ascii") as file:
        found = dict(line.split() for line in file)
        return Counters(int(found["nr_foll_pin_acquired"]), int(found["nr_foll_pin_released"]), False)
    return None


def _has(buffer: Buffer, address: int) -> bool:
    start = buffer.holder.address
    return start is not None and buffer.size is not None and start <= address < start + buffer.size


def _text(folder: int, name: str) -> str:
    """Raises _Gone, and PermissionError."""
    try:
        descriptor = os.open(name, os.O_RDONLY, dir_fd=folder)
        with open(descriptor, encoding="utf-8", errors="backslashreplace", newline="") as file:
            return file.read()
    except PermissionError:
        raise
    except OSError:
        raise _Gone from None


def _kib(status: str, name: str) -> int | None:
    """A line of /proc/PID/status that counts KiB, in bytes."""
    match = re.search(rf"^{name}:\s+([0-9]+) kB$", status, re.MULTILINE)
    return int(match[1]) << 10 if match else None


def missing(proc: str = "/proc", root: bool | None = None) -> tuple[str, ...]:
    """What it would take to see page frames, the other holders and the state, a sentence."""
    takes = []
    if not (os.geteuid() == 0 if root is None else root):
        takes.append("root")
    if not os.path.exists(f"{proc}/kcore"):
        takes.append(f"{proc}/kcore, which this kernel does not have (CONFIG_PROC_KCORE)")
    if any(importlib.util.find_spec(name) is None for name in ("drgn", "numpy")):
        takes.append("drgn and numpy (pip install 'pinhold[inspect]')")
    if not takes:
        return ()
    return (
        f"Page frames, other holders and the state can be told by a look into the kernel's memory. It takes "
        f"{', and '.join(takes)}.",
    )
