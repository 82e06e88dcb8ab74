"""Process 1 of a guest that holds memory in every way that it can, tells the host what it did, and waits for a word.

Runs in the guest, with what its agent has.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import signal
import socket
import struct
import termios
import threading
import traceback
from collections.abc import Callable
from typing import Any

from pinhold.lab import guest
from pinhold.lab.layout import MODULES
from pinhold.targets.live import syscalls
from pinhold.targets.live.pins import edu
from pinhold.targets.live.pins import pinprobe as probe
from pinhold.targets.live.pins.io_uring import IoUring

PAGE, HUGE = 4096, 2 << 20
PORT = "/dev/ttyS1"
AF_XDP, SOL_XDP, XDP_UMEM_REG = 44, 283, 4
VMSPLICE = 278
F_ADD_SEALS, F_SEAL_SHRINK = 1033, 2
MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB, MFD_HUGE_2MB = 1, 2, 4, 21 << 26
UDMABUF_CREATE = 0x40187542
MADV_MERGEABLE, MADV_HUGEPAGE = 12, 14
PROT_NONE, FIXED = 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x10

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
LIBC.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

KEPT: list[Any] = []
"""What must not be closed."""


def memory(size: int, flags: int = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, file: int = -1) -> int:
    """An address of new memory."""
    at = LIBC.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, file, 0)
    if at in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "mmap")
    return int(at)


def huge() -> int:
    """An address where a huge page can be."""
    at = (memory(2 * HUGE) + HUGE - 1) & -HUGE
    LIBC.madvise(at, HUGE, MADV_HUGEPAGE)
    return at


def write(at: int, size: int, byte: int = 1) -> None:
    for page in range(0, size, PAGE):
        ctypes.memset(at + page, byte, 1)


def read(at: int, size: int) -> None:
    for page in range(0, size, PAGE):
        ctypes.string_at(at + page, 1)


def io_uring(at: int, size: int) -> int:
    return IoUring().acquire(at, size // PAGE, True, False).fds[0]


def af_xdp(at: int, size: int) -> int:
    """A umem; no device is needed for it to pin."""
    made = socket.socket(AF_XDP, socket.SOCK_RAW, 0)
    made.setsockopt(SOL_XDP, XDP_UMEM_REG, struct.pack("QQII", at, size, PAGE, 0))
    KEPT.append(made)
    return made.fileno()


def vmsplice(at: int, size: int) -> int:
    ends = os.pipe()
    vector = ctypes.create_string_buffer(struct.pack("QQ", at, size), 16)
    syscalls.raw(VMSPLICE, ends[1], ctypes.addressof(vector), 1, 0)
    return ends[0]


def udmabuf(file: int, size: int) -> int:
    device = os.open("/dev/udmabuf", os.O_RDWR)
    return fcntl.ioctl(device, UDMABUF_CREATE, bytearray(struct.pack("=IIQQ", file, 1, 0, size)), True)


def add_vdpa(family: str, device: str) -> None:
    """vdpa dev add name DEVICE mgmtdev FAMILY: returns when a driver has the device, which may be never."""
    line = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)  # NETLINK_GENERIC
    line.bind((0, 0))

    def ask(protocol: int, command: int, *attributes: bytes) -> bytes:
        body = struct.pack("<BBH", command, 1, 0) + b"".join(attributes)
        line.send(struct.pack("<IHHII", 16 + len(body), protocol, 5, 1, 0) + body)
        return line.recv(4096)

    said = ask(16, 3, attribute(2, b"vdpa\0"))  # CTRL_CMD_GETFAMILY by CTRL_ATTR_FAMILY_NAME
    at = 20
    while struct.unpack_from("<H", said, at + 2) != (1,):  # CTRL_ATTR_FAMILY_ID
        at += struct.unpack_from("<H", said, at)[0] + 3 & -4
    (protocol,) = struct.unpack_from("<H", said, at + 4)
    ask(protocol, 3, attribute(2, family.encode() + b"\0"), attribute(4, device.encode() + b"\0"))  # VDPA_CMD_DEV_NEW


def vduse(at: int, size: int) -> int:
    """The bounce buffer of a block device that a driver begins to read from, and gets no answer."""
    control = os.open("/dev/vduse/control", os.O_RDWR)
    features = 1 << 32 | 1 << 33  # VIRTIO_F_VERSION_1, VIRTIO_F_ACCESS_PLATFORM
    config = struct.pack("<Q52x", 2048)
    made = struct.pack("<256sIIQII52xI", b"pins", 0, 2, features, 1, PAGE, len(config)) + config
    fcntl.ioctl(control, 0x41508102, bytearray(made), True)  # VDUSE_CREATE_DEV
    with open("/sys/class/vduse/pins/bounce_size", "w") as file:
        file.write(str(size))
    device = guest.appeared(lambda: os.open("/dev/vduse/pins", os.O_RDWR), "its device")
    fcntl.ioctl(device, 0x40208114, bytearray(struct.pack("<IH26x", 0, 64)), True)  # VDUSE_VQ_SETUP

    def answer() -> None:
        while True:
            _, number = struct.unpack_from("<II", os.read(device, 152))
            os.write(device, struct.pack("<II144x", number, 0))

    def registered() -> int | None:
        """Only once the driver has used the buffer."""
        try:
            fcntl.ioctl(device, 0x40308118, bytearray(struct.pack("<QQQ24x", at, 0, size)), True)  # ..._REG_UMEM
        except OSError:
            return None
        return device

    threading.Thread(target=answer, daemon=True).start()
    threading.Thread(target=add_vdpa, args=("vduse", "pins"), daemon=True).start()
    return guest.appeared(registered, "a driver")


EDU: list[edu.Edu] = []


IOVA = [0x100_0000]


def device(at: int, size: int, access: int = edu.DMA_READ) -> int:
    """Pinned by VFIO for the edu device."""
    if not EDU:
        slots = edu.slots()
        if not slots:
            raise OSError(errno.ENODEV, "no edu device")
        EDU.append(edu.Edu.open(slots[0]))
    EDU[0].map(at, IOVA[0], size, access)
    IOVA[0] += HUGE
    return EDU[0].container


def told(how: str, at: int, size: int, fd: int) -> dict[str, Any]:
    return {"how": how, "at": at, "size": size, "fd": fd, "pid": os.getpid()}


def attempt(how: str, at: int, size: int, hold: Any) -> dict[str, Any]:
    """What was held, or why not."""
    try:
        return told(how, at, size, hold(at, size))
    except OSError as error:
        return {"how": how, "why": str(error)}


def holders() -> list[dict[str, Any]]:
    """Memory in every holder."""
    found = []
    for how, hold, pages in (
        ("io_uring", io_uring, 8),
        ("VFIO", lambda at, size: device(at, size, edu.DMA_READ | edu.DMA_WRITE), 4),
        ("AF_XDP", af_xdp, 16),
        ("vmsplice", vmsplice, 3),
        ("VDUSE", vduse, 256),
    ):
        at = memory(pages * PAGE)
        write(at, pages * PAGE)
        found.append(attempt(how, at, pages * PAGE, hold))
    at = huge()
    write(at, HUGE)
    found.append(attempt("io_uring", at, HUGE, io_uring))
    file = os.memfd_create("udmabuf", MFD_CLOEXEC | MFD_ALLOW_SEALING)
    os.ftruncate(file, 4 * PAGE)
    fcntl.fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK)
    at = memory(4 * PAGE, mmap.MAP_SHARED, file)
    write(at, 4 * PAGE)
    found.append(attempt("udmabuf", at, 4 * PAGE, lambda at, size: udmabuf(file, size)))
    return found


READ: list[tuple[int, int]] = []
"""Memory that was read alone, until now."""
LATER: list[tuple[int, int]] = []
"""Memory that is written when that has been."""


def written() -> list[dict[str, Any]]:
    """It is written."""
    for at, size in READ:
        write(at, size, 0xFF)
    READ[:] = LATER
    LATER.clear()
    return []


def merged() -> list[dict[str, Any]]:
    """Two pairs of ranges whose pages KSM has merged: references on the first of one, a read-only pin of that of the
    other."""
    size, ranges = 2 * PAGE, []
    for content in (0x11, 0x11, 0x22, 0x22):
        at = memory(size)
        for page in range(2):
            ctypes.memset(at + page * PAGE, content + page, PAGE)
        LIBC.madvise(at, size, MADV_MERGEABLE)
        ranges.append(at)

    def ksm(name: str, value: str = "") -> int:
        path = f"/sys/kernel/mm/ksm/{name}"
        if value:
            with open(path, "w") as file:
                file.write(value)
        with open(path) as file:
            return int(file.read())

    for name, value in (("sleep_millisecs", "10"), ("pages_to_scan", "1000"), ("run", "1")):
        ksm(name, value)
    guest.appeared(lambda: ksm("pages_sharing") >= 4 or None, "a merged page")
    ksm("run", "0")  # what is merged stays
    READ.extend((at, size) for at in (ranges[0], ranges[2]))
    LATER.append((ranges[1], size))
    found = [attempt("vmsplice", ranges[0], size, vmsplice), attempt("VFIO", ranges[2], size, device)]
    return [*found, told("merged with the first", ranges[1], size, -1)]


def only_read() -> list[dict[str, Any]]:
    """The seed's kinds of memory, read, then pinned read-only by VFIO."""
    found = []

    def one(kind: str, at: int, size: int) -> None:
        read(at, size)
        found.append(attempt(kind, at, size, device))
        READ.append((at, size))

    one("zero page", memory(PAGE), PAGE)
    file = os.memfd_create("memfd", MFD_CLOEXEC)
    os.ftruncate(file, 2 * PAGE)
    one("memfd", memory(2 * PAGE, mmap.MAP_PRIVATE, file), 2 * PAGE)
    file = os.open("/scratch/file", os.O_RDWR | os.O_CREAT)
    os.ftruncate(file, 2 * PAGE)
    one("tmpfile", memory(2 * PAGE, mmap.MAP_PRIVATE, file), 2 * PAGE)
    one("huge zero page", huge(), HUGE)
    file = os.memfd_create("hugetlb", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB)
    os.ftruncate(file, HUGE)
    write(memory(HUGE, mmap.MAP_SHARED, file), HUGE)  # a private read of a hole would be a page of its own
    one("hugetlb", memory(HUGE, mmap.MAP_PRIVATE, file), HUGE)
    return found


