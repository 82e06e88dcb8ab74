"""QEMU's `edu` device, behind an IOMMU and in the hands of vfio-pci: a device with a DMA engine, driven from here.

What its engine copies is what a device sees: RAM at an I/O virtual address, through the IOMMU's tables, to a buffer
of its own, and back.  VFIO_IOMMU_MAP_DMA makes such addresses, and pins the pages behind them for as long as they last.
"""

from __future__ import annotations

import ctypes
import fcntl
import glob
import os
import struct
import time
from dataclasses import dataclass

from pinhold.targets.base import CannotDo

VFIO_SET_IOMMU = 0x3B66
VFIO_GROUP_GET_STATUS = 0x3B67
VFIO_GROUP_SET_CONTAINER = 0x3B68
VFIO_GROUP_GET_DEVICE_FD = 0x3B6A
VFIO_DEVICE_GET_REGION_INFO = 0x3B6C
VFIO_IOMMU_MAP_DMA = 0x3B71
VFIO_IOMMU_UNMAP_DMA = 0x3B72

VFIO_TYPE1V2_IOMMU = 3
VFIO_GROUP_FLAGS_VIABLE = 1
DMA_READ = 1
DMA_WRITE = 2
"""What the device may do with the memory; READ alone makes the pin read-only."""

_CONFIG_REGION = 7
_COMMAND = 4
_MEMORY_AND_MASTER = 6

_SOURCE, _DESTINATION, _COUNT, _GO = 0x80, 0x88, 0x90, 0x98
_START, _TO_RAM = 1, 2
BUFFER = 0x40000
BUFFER_BYTES = 4095
"""Of its 4 KiB: QEMU up to 8 takes a transfer that ends with the buffer for one beyond it, and aborts."""
ADDRESS_BITS = 28

VENDOR, DEVICE = "0x1234", "0x11e8"

OPTIONS = ("PCI", "INTEL_IOMMU", "VFIO", "VFIO_IOMMU_TYPE1", "VFIO_PCI")
"""What it takes of a kernel's configuration."""

_POLL_SECONDS = 0.01
_LOOKS = 1000
"""The deadline of one transfer, which takes 100 ms of the device's time: a hundred times that.  Each look has QEMU do
something, so that its clock goes on."""

_REGION = struct.Struct("=IIIIQQ")
_LIBC = ctypes.CDLL(None, use_errno=True)


def slots() -> list[str]:
    """Where in the system's tree such devices are."""
    found = []
    for path in sorted(glob.glob("/sys/bus/pci/devices/*")):
        try:
            with open(f"{path}/vendor") as vendor, open(f"{path}/device") as device:
                if (vendor.read().strip(), device.read().strip()) == (VENDOR, DEVICE):
                    found.append(path)
        except OSError:
            continue
    return found


def group(path: str) -> str:
    """The special file of the device's IOMMU group.  Raises OSError where the machine has no IOMMU."""
    return f"/dev/vfio/{os.path.basename(os.readlink(f'{path}/iommu_group'))}"


def bind(path: str) -> None:
    """Hand the device to vfio-pci.  Raises OSError."""
    for file, value in (
        ("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "1"),
        (f"{path}/driver_override", "vfio-pci"),
        ("/sys/bus/pci/drivers_probe", os.path.basename(path)),
    ):
        with open(file, "w") as attribute:
            attribute.write(value)


@dataclass(frozen=True, slots=True)
class Edu:
    """The device, opened.  registers: where its registers are in the descriptor `device`."""

    container: int
    group: int
    device: int
    registers: int

    @classmethod
    def open(cls, path: str) -> Edu:
        """By its directory.  Raises OSError, CannotDo."""
        container = os.open("/dev/vfio/vfio", os.O_RDWR | os.O_CLOEXEC)
        opened = [container]
        try:
            opened.append(group_fd := os.open(group(path), os.O_RDWR | os.O_CLOEXEC))
            status = fcntl.ioctl(group_fd, VFIO_GROUP_GET_STATUS, struct.pack("=II", 8, 0))
            if not struct.unpack("=II", status)[1] & VFIO_GROUP_FLAGS_VIABLE:
                raise CannotDo("the device shares its IOMMU group with one that vfio-pci does not have")
            fcntl.ioctl(group_fd, VFIO_GROUP_SET_CONTAINER, struct.pack("=i", container))
            fcntl.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1V2_IOMMU)
            name = ctypes.create_string_buffer(os.path.basename(path).encode())
            device = _LIBC.ioctl(group_fd, VFIO_GROUP_GET_DEVICE_FD, name)
            if device < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            opened.append(device)
            return cls.of([container, group_fd, device])
        except BaseException:
            for fd in reversed(opened):
                os.close(fd)
            raise

    @classmethod
    def of(cls, fds: list[int]) -> Edu:
        """From the descriptors that open() made.  The device may master the bus from then on."""
        container, group_fd, device = fds
        command = _region(device, _CONFIG_REGION) + _COMMAND
        (word,) = struct.unpack("<H", os.pread(device, 2, command))
        os.pwrite(device, struct.pack("<H", word | _MEMORY_AND_MASTER), command)
        return cls(container, group_fd, device, _region(device, 0))

    @property
    def fds(self) -> list[int]:
        return [self.container, self.group, self.device]

    def map(self, address: int, at: int, length: int, access: int) -> None:
        """Make the caller's memory visible to the device.  Raises OSError."""
        fcntl.ioctl(self.container, VFIO_IOMMU_MAP_DMA, struct.pack("=IIQQQ", 32, access, address, at, length))

    def unmap(self, at: int, length: int) -> None:
        """Take it away again.  Raises OSError."""
        fcntl.ioctl(self.container, VFIO_IOMMU_UNMAP_DMA, struct.pack("=IIQQ", 24, 0, at, length))

    def fetch(self, at: int, count: int, to: int = 0) -> None:
        """The device copies from memory to its buffer, at offset `to`.  Raises OSError."""
        self._transfer(at, BUFFER + to, count, 0)

    def store(self, at: int, count: int) -> None:
        """The device copies from the start of its buffer to memory.  Raises OSError."""
        self._transfer(BUFFER, at, count, _TO_RAM)

    def _transfer(self, source: int, destination: int, count: int, direction: int) -> None:
        for register, value in ((_SOURCE, source), (_DESTINATION, destination), (_COUNT, count)):
            self._write(register, value)
        self._write(_GO, _START | direction)
        for _ in range(_LOOKS):
            if not self._read(_GO) & _START:
                return
            time.sleep(_POLL_SECONDS)
        seconds = _LOOKS * _POLL_SECONDS
        raise CannotDo(f"the edu device has not ended a transfer of {count} bytes within {seconds:g} s of this machine")

    def _write(self, register: int, value: int) -> None:
        os.pwrite(self.device, struct.pack("<I", value), self.registers + register)

    def _read(self, register: int) -> int:
        return int(struct.unpack("<I", os.pread(self.device, 4, self.registers + register))[0])


def _region(device: int, index: int) -> int:
    """Where a region of the device is in its descriptor."""
    info = fcntl.ioctl(device, VFIO_DEVICE_GET_REGION_INFO, _REGION.pack(_REGION.size, 0, index, 0, 0, 0))
    return int(_REGION.unpack(info)[5])
