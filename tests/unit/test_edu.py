"""The edu device: what one transfer may take, how few a step takes, and that none is waited for without an end."""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path

import pytest

from pinhold.conform.generate import generate
from pinhold.conform.wanted import Wanted
from pinhold.scenario import steps as s
from pinhold.scenario.observation import MIXED
from pinhold.targets.base import CannotDo
from pinhold.targets.live.pins import HOLDERS, edu, vfio
from pinhold.targets.live.pins.base import Taken
from pinhold.targets.live.pins.vfio import Vfio
from pinhold.targets.model.target import ModelTarget

PAGE = 4096


class Device:
    """Copies at once between its buffer and the memory that is mapped for it, as QEMU 7.2 does, and counts."""

    def __init__(self, pinned: bytes) -> None:
        self.pinned = bytearray(pinned)
        self.buffer = bytearray(PAGE)
        self.transfers = 0
        self._mapped: dict[int, int] = {}

    def map(self, address: int, at: int, length: int, access: int) -> None:
        self._mapped[at] = address

    def unmap(self, at: int, length: int) -> None:
        del self._mapped[at]

    def _in_buffer(self, first: int, count: int) -> None:
        assert first + count < PAGE, "QEMU up to 8 aborts"
        self.transfers += 1

    def fetch(self, at: int, count: int, to: int = 0) -> None:
        self._in_buffer(to, count)
        self.buffer[to : to + count] = self._load(at, count)

    def store(self, at: int, count: int) -> None:
        self._in_buffer(0, count)
        first = at - vfio._AT
        if first >= 0:
            assert first + count <= len(self.pinned)
            self.pinned[first : first + count] = self.buffer[:count]
        else:
            ctypes.memmove(self._mapped[vfio._BACK] + at - vfio._BACK, bytes(self.buffer[:count]), count)

    def _load(self, at: int, count: int) -> bytes:
        first = at - vfio._AT
        if first >= 0:
            return bytes(self.pinned[first : first + count])
        return ctypes.string_at(self._mapped[vfio._BACK] + at - vfio._BACK, count)


def opened(monkeypatch: pytest.MonkeyPatch, pinned: bytes) -> Device:
    """A device that has these pages pinned."""
    device = Device(pinned)
    monkeypatch.setattr(vfio.Edu, "of", lambda fds: device)
    return device


@pytest.mark.parametrize("pages", [1, 3, 40])
def test_a_write_fills_every_page_with_a_transfer_a_page_and_two_more(
    monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    """No byte is left as it was, and none beyond is touched."""
    device = opened(monkeypatch, bytes(pages * PAGE))
    Vfio().write_through(Taken([], pages, (1,)), 0x5A)
    assert device.pinned == b"\x5a" * pages * PAGE
    assert device.transfers <= pages + 2


def test_what_is_read_is_what_the_pages_contain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few pages to their last byte, of many the beginnings."""
    few = b"\x01" * PAGE + b"\x02" * (PAGE - 1) + b"\x03"
    opened(monkeypatch, few)
    assert [run.byte for run in Vfio().read_back(Taken([], 2, (0,)))] == [1, MIXED]
    many = b"".join(bytes([page]) * PAGE for page in range(6))
    opened(monkeypatch, many)
    assert [run.byte for run in Vfio().read_back(Taken([], 6, (0,)))] == list(range(6))


def test_a_transfer_that_does_not_end_is_told_with_its_deadline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A device that is busy for ever keeps nobody waiting."""
    registers = tmp_path / "registers"
    registers.write_bytes(struct.pack("<I", 1) * 64)
    monkeypatch.setattr(edu.time, "sleep", lambda seconds: None)
    with registers.open("r+b") as file:
        device = edu.Edu(container=-1, group=-1, device=file.fileno(), registers=0)
        with pytest.raises(CannotDo, match="has not ended a transfer of 16 bytes within 10 s"):
            device.fetch(0, 16)


def test_random_steps_go_through_few_pages_of_a_slow_device() -> None:
    """Where a pin is the edu device's, reads and writes through it are for few pages; pins are of any number."""
    holder = HOLDERS["vfio"]
    wanted = Wanted("pins", disposable=True, holders=(holder,))
    pins: list[int] = []
    through: list[int] = []
    for number in range(40):
        sizes: dict[str, int] = {}
        regions: dict[str, int] = {}
        for step in generate(ModelTarget("6.12"), wanted, 3, number).steps:
            if isinstance(step, s.Map):
                regions[step.region] = step.pages or 1
            elif isinstance(step, s.Pin):
                end = regions.get(step.range.region, 1) if step.range.end is None else step.range.end
                pins.append(end - step.range.first)
                sizes[step.pin] = pins[-1]
            elif isinstance(step, s.DeviceRead | s.DeviceWrite) and step.pin in sizes:
                through.append(sizes[step.pin])
    assert max(pins) > holder.gives.soon
    assert through
    assert max(through) <= holder.gives.soon
