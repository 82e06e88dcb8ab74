"""One QEMU: its command line, its process, and nothing left of either.

Nothing of it is a file with a name: its memory, initramfs and disks are memory files, the serial ports are a socket and
an unlinked file.  The process dies with its parent.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pinhold import trust
from pinhold.lab import disk
from pinhold.lab.errors import LabError
from pinhold.lab.layout import FILES, SWAP

PROGRAM = "qemu-system-x86_64"
HOW_TO_GET = "apt-get install qemu-system-x86, or make lab"
_TAIL = 65536
_TERM_SECONDS = 5.0
"""Then it is killed: nothing of a guest is kept."""
_STOP_SECONDS = 10.0
_STOPPED = b"VM status: paused"


APPEND = (
    "console=ttyS0 panic=-1 oops=panic quiet loglevel=4 mitigations=off rdinit=/init PYTHONHASHSEED=0 "
    "random.trust_cpu=on transparent_hugepage=madvise tsc=reliable 8250.nr_uarts=4"
)
"""Parameters without a value that the kernel does not know would become arguments of init: there are none."""

_LAUNCH = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.getppid() == int(sys.argv[1]) and os.execv(sys.argv[2], sys.argv[3:])
"""
"""PR_SET_PDEATHSIG outlives exec.  A preexec_fn would do the same, and is not safe beside threads."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What to boot.

    memory, swap, files: MiB, of memory and of the two disks; 0: without that disk; huge, gigantic: 2 MiB and 1 GiB
    pages to reserve; edu: so many DMA devices behind an IOMMU;
    icount: time stands for instructions, so that waiting for a device takes none (TCG alone does that).
    """

    kernel: Path
    initramfs: bytes
    memory: int = 1024
    swap: int = 256
    files: int = 0
    huge: int = 0
    gigantic: int = 0
    edu: int = 0
    icount: bool = False
    accelerator: str = "tcg"
    append: str = ""
    extra: tuple[str, ...] = field(default=())


def command(setup: Setup, ram: str, initramfs: str, port: int, disks: Mapping[str, str]) -> list[str]:
    """The command line; ram, initramfs: paths; port: the descriptor of the second serial port's socket; disks: name,
    which is the serial number that the guest sees, to path."""
    # Without fast string moves TCG copies by whole pages: a 1 GiB page in 1.6 s instead of 37.
    cpu = {"tcg": "max,erms=off,fsrm=off", "kvm": "host"}[setup.accelerator]
    accelerator = setup.accelerator if setup.icount or setup.accelerator == "kvm" else "tcg,thread=multi"
    # The host's KSM has no business with a guest's memory, nor with what QEMU has beside it (firmware): both are merged
    # by default.
    memory = f"memory-backend-file,id=ram,size={setup.memory}M,mem-path={ram},share=on,merge=off"
    split = setup.accelerator == "kvm" and setup.edu > 0
    machine = "q35,mem-merge=off,memory-backend=ram" + ",kernel-irqchip=split" * split
    parts = [
        PROGRAM, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-object", memory, "-machine", machine,
        "-accel", accelerator, "-cpu", cpu, "-smp", "1", "-m", f"{setup.memory}M",
        "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
        "-chardev", f"socket,id=port,fd={port}", "-serial", "chardev:port",
        "-kernel", os.path.abspath(setup.kernel), "-initrd", initramfs, "-append", _append(setup),
    ]  # fmt: skip
    for name, path in disks.items():
        drive = f"file={path},format=raw,if=none,id={name},cache=unsafe,file.locking=off"
        parts += ["-drive", drive, "-device", f"virtio-blk-pci,drive={name},serial={name}"]
    if setup.edu:
        parts += ["-device", "intel-iommu,intremap=off", *["-device", "edu"] * setup.edu]
    if setup.icount and setup.accelerator == "tcg":
        parts += ["-icount", "shift=auto,sleep=off"]
    return [*parts, *setup.extra]


def _append(setup: Setup) -> str:
    words = [APPEND]
    if setup.gigantic:
        words.append(f"hugepagesz=1G hugepages={setup.gigantic}")
    if setup.huge:
        words.append(f"hugepagesz=2M hugepages={setup.huge}")
    if setup.edu:
        words.append("intel_iommu=on")
    return " ".join([*words, setup.append]).strip()


