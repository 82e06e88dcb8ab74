"""io_uring's fixed buffers by raw system calls: numbers and layouts, and what is said where there is no io_uring."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

import pytest

from pinhold.mm.rules import BY_NAME
from pinhold.targets.base import CannotDo
from pinhold.targets.live.pins.base import Need, choose
from pinhold.targets.live.pins.io_uring import CHARGED_RINGS, IoUring
from pinhold.targets.live.pins.release import release_of

SETUP, ENTER, REGISTER = 425, 426, 427
NOT_ALLOWED = "io_uring is not allowed here: a container's seccomp filter or a security module refuses it"


class Kernel:
    """Answers io_uring's system calls; `fails`: number of the call to its errno."""

    def __init__(self, **fails: int) -> None:
        self.fails = fails
        self.calls: list[tuple[str, tuple[int, ...]]] = []
        self.vectors: list[bytes] = []

    def __call__(self, number: int, *arguments: int) -> int:
        name = {SETUP: "setup", ENTER: "enter", REGISTER: "register"}[number]
        self.calls.append((name, arguments))
        if name in self.fails:
            raise OSError(self.fails[name], os.strerror(self.fails[name]))
        if name == "setup":
            assert ctypes.string_at(arguments[1], 120) == bytes(120)
            return os.open("/dev/null", os.O_RDONLY)
        if name == "register" and len(arguments) > 2:
            self.vectors.append(ctypes.string_at(arguments[2], 16))
        return 0


def test_a_buffer_is_registered_and_unregistered() -> None:
    """IORING_REGISTER_BUFFERS (0) gets one iovec; IORING_UNREGISTER_BUFFERS (1) lets go before the ring is closed."""
    kernel = Kernel()
    mechanism = IoUring(kernel)
    taken = mechanism.acquire(0x10000, 3, True, True)
    ring = taken.fds[0]
    assert taken.pages == 3 and taken.detail[0] == 0x10000
    assert [(name, arguments[:2]) for name, arguments in kernel.calls[1:]] == [("register", (ring, 0))]
    assert kernel.vectors == [struct.pack("<QQ", 0x10000, 3 * 4096)]
    mechanism.release(taken)
    assert kernel.calls[-1] == ("register", (ring, 1))
    with pytest.raises(OSError):
        os.fstat(ring)


