"""Pin mechanisms: matched exactly, and gup_test's ioctls by numbers and layout."""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import struct
from types import SimpleNamespace

import pytest

from pinhold.scenario.observation import Run
from pinhold.scenario.steps import Pin, Range, Scenario
from pinhold.targets.base import CannotDo
from pinhold.targets.live import kconfig
from pinhold.targets.live.nursery import Nursery
from pinhold.targets.live.pins import HOLDERS, MECHANISMS
from pinhold.targets.live.pins.base import FOLL_GET, FOLL_PIN, Access, Gives, Need, choose
from pinhold.targets.live.pins.gup_test import PIN_LONGTERM_TEST_START, GupTest
from pinhold.targets.live.pins.vmsplice import Vmsplice
from pinhold.targets.live.progress import Deadline
from pinhold.targets.live.taking import LivePins
from pinhold.targets.live.tree import Tree

PAGE = 4096
NEEDS = [
    Need(takes, longterm, write, fast, force, user)
    for takes in (FOLL_PIN, FOLL_GET)
    for user in ("none", "vfio")
    for longterm, write, fast, force in itertools.product((False, True), repeat=4)
]


class Kernel:
    """Answers the ioctls of gup_test as the kernel does from 6.2 to 6.12: one set of pins for everybody."""

    def __init__(self, memory: bytes = b"") -> None:
        self.calls: list[tuple[int, object]] = []
        self.memory = memory
        self.pinned: bytes | None = None

    def ioctl(self, fd: int, request: int, argument: object) -> int:
        self.calls.append((request, argument))
        number = request & 0xFF
        if number == 7:
            if self.pinned is not None:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            self.pinned = self.memory
        elif number == 8:
            self.pinned = None
        elif number == 9:
            (address,) = struct.unpack("=Q", argument)
            ctypes.memmove(address, self.pinned, len(self.pinned))
        return 0


@pytest.fixture
def device(tmp_path):
    """A file in the place of the debugfs device."""
    path = tmp_path / "gup_test"
    path.touch()
    return str(path)


def encoded(direction: int, number: int, size: int) -> int:
    """An ioctl request as asm-generic/ioctl.h composes it, of magic 'g'."""
    return direction << 30 | size << 16 | ord("g") << 8 | number


@pytest.mark.parametrize(
    ("write", "fast", "flags"), [(False, False, 0), (True, False, 1), (False, True, 2), (True, True, 3)]
)
def test_start_packs_address_size_and_flags(device, write, fast, flags):
    """START is _IOW('g', 7) with u64 addr, u64 size, u32 flags: 1 is WRITE, 2 is FAST; 24 bytes with padding."""
    kernel = Kernel()
    taken = GupTest(device, kernel.ioctl).acquire(0x7F0000001000, 3, write, fast)
    assert taken.pages == 3
    assert kernel.calls == [(encoded(1, 7, 24), struct.pack("<QQII", 0x7F0000001000, 3 * PAGE, flags, 0))]
    os.close(taken.fds[0])


def test_read_copies_every_page_and_stop_releases(device):
    """READ is _IOW('g', 9) with the address to copy to, STOP is _IO('g', 8); contents come as runs."""
    kernel = Kernel(b"\1" * PAGE + b"\0" * 2 * PAGE + b"\1\2" * (PAGE // 2))
    mechanism = GupTest(device, kernel.ioctl)
    taken = mechanism.acquire(0x1000, 4, False, False)
    assert mechanism.read_back(taken) == [Run(0, 1, 1), Run(1, 2, 0), Run(3, 1, -1)]
    mechanism.release(taken)
    assert [request for request, _ in kernel.calls[1:]] == [encoded(1, 9, 8), encoded(0, 8, 0)]
    assert kernel.pinned is None
    with pytest.raises(OSError):
        os.fstat(taken.fds[0])


def test_a_second_set_of_pins_is_refused_in_words(device):
    """EINVAL from START is not the scenario's errno: the device is busy."""
    kernel = Kernel()
    first = GupTest(device, kernel.ioctl).acquire(0x1000, 1, False, False)
    with pytest.raises(CannotDo, match="another set of pins is alive"):
        GupTest(device, kernel.ioctl).acquire(0x1000, 1, False, False)
    os.close(first.fds[0])


def test_an_errno_of_the_pin_is_passed_on(device):
    """EFAULT from pin_user_pages() is the outcome of the step."""

    def refuse(fd: int, request: int, argument: object) -> int:
        raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))

    with pytest.raises(OSError) as caught:
        GupTest(device, refuse).acquire(0x1000, 1, True, False)
    assert caught.value.errno == errno.EFAULT


