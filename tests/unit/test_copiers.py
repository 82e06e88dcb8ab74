"""Mechanisms that let go before they return: where they can be used, and what they say where not."""

from __future__ import annotations

import errno
import os
from functools import partial

import pytest

from pinhold.scenario.observation import Run
from pinhold.targets.base import CannotDo
from pinhold.targets.live import content, syscalls
from pinhold.targets.live.directories import DIRECT
from pinhold.targets.live.pins import direct_io
from pinhold.targets.live.pins.base import FOLL_GET, FOLL_PIN
from pinhold.targets.live.pins.direct_io import DirectIo
from pinhold.targets.live.pins.forced import ProcMem
from pinhold.targets.live.pins.process_vm import ProcessVm
from pinhold.targets.live.syscalls import PAGE


@pytest.fixture
def memory():
    """Three pages of 0x05."""
    with content.scratch(3) as address:
        content.fill(address, 3, 5)
        yield address


@pytest.fixture
def hole(memory):
    """The same, of which the second page is not mapped."""
    syscalls.munmap(memory + PAGE, PAGE)
    return memory


def test_process_vm_copies_and_fills(memory) -> None:
    """What it copies is what is there; what it fills reads so."""
    mechanism = ProcessVm()
    assert mechanism.unavailable() is None
    assert mechanism.copy(memory, 3) == [Run(0, 3, 5)]
    mechanism.fill(memory + PAGE, 1, 9)
    assert mechanism.copy(memory, 3) == [Run(0, 1, 5), Run(1, 1, 9), Run(2, 1, 5)]


def test_a_short_transfer_is_efault(hole) -> None:
    """The kernel stops at the hole and tells how far it came: that is a failure, and what was done stays done."""
    mechanism = ProcessVm()
    with pytest.raises(OSError) as caught:
        mechanism.copy(hole, 3)
    assert caught.value.errno == 14
    with pytest.raises(OSError) as caught:
        mechanism.fill(hole, 3, 7)
    assert caught.value.errno == 14
    assert (content.load(hole), content.load(hole + 2 * PAGE)) == (7, 5)


def test_direct_io_copies_and_fills(memory, tmp_path) -> None:
    """The same through a file, on a file system that does direct I/O."""
    mechanism = DirectIo([str(tmp_path), "/var/tmp"])
    if mechanism.unavailable() is not None:
        pytest.skip(str(mechanism.unavailable()))
    assert mechanism.copy(memory, 3) == [Run(0, 3, 5)]
    mechanism.fill(memory, 2, 8)
    assert mechanism.copy(memory, 3) == [Run(0, 2, 8), Run(2, 1, 5)]
    assert os.listdir(tmp_path) == []


def test_direct_io_has_one_file(memory, hole, tmp_path, monkeypatch) -> None:
    """One transfer after another goes by the same blocks, from their beginning also after one that failed; a large one
    gives its blocks back."""
    mechanism = DirectIo([str(tmp_path), "/var/tmp"])
    if mechanism.unavailable() is not None:
        pytest.skip(str(mechanism.unavailable()))
    made = []
    monkeypatch.setattr(
        direct_io, "_nameless", lambda directory, make=direct_io._nameless: made.append(make(directory)) or made[-1]
    )
    with content.scratch(3) as whole:
        content.fill(whole, 3, 5)
        for _ in range(2):
            with pytest.raises(OSError, match="Bad address"):
                mechanism.copy(hole, 3)
            assert mechanism.copy(whole, 3) == [Run(0, 3, 5)]
    assert len(made) == 1
    assert os.fstat(made[0]).st_blocks * 512 >= 3 * PAGE
    monkeypatch.setattr(direct_io, "_KEPT", 0)
    mechanism.fill(memory, 1, 7)
    assert os.fstat(made[0]).st_size == 0


def test_a_file_system_that_copies_is_no_direct_io() -> None:
    """tmpfs takes O_DIRECT and copies: it is refused with the directories that were looked at, and no step is done."""
    if syscalls.file_system("/dev/shm") in {None, *DIRECT}:
        pytest.skip("needs a tmpfs at /dev/shm: there is none")
    mechanism = DirectIo(["/dev/shm", "/no/such/directory"])
    sentence = (
        "needs a directory on ext4 or xfs, which do direct I/O, and found none in /dev/shm and /no/such/directory"
    )
    assert mechanism.unavailable() == f"{sentence}: set TMPDIR"
    with content.scratch(1) as address, pytest.raises(CannotDo, match=sentence):
        mechanism.copy(address, 1)


def test_a_disk_that_is_full_is_no_answer_of_the_transfer(memory, tmp_path, monkeypatch) -> None:
    """Where its file does not fit, direct I/O cannot be done: no errno of the kernel's for the memory.  What the file
    got of the disk until then is given back."""
    files = []

    def full(fd: int, offset: int, length: int) -> None:
        os.ftruncate(fd, PAGE)
        files.append(fd)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(direct_io, "_does_direct_io", lambda directory: True)
    monkeypatch.setattr(os, "posix_fallocate", full)
    sentence = f"needs a file of 12 KiB in {tmp_path}: No space left on device"
    for transfer in (DirectIo([str(tmp_path)]).copy, partial(DirectIo([str(tmp_path)]).fill, byte=1)):
        with pytest.raises(CannotDo, match=sentence):
            transfer(memory, 3)
    assert [os.fstat(fd).st_size for fd in files] == [0, 0]


@pytest.mark.parametrize(("release", "takes"), [("6.4.16", FOLL_GET), ("6.5.0", FOLL_PIN), ("7.3.4", FOLL_PIN)])
def test_direct_io_pins_since_6_5(release, takes) -> None:
    """Before, it takes plain references."""
    assert DirectIo(release=release).gives.takes == takes


def test_a_forced_write_goes_where_the_process_may_not_write(memory) -> None:
    """/proc/self/mem writes to memory without PROT_WRITE, where the kernel lets it."""
    mechanism = ProcMem()
    if mechanism.unavailable() is not None:
        pytest.skip(str(mechanism.unavailable()))
    syscalls.mprotect(memory, 3 * PAGE, syscalls.PROT_READ)
    mechanism.fill(memory + PAGE, 1, 4)
    assert [content.load(memory + page * PAGE) for page in range(3)] == [5, 4, 5]


def test_a_kernel_that_forces_nothing_is_named(monkeypatch) -> None:
    """proc_mem.force_override= can forbid it: EIO is then what the probe gets."""

    def refuse(fd: int, data: bytes, offset: int) -> int:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(os, "pwrite", refuse)
    reason = "this kernel forces no writes through /proc/PID/mem (proc_mem.force_override): Input/output error"
    assert ProcMem().unavailable() == reason