def missing() -> str | None:
    """Why no guest can be started here, in words; None where QEMU is there."""
    try:
        trust.program(PROGRAM)
    except trust.NoProgram as reason:
        return f"vm: targets need {reason}: {HOW_TO_GET}"
    return None


class Qemu:
    """A running guest.  port: the host's end of the second serial port; ram: its memory, as a file of this process
    (inspect/memory/ram.py reads it)."""

    def __init__(self, setup: Setup) -> None:
        """Raises LabError where it cannot be started."""
        reason = missing()
        if reason:
            raise LabError(reason)
        with ExitStack() as opened:
            self._console: IO[bytes] = opened.enter_context(tempfile.TemporaryFile(prefix="pinhold-"))
            self.port, far = socket.socketpair()
            opened.callback(self.port.close)
            self._monitor, monitor = socket.socketpair()
            opened.callback(self._monitor.close)
            self.ram: IO[bytes] = opened.enter_context(disk.empty("ram", setup.memory))
            with ExitStack() as handed:
                handed.enter_context(far)
                handed.enter_context(monitor)
                initramfs = handed.enter_context(disk.memory_file("initramfs", setup.initramfs))
                disks = {name: handed.enter_context(made) for name, made in _disks(setup)}
                paths = {name: f"/proc/self/fd/{file.fileno()}" for name, file in disks.items()}
                ram = f"/proc/self/fd/{self.ram.fileno()}"
                line = command(setup, ram, f"/proc/self/fd/{initramfs.fileno()}", far.fileno(), paths)
                sockets = (far.fileno(), monitor.fileno())
                self._process = subprocess.Popen(
                    [
                        *(sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid())),
                        *(trust.program(PROGRAM), *line, *_monitored(monitor)),
                    ],
                    pass_fds=[
                        *sockets,
                        self.ram.fileno(),
                        initramfs.fileno(),
                        *(file.fileno() for file in disks.values()),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=self._console,
                    stderr=subprocess.STDOUT,
                    cwd="/",  # QEMU takes firmware from the current directory before its own
                    start_new_session=True,  # Ctrl-C is for pinhold, which ends the guest itself
                )
            self._opened = opened.pop_all()

    def console(self) -> str:
        """The end of what the kernel, or QEMU itself, has said."""
        descriptor = self._console.fileno()
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, _TAIL, max(0, size - _TAIL)).decode("utf-8", "replace")

    def ended(self) -> bool:
        """Whether the process is gone: its exit status says nothing, a panicked guest ends it with 0."""
        return self._process.poll() is not None

    def killed_by(self) -> str | None:
        """The signal that ended the process; None where it runs, or has ended by itself."""
        status = self._process.poll()
        return signal.Signals(-status).name if status is not None and status < 0 else None

    @property
    def pid(self) -> int:
        return self._process.pid

    def interrupt(self) -> None:
        """Give the guest a non-maskable interrupt: it panics, and its console tells where it was (guest.LOUD)."""
        with suppress(OSError):
            self._monitor.sendall(b"nmi\n")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The guest stands still for so long.  Raises LabError where QEMU does not say that it does."""
        try:
            self._monitor.settimeout(_STOP_SECONDS)
            self._monitor.sendall(b"stop\ninfo status\n")
            said = b""
            while _STOPPED not in said:
                more = self._monitor.recv(4096)
                if not more:
                    raise LabError("QEMU has ended")
                said = said[-4096:] + more
        except OSError as wrong:
            raise LabError(f"the guest cannot be stopped: {wrong.strerror or wrong}") from None
        try:
            yield
        finally:
            with suppress(OSError):
                self._monitor.sendall(b"cont\n")

    def wait(self, seconds: float) -> None:
        """Let a guest that powers itself off end."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def close(self) -> None:
        """End it, whatever it does."""
        with self._opened:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGTERM)
                self.wait(_TERM_SECONDS)
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()


def _monitored(monitor: socket.socket) -> list[str]:
    return ["-chardev", f"socket,id=monitor,fd={monitor.fileno()}", "-mon", "chardev=monitor,mode=readline"]


def _disks(setup: Setup) -> Iterator[tuple[str, IO[bytes]]]:
    """Those of a guest, by name.  Raises LabError."""
    if setup.swap:
        yield SWAP, disk.empty(SWAP, setup.swap)
    if setup.files:
        yield FILES, disk.ext4(FILES, setup.files)