def test_gup_test_says_why_it_is_missing(tmp_path, device, monkeypatch):
    """No file and no permission are different reasons, and so is an option of the kernel; looking opens nothing."""
    opened = []
    missing = str(tmp_path / "nothing")
    monkeypatch.setattr(kconfig, "running", lambda: {"DEBUG_FS": "y"})
    why = f"no {missing} here: this kernel was built without CONFIG_GUP_TEST"
    assert GupTest(missing, opened.append).unavailable() == why
    assert GupTest(device, opened.append, "6.2.0").unavailable() is None
    if os.geteuid() != 0:
        os.chmod(device, 0)
        assert GupTest(device).unavailable() == f"{device} cannot be opened by this user"
    assert opened == []


@pytest.mark.parametrize(
    ("answer", "old"), [(errno.EINVAL, "takes no long-term pins that last: it is older than 6.2"), (errno.EFAULT, None)]
)
def test_a_gup_test_that_is_too_old_gives_way(device, answer, old):
    """Before 6.2 the device is asked, once, whether it knows START: EINVAL is the answer to what is unknown, and then
    the next mechanism is taken; a kernel that has it by hand (EFAULT, for no memory) is as good as a new one."""
    asked = []

    def ioctl(fd: int, request: int, argument: object) -> int:
        asked.append((request, argument))
        raise OSError(answer, os.strerror(answer))

    mechanism = GupTest(device, ioctl, "6.1.192")
    assert (mechanism.unavailable() or "").endswith(old or "")
    assert (mechanism.unavailable() is None) == (old is None)
    assert asked == [(PIN_LONGTERM_TEST_START, 0)]
    other = GupTest(device, ioctl, "6.2")
    assert choose(Need(longterm=True), None, {"one": mechanism, "other": other}) is (other if old else mechanism)


@pytest.mark.parametrize("mechanism", MECHANISMS.values(), ids=lambda each: each.name)
def test_a_mechanism_meets_what_it_gives_and_nothing_else(mechanism):
    """Each flag of a need that a mechanism meets is one that it can be asked for, and every such need is met."""
    gives = mechanism.gives
    for need in NEEDS:
        exact = (
            need.takes == gives.takes
            and {need.longterm} <= gives.longterm
            and {need.write} <= gives.write
            and {need.fast} <= gives.fast
            and {need.force} <= gives.force
            and {need.user} <= gives.users
            and gives.held
        )
        assert gives.meets(need) == exact


@pytest.mark.parametrize(
    ("fast", "names"), [(False, {"gup_test", "pinprobe", "vfio"}), (True, {"gup_test", "pinprobe"})]
)
def test_who_answers_a_read_only_long_term_pin(fast, names):
    """No built-in mechanism but gup_test, pinprobe and, slow only, vfio gives a verdict to the R/O long-term tests."""
    need = Need(longterm=True, fast=fast)
    assert {name for name, each in MECHANISMS.items() if each.gives.meets(need)} == names