def spliced() -> list[dict[str, Any]]:
    """References on pages of a large range, far from each other: some are in an area of CMA, if that is large."""
    at = memory(128 << 20)
    write(at, 128 << 20)
    return [attempt("vmsplice", at + where, PAGE, vmsplice) for where in range(0, 128 << 20, HUGE)]


def pinprobe(at: int, size: int) -> int:
    """By a module whose records nobody knows: read-only, for long."""
    return probe.PinProbe(True).acquire(at, size // PAGE, False, False).fds[0]


def others() -> list[dict[str, Any]]:
    """Memory whose counts, or whose holder, are not plain."""
    found = []
    at = memory(PAGE)
    write(at, PAGE)
    for _ in range(4):
        made = attempt("four buffers", at, PAGE, io_uring)
    found.append(made)
    file = os.memfd_create("often", MFD_CLOEXEC)
    os.ftruncate(file, PAGE)
    for _ in range(1100):
        at = memory(PAGE, mmap.MAP_SHARED, file)
        read(at, PAGE)
    found.append(told("mapped often", at, PAGE, -1))
    at = memory(2 * PAGE)
    write(at, 2 * PAGE)
    found.append(attempt("pinprobe", at, 2 * PAGE, pinprobe))
    file = os.memfd_create("probed", MFD_CLOEXEC)
    os.ftruncate(file, 2 * PAGE)
    at = memory(2 * PAGE, mmap.MAP_PRIVATE, file)
    read(at, 2 * PAGE)
    found.append(attempt("pinprobe of a memfd", at, 2 * PAGE, pinprobe))
    write(at, 2 * PAGE, 0xFF)
    at = memory(2 * PAGE)
    write(at, 2 * PAGE)
    found.append(attempt("unmapped", at, 2 * PAGE, io_uring))
    # Nothing can be mapped there later, as an empty mapping takes its place.
    LIBC.mmap(at, 2 * PAGE, PROT_NONE, FIXED, -1, 0)
    return found


def attribute(number: int, value: bytes) -> bytes:
    """Of a netlink message."""
    return struct.pack("<HH", 4 + len(value), number) + value + bytes(-len(value) % 4)


def soft_roce() -> int:
    """A descriptor of an RDMA device made of software, over the loopback interface."""
    line = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 20)  # NETLINK_RDMA
    line.bind((0, 0))
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 0x49))  # SIOCSIFFLAGS: up
    link = attribute(2, b"rxe0\0") + attribute(65, b"rxe\0") + attribute(51, b"lo\0")
    line.send(struct.pack("<IHHII", 16 + len(link), 5 << 10 | 3, 5, 1, 0) + link)  # RDMA_NLDEV_CMD_NEWLINK
    (error,) = struct.unpack_from("<i", line.recv(4096), 16)
    if error:
        raise OSError(-error, "no link for soft-RoCE")
    KEPT.append(line)
    return guest.appeared(lambda: uverbs() or None, "its device")