@pytest.mark.parametrize("number", [errno.EFAULT, errno.ENOMEM, errno.EOPNOTSUPP])
def test_an_errno_of_the_pin_is_passed_on(number: int) -> None:
    """What io_uring_register() answers is the outcome of the step, and the ring is closed."""
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError) as caught:
        IoUring(Kernel(register=number)).acquire(0x10000, 1, True, True)
    assert caught.value.errno == number
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("refused", "calls"),
    [("setup", [*["setup"] * 4, "register"]), ("register", ["setup", *["register"] * 4])],
)
def test_a_limit_counts_once_closed_rings_are_freed(
    refused: str, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOMEM is asked again for a while: a worker frees what was closed.  No ring is closed for it: that would be one
    more that waits to be freed."""
    waits: list[float] = []
    kernel = Kernel(**{refused: errno.ENOMEM})

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            kernel.fails.clear()

    monkeypatch.setattr("time.sleep", sleep)
    taken = IoUring(kernel).acquire(0x10000, 1, True, True)
    os.close(taken.fds[0])
    assert [name for name, _ in kernel.calls] == calls


@pytest.mark.parametrize(
    ("refused", "release", "charged", "limit", "asked"),
    [
        ("setup", "6.18.1", 0, 1, 1),  # the ring has two pages
        ("setup", "6.18.1", 0, 2, 21),
        ("setup", "6.13.1", 0, 1, 21),  # of which none counts
        ("setup", "7.2.1", 0, 1, 21),
        ("setup", "7.1.1", 0, 1, 1),
        ("setup", "6.14.1", 5, 6, 1),  # what is held counts
        ("register", "6.13.1", 0, 2, 1),  # three pages are to be pinned
        ("register", "6.13.1", 0, 3, 21),
        ("register", "6.18.1", 0, 4, 1),
        ("register", "6.18.1", 5, 9, 1),
        ("register", "6.18.1", 5, 10, 21),
    ],
)
def test_more_than_the_limit_is_no_question_of_time(
    refused: str, release: str, charged: int, limit: int, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOMEM counts at once where the pages, those of the ring where the kernel charges it, and what is held already
    are more than the limit together; else it is asked again for a while."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr("resource.getrlimit", lambda which: (limit * 4096, 99 * 4096))
    kernel = Kernel(**{refused: errno.ENOMEM})
    with pytest.raises(OSError, match="Cannot allocate"):
        IoUring(kernel, release=release).acquire(0x10000, 3, True, True, charged)
    assert [name for name, _ in kernel.calls].count(refused) == asked


@pytest.mark.parametrize(
    ("release", "free", "charged"), [("6.18.1", False, 5), ("6.13.1", False, 3), ("6.18.1", True, 0)]
)
def test_what_is_charged_is_told(release: str, free: bool, charged: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages and the ring where the kernel charges it; nothing with CAP_IPC_LOCK."""
    monkeypatch.setattr("pinhold.targets.live.syscalls.has_effective_capability", lambda capability: free)
    taken = IoUring(Kernel(), release=release).acquire(0x10000, 3, True, True)
    os.close(taken.fds[0])
    assert taken.charged == charged


@pytest.mark.parametrize(
    ("number", "disabled", "sentence"),
    [
        (errno.ENOSYS, None, "this kernel has no io_uring"),
        (errno.EPERM, "2", "io_uring is switched off here (kernel.io_uring_disabled is 2)"),
        (errno.EPERM, "1", "io_uring is switched off here (kernel.io_uring_disabled is 1)"),
        (errno.EPERM, "0", NOT_ALLOWED),
        (errno.EPERM, None, NOT_ALLOWED),
        (errno.EMFILE, None, "io_uring cannot be set up here: Too many open files"),
    ],
)  # fmt: skip
def test_without_io_uring_a_sentence_says_why(tmp_path, number: int, disabled: str | None, sentence: str) -> None:
    """Each way to be without io_uring is told apart, found out once, and refuses the step, not the run."""
    if disabled is not None:
        (tmp_path / "proc/sys/kernel").mkdir(parents=True)
        (tmp_path / "proc/sys/kernel/io_uring_disabled").write_text(f"{disabled}\n")
    kernel = Kernel(setup=number)
    mechanism = IoUring(kernel, tmp_path)
    assert mechanism.unavailable() == mechanism.unavailable() == sentence
    assert len(kernel.calls) == 1
    need = Need(longterm=True, write=True, fast=None, user=None)
    with pytest.raises(CannotDo) as caught:
        choose(need, None, {"io_uring": mechanism})
    assert str(caught.value).endswith(sentence)
    with pytest.raises(CannotDo, match="io_uring"):
        mechanism.acquire(0x10000, 1, True, True)


@pytest.mark.parametrize(("release", "fast"), [("5.10.0-32-amd64", False), ("6.9.12", False), ("6.10.1", True)])
def test_whether_it_is_gup_fast_is_the_releases_business(release: str, fast: bool) -> None:
    """It pins by GUP up to 6.9 and by GUP-fast since 6.10: a scenario's demand is met by the one and not the other."""
    gives = IoUring(Kernel(), release=release).gives
    assert gives.meets(Need(longterm=True, write=True, fast=fast, user="io_uring"))
    assert not gives.meets(Need(longterm=True, write=True, fast=not fast, user="io_uring"))
    assert not gives.meets(Need(longterm=True, write=False, fast=fast, user="io_uring"))
    assert not gives.meets(Need(longterm=False, write=True, fast=fast, user="io_uring"))
    assert not gives.meets(Need(longterm=True, write=True, fast=fast))


def test_rings_are_charged_in_the_releases_of_the_rule() -> None:
    """What travels into guests without the specification says of them what that says."""
    charged, free = BY_NAME["io_uring_ring"].values
    assert charged.again is not None and free.again is not None
    assert (release_of(charged.again.since), release_of(free.again.since)) == CHARGED_RINGS


def test_a_submission_is_64_bytes() -> None:
    """io_uring_sqe: opcode, fd, offset, address and length are where the kernel looks for them."""
    from pinhold.targets.live.pins.io_uring import _PARAMS, _SQE, IORING_OP_WRITE_FIXED

    entry = _SQE.pack(IORING_OP_WRITE_FIXED, 0, 0, 7, 0x1000, 0x7000, 0x2000, 0, 0, 0, 0, 0)
    assert (_SQE.size, _PARAMS.size) == (64, 120)
    assert entry[0] == 5
    assert struct.unpack_from("<iQQI", entry, 4) == (7, 0x1000, 0x7000, 0x2000)