def test_those_that_let_go_answer_no_pin(live_pins):
    """A pin step lasts: process_vm, direct I/O and forced writes are no candidates, and are told so when named."""
    assert all(not MECHANISMS[name].gives.held for name in MECHANISMS if name not in HOLDERS)
    assert {*MECHANISMS} - {*HOLDERS} == {"process_vm", "direct_io", "proc_mem", "ptrace"}
    for name in {*MECHANISMS} - {*HOLDERS}:
        step = Pin("P", Range("x"), "p", write=True, via=name)
        with pytest.raises(CannotDo, match=f"needs a writable short-term but held pin: {name} gives .* only"):
            live_pins.take(step, {"region": "x", "first": 0, "end": 1})


@pytest.fixture
def live_pins():
    """The pins of a scenario of no steps, which nothing takes."""
    return LivePins(Scenario("test", ()), Tree(Nursery(), Deadline()), {})


def test_a_pin_that_does_not_last_never_meets():
    """A momentary mechanism answers no pin step: pins are held until they are released."""
    both = frozenset({False, True})
    momentary = Gives(FOLL_PIN, both, both, both, held=False, readable=True)
    assert not any(momentary.meets(need) for need in NEEDS)


def test_choose_names_need_and_reasons(tmp_path, monkeypatch):
    """The refusal says what is needed, and of each mechanism that would fit why it is not here."""
    monkeypatch.setattr(kconfig, "running", dict)
    one, other = GupTest(str(tmp_path / "a")), GupTest(str(tmp_path / "b"))
    with pytest.raises(CannotDo) as caught:
        choose(Need(longterm=True), None, {"one": one, "other": other})
    assert str(caught.value) == (f"needs a read-only long-term pin: no {tmp_path}/a here; no {tmp_path}/b here")


@pytest.mark.parametrize(
    ("need", "words"),
    [
        (Need(write=True), "needs a writable short-term but held pin: gup_test gives long-term pins only"),
        (Need(longterm=True, force=True), "needs a read-only long-term forced pin:"),
        (Need(longterm=True, fast=True, user="vfio"), "needs a read-only long-term GUP-fast pin accounted as vfio:"),
    ],
)
def test_a_need_that_nothing_gives_is_refused(need, words):
    """What a mechanism gives besides does not stand in for what is asked."""
    with pytest.raises(CannotDo) as caught:
        choose(need, None, {"gup_test": GupTest(), "vmsplice": Vmsplice()})
    assert str(caught.value).startswith(words)


def test_what_later_steps_do_chooses_no_mechanism(device):
    """The first that fits is taken whatever comes later; where it lacks the access, one that has it is named."""
    able = Gives(FOLL_PIN, frozenset({True}), frozenset({False}), frozenset({False}), readable=True, writable=True)
    other = SimpleNamespace(name="other", summary="", gives=able, unavailable=lambda: None)
    mechanisms = {"gup_test": GupTest(device), "other": other}
    need = Need(longterm=True)
    for access in (Access(), Access(read=True)):
        assert choose(need, None, mechanisms, access) is mechanisms["gup_test"]
    with pytest.raises(CannotDo) as caught:
        choose(need, None, mechanisms, Access(read=True, write=True))
    assert str(caught.value) == (
        "needs a read-only long-term pin that can be written through, which gup_test cannot do; "
        "'via other' in the step takes one that can"
    )
    assert choose(need, "other", mechanisms, Access(write=True)) is other


def test_via_forces_one_mechanism(device):
    """`via` leaves the choice to the scenario, but the need still has to be met; an unknown name lists the known."""
    mechanisms = {"gup_test": GupTest(device), "vmsplice": Vmsplice()}
    assert choose(Need(longterm=True), "gup_test", mechanisms) is mechanisms["gup_test"]
    with pytest.raises(CannotDo, match="vmsplice gives references by FOLL_GET only"):
        choose(Need(longterm=True), "vmsplice", mechanisms)
    with pytest.raises(CannotDo, match="no pin mechanism is called 'vfoi': there are gup_test, vmsplice"):
        choose(Need(longterm=True), "vfoi", mechanisms)