def uverbs() -> int:
    try:
        return os.open("/dev/infiniband/uverbs0", os.O_RDWR)
    except OSError:
        return 0


def region(at: int, size: int) -> int:
    """A memory region, by the write interface of uverbs."""
    device = soft_roce()

    def command(number: int, form: str, words: tuple[int, ...], answer: int) -> bytes:
        said = ctypes.create_string_buffer(answer)
        body = struct.pack(f"<Q{form}", ctypes.addressof(said), *words)
        os.write(device, struct.pack("<IHH", number, (8 + len(body)) // 4, answer // 4) + body)
        return said.raw

    command(0, "", (), 8)  # IB_USER_VERBS_CMD_GET_CONTEXT
    (domain,) = struct.unpack("<I", command(3, "", (), 4))  # ..._ALLOC_PD
    command(9, "QQQII", (at, size, at, domain, 1), 12)  # ..._REG_MR
    return device


def rdma() -> list[dict[str, Any]]:
    """A region that begins within a page."""
    at = memory(6 * PAGE)
    write(at, 6 * PAGE)
    return [attempt("RDMA", at, 6 * PAGE, lambda at, size: region(at + 0x100, size - 0x200))]


CHILDREN: list[int] = []


def forked() -> list[dict[str, Any]]:
    """A child that has written to its copy of what its parent had pinned before."""
    at = memory(4 * PAGE)
    write(at, 4 * PAGE)
    made = attempt("forked", at, 4 * PAGE, io_uring)
    ends = os.pipe()
    child = os.fork()
    if not child:
        write(at, 4 * PAGE, 0x22)
        os.write(ends[1], b"x")
        while True:
            signal.pause()
    CHILDREN.append(child)
    os.read(ends[0], 1)
    write(at, 4 * PAGE, 0x33)
    return [{**made, "child": child}]


def direct_reads() -> Callable[[], None]:
    """Reads of a disk into one buffer after the other, past the page cache."""
    disk = os.open("/dev/vda", os.O_RDONLY | os.O_DIRECT)
    at = memory(16 * HUGE)
    write(at, 16 * HUGE)
    buffers = [(ctypes.c_char * HUGE).from_address(at + HUGE * number) for number in range(16)]

    def one() -> None:
        buffers.append(buffers.pop(0))
        os.preadv(disk, [buffers[0]], 0)

    return one


def direct() -> list[dict[str, Any]]:
    """A process that does nothing else, from its first read on."""
    begun, begins = os.pipe()
    child = os.fork()
    if not child:
        read = direct_reads()
        read()
        os.write(begins, b"!")
        while True:
            read()
    CHILDREN.append(child)
    os.read(begun, 1)
    return [{"pid": child}]


def work() -> None:
    """Maps and unmaps, pipes, registers and gives back buffers, reads a disk, and forks, without an end."""

    def in_turn(one: Callable[[], None]) -> None:
        def again() -> None:
            while True:
                one()

        threading.Thread(target=again, daemon=True).start()

    def maps() -> None:
        at = memory(64 * PAGE)
        write(at, 64 * PAGE)
        LIBC.munmap(ctypes.c_void_p(at), ctypes.c_size_t(64 * PAGE))

    buffer = memory(4 * PAGE)  # and stays: a child that was forked meanwhile keeps the ring open a little longer

    def rings() -> None:
        write(buffer, 4 * PAGE)
        ring = io_uring(buffer, 4 * PAGE)
        write(buffer, 4 * PAGE, 2)
        os.close(ring)

    def pipes() -> None:
        ends = os.pipe()
        os.write(ends[1], b"x" * PAGE)
        for end in ends:
            os.close(end)

    for one in (maps, rings, pipes, direct_reads()):
        in_turn(one)
    while True:
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)


def busy() -> list[dict[str, Any]]:
    """Two processes that are busy, beside memory that stays as it is."""
    at = memory(8 * PAGE)
    write(at, 8 * PAGE)
    made = attempt("io_uring", at, 8 * PAGE, io_uring)
    for _ in range(2):
        child = os.fork()
        if not child:
            work()
        CHILDREN.append(child)
    return [made]


WORDS = {
    "busy": busy,
    "direct": direct,
    "holders": holders,
    "only_read": only_read,
    "written": written,
    "others": others,
    "forked": forked,
    "merged": merged,
    "rdma": rdma,
    "spliced": spliced,
}


def main() -> None:
    """Do what the host says, a word a line, until it says "end"."""
    try:
        guest.mount()
        port = os.open(PORT, os.O_RDWR | os.O_NOCTTY)
        mode = termios.tcgetattr(port)
        mode[0] = mode[1] = mode[3] = 0
        mode[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
        termios.tcsetattr(port, termios.TCSANOW, mode)
        with open("/settings.json") as file:
            settings = json.load(file)
        missing = guest.set_up(settings, MODULES)
        with os.fdopen(port, "r+b", buffering=0) as line:
            line.write(json.dumps({"missing": missing}).encode() + b"\n")
            while (word := line.readline().strip().decode()) != "end":
                line.write(json.dumps(WORDS[word]()).encode() + b"\n")
    except BaseException:
        print(traceback.format_exc(), flush=True)
    guest.power_off()
