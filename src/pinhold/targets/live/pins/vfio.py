"""Long-term pins by VFIO, on every stock kernel, read by a device: QEMU's edu devices behind an IOMMU.

VFIO_IOMMU_MAP_DMA is pin_user_pages_remote(FOLL_LONGTERM), with FOLL_WRITE where the device may write, and never
GUP-fast.  What the pin's holder reads is what the device's own DMA engine reads through the IOMMU.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from functools import partial

from pinhold.scenario.observation import MIXED, Run
from pinhold.targets.base import CannotDo
from pinhold.targets.live import content, kconfig
from pinhold.targets.live.pins.base import FOLL_PIN, Gives, Taken
from pinhold.targets.live.pins.edu import ADDRESS_BITS, BUFFER_BYTES, DMA_READ, DMA_WRITE, OPTIONS, Edu, group, slots
from pinhold.targets.live.syscalls import PAGE

_AT = 0x1000000
_BACK = 0x800000
"""Where the device finds the pinned memory, and the page that it hands its buffer over in."""

MOST_PAGES = ((1 << ADDRESS_BITS) - _AT) // PAGE // 2
_WHOLE = 4
"""So many pages are read in full; of each page of a larger pin the first bytes, as one transfer takes 100 ms."""


class Vfio:
    """A pin takes a device for itself, whose addresses all mean its pages: as many pins at a time as there are
    devices."""

    name = "vfio"
    summary = "long-term pins that are not GUP-fast"
    sendable = True
    gives = Gives(
        takes=FOLL_PIN,
        longterm=frozenset({True}),
        write=frozenset({False, True}),
        fast=frozenset({False}),
        users=frozenset({"none", "vfio"}),
        readable=True,
        writable=True,
        soon=32,
    )

    def unavailable(self) -> str | None:
        paths = slots()
        if not paths:
            return "no edu device (QEMU's) here"
        try:
            file = group(paths[0])
        except OSError:
            return f"no IOMMU here for the edu device{_because()}"
        if os.access(file, os.R_OK | os.W_OK):
            return None
        return f"the edu device is not in the hands of vfio-pci here{_because()}"

    def acquire(self, address: int, pages: int, write: bool, fast: bool, charged: int = 0) -> Taken:
        if pages > MOST_PAGES:
            raise CannotDo(f"the edu device reaches {1 << ADDRESS_BITS >> 20} MiB, too little for {pages} pages")
        device = _free_one(slots())
        try:
            device.map(address, _AT, pages * PAGE, DMA_READ | (DMA_WRITE if write else 0))
        except OSError:
            _close(device.fds)
            raise
        return Taken(device.fds, pages, (int(write),))

    def read_back(self, taken: Taken) -> list[Run]:
        device = Edu.of(taken.fds)
        with content.scratch(1) as page:
            device.map(page, _BACK, PAGE, DMA_READ | DMA_WRITE)
            try:
                read = partial(_whole, device, page) if taken.pages <= _WHOLE else partial(_begins, device, page)
                return content.joined(
                    byte for first in range(0, taken.pages, _STRIDE) for byte in read(first, taken.pages)
                )
            finally:
                device.unmap(_BACK, PAGE)

    def write_through(self, taken: Taken, byte: int) -> None:
        if not taken.detail[0]:
            raise CannotDo("a read-only pin cannot be written through")
        device = Edu.of(taken.fds)
        with content.scratch(1) as page:
            content.fill(page, 1, byte)
            device.map(page, _BACK, PAGE, DMA_READ | DMA_WRITE)
            try:
                device.fetch(_BACK, BUFFER_BYTES)
            finally:
                device.unmap(_BACK, PAGE)
        length = taken.pages * PAGE
        for part in range(0, length, BUFFER_BYTES):
            device.store(_AT + part, min(BUFFER_BYTES, length - part))

    def release(self, taken: Taken) -> None:
        _close(taken.fds)


_SAMPLE = 16
_STRIDE = BUFFER_BYTES // _SAMPLE
"""Pages whose beginnings fill the device's buffer."""


def _because() -> str:
    why = kconfig.without(*OPTIONS)
    return f": {why}" if why else ""


def _free_one(paths: Sequence[str]) -> Edu:
    """The first device that holds no pin.  Raises CannotDo."""
    for path in paths:
        try:
            return Edu.open(path)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise CannotDo(f"the edu device cannot be opened: {error.strerror}") from None
    if not paths:
        raise CannotDo("no edu device (QEMU's) here")
    held = "holds another pin" if len(paths) == 1 else "hold other pins"
    raise CannotDo(f"the {len(paths)} edu device{'s' * (len(paths) > 1)} here {held} already")


def _whole(device: Edu, page: int, first: int, pages: int) -> Iterator[int]:
    for number in range(first, min(first + _STRIDE, pages)):
        for part in range(0, PAGE, BUFFER_BYTES):
            count = min(BUFFER_BYTES, PAGE - part)
            device.fetch(_AT + number * PAGE + part, count)
            device.store(_BACK + part, count)
        yield content.load(page) if content.uniform(page, 1) else MIXED


def _begins(device: Edu, page: int, first: int, pages: int) -> Iterator[int]:
    numbers = range(first, min(first + _STRIDE, pages))
    for number in numbers:
        device.fetch(_AT + number * PAGE, _SAMPLE, (number - first) * _SAMPLE)
    device.store(_BACK, BUFFER_BYTES)
    for number in numbers:
        yield content.load(page + (number - first) * _SAMPLE)


def _close(fds: Sequence[int]) -> None:
    """The container last: it lets go of the pages."""
    for fd in reversed(fds):
        os.close(fd)
