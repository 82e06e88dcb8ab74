"""Locked memory is charged by the pin's user, each by its own rule."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from pinhold.mm.pin import IO_URING_RING_PAGES
from play import Play, row

WRITTEN = "map P x anon pages 8\nwrite P x 0x11\nmemlock P {limit}\ncapability P ipc_lock {cap}\n"


def pinned(user: str, limit: int, cap: str = "off", memory: str = WRITTEN, release: str = "6.2") -> Play:
    """Eight pages pinned by this user under this limit."""
    return Play(row(release), f"{memory.format(limit=limit, cap=cap)}pin P x as p write longterm user {user}\n")


@pytest.mark.parametrize("user", ["vfio", "io_uring", "rdma"])
def test_the_limit_is_in_pages_and_inclusive(user: str) -> None:
    """Eight pages fit under eight and not under seven, which leaves nothing charged."""
    assert pinned(user, 8).errnos[-1] == 0
    refused = pinned(user, 7)
    assert refused.errnos[-1] == k.ENOMEM
    assert (refused.m.mm_locked_vm[0], refused.m.mm_pinned_vm[0], refused.m.user_locked_vm[0]) == (0, 0, 0)
    assert pinned(user, 7, "on").errnos[-1] == 0


@pytest.mark.parametrize(("release", "last"), [("5.10", 600), ("6.1", 1023)])
def test_vfio_looks_at_the_limit_after_each_batch(release: str, last: int) -> None:
    """What is over the limit ends the pin: after that page on 5.10, later after the 512 pages that it is among."""
    text = "map P x anon pages 1100\nmemlock P 600\ncapability P ipc_lock off\npin P x as p longterm write user vfio\n"
    played = Play(row(release), text)
    assert played.errnos[-1] == k.ENOMEM
    assert [played.state(page=page) for page in (last, last + 1)] == ["present", "none"]
    assert (played.m.mm_locked_vm[0], played.m.folio_refcount[played.frame()]) == (0, 1)


@pytest.mark.parametrize("release", ["5.10.262", "6.1"])
def test_io_uring_looks_at_the_file_before_the_limit(release: str) -> None:
    """EOPNOTSUPP for a file that it does not take, however low the limit; nothing is charged."""
    refused = pinned("io_uring", 1, memory=WRITTEN.replace("anon", "file shared"), release=release)
    assert refused.errnos[-1] == k.EOPNOTSUPP
    assert (refused.m.mm_pinned_vm[0], refused.m.user_locked_vm[0]) == (0, 0)


@pytest.mark.parametrize("release", ["5.10", "6.1"])
def test_vfio_is_over_the_limit_before_it_meets_a_hole(release: str) -> None:
    """ENOMEM for the pages before the hole, which are charged first."""
    text = "map P x anon pages 8\nunmap P x[6]\nmemlock P 4\ncapability P ipc_lock off\n"
    pin = "pin P x as p longterm write user vfio\n"
    assert Play(row(release), text + pin).errnos[-1] == k.ENOMEM
    assert Play(row(release), text.replace("memlock P 4", "memlock P 6") + pin).errnos[-1] == k.EFAULT


@pytest.mark.parametrize(
    ("memory", "pin", "errno"),
    [("anon read pages 1", "write ", k.EFAULT), ("anon pages 1", "write ", k.ENOMEM), ("anon pages 1", "", 0)],
)
def test_vfio_looks_at_no_limit_before_it_has_a_page_that_counts(memory: str, pin: str, errno: int) -> None:
    """A process over its limit already: EFAULT where GUP fails, ENOMEM for a page, and the zero page is free."""
    over = "map P a anon pages 2\npin P a as p longterm write user vfio\nmemlock P 1\ncapability P ipc_lock off\n"
    assert Play(row("6.1"), f"{over}map P b {memory}\npin P b as q {pin}longterm user vfio\n").errnos[-1] == errno


def test_each_user_has_its_counter() -> None:
    """VFIO counts in locked_vm, RDMA in pinned_vm, io_uring in the user's locked_vm and in pinned_vm."""

    def counters(user: str, cap: str = "off", release: str = "6.2") -> tuple[int, int, int]:
        m = pinned(user, 100, cap, release=release).m
        return m.mm_locked_vm[0], m.mm_pinned_vm[0], m.user_locked_vm[0]

    assert counters("none") == (0, 0, 0)
    assert counters("vfio") == (8, 0, 0)
    assert counters("rdma") == (0, 8, 0)
    assert counters("io_uring") == (0, 8, 8)
    assert counters("io_uring", "on") == (0, 8, 0)
    assert counters("io_uring", "off", "6.18") == (0, 8, 8 + IO_URING_RING_PAGES)
    assert counters("io_uring", "off", "7.3") == (0, 8, 8)
    assert counters("io_uring", "on", "7.3") == (0, 0, 0)
    assert counters("rdma", "on", "7.3") == (0, 8, 0)


@pytest.mark.parametrize("release", ["6.12", "7.3"])
def test_a_fixed_buffer_gives_back_what_it_was_charged(release: str) -> None:
    """Also where the capability goes between the two: what was not counted is not taken off."""
    text = f"{WRITTEN.format(limit=100, cap='on')}io_uring P x as p\ncapability P ipc_lock off\nunpin p\n"
    m = Play(row(release), text).m
    assert (m.mm_pinned_vm[0], m.user_locked_vm[0]) == (0, 0)


def test_gup_itself_charges_nobody() -> None:
    """A pin without a user may pin more than the limit."""
    assert pinned("none", 0).errnos[-1] == 0


def test_io_uring_pays_for_a_huge_page_whole() -> None:
    """One page of a THP costs all 512."""
    memory = "map P x thp\nwrite P x 0x11\nmemlock P {limit}\ncapability P ipc_lock {cap}\n"
    text = memory.format(limit=512, cap="off") + "pin P x[7] as p write longterm user io_uring\n"
    played = Play(row("6.2"), text)
    assert (played.errnos[-1], played.m.user_locked_vm[0]) == (0, 512)
    assert Play(row("6.2"), text.replace("memlock P 512", "memlock P 511")).errnos[-1] == k.ENOMEM


def test_rdma_charges_what_is_asked_for_before_it_pins() -> None:
    """Zero pages are charged too, on 6.1 as on 6.2: the rule looks at the range."""
    memory = "map P x zeropage pages 8 read\nmemlock P 4\ncapability P ipc_lock off\n"
    for release in ("6.1", "6.2"):
        assert Play(row(release), f"{memory}pin P x as p longterm user rdma\n").errnos[-1] == k.ENOMEM


def test_unpinning_gives_the_charge_back() -> None:
    """After unpin the counters are zero."""
    for user in ("vfio", "io_uring", "rdma"):
        m = pinned(user, 100).m
        played = Play(row("6.2"), f"{WRITTEN.format(limit=100, cap='off')}pin P x as p write user {user}\nunpin p\n")
        assert m.mm_locked_vm[0] + m.mm_pinned_vm[0] >= 8
        m = played.m
        assert (m.mm_locked_vm[0], m.mm_pinned_vm[0], m.user_locked_vm[0]) == (0, 0, 0)


@pytest.mark.parametrize(("release", "errno"), [("6.2", k.EFAULT), ("6.18", k.ENOMEM), ("7.3", k.EFAULT)])
def test_a_ring_is_charged_before_its_buffer_is_looked_at(release: str, errno: int) -> None:
    """Where rings count, one that does not fit is the first that fails; nothing was faulted in for the buffer."""
    text = "map P x anon read pages 2\ncapability P ipc_lock off\nmemlock P 0\nio_uring P x as p\n"
    assert Play(row(release), text).errnos[-1] == errno


@pytest.mark.parametrize(("release", "errno"), [("6.2", k.EFAULT), ("6.18", k.ENOMEM), ("7.3", k.EFAULT)])
def test_a_ring_that_is_not_charged_is_not_refused(release: str, errno: int) -> None:
    """Also where the limit was lowered below what is locked by then."""
    text = "map P x anon pages 8\nmap P gone anon\nunmap P gone\ncapability P ipc_lock off\nio_uring P x as p\n"
    assert Play(row(release), f"{text}memlock P 7\nio_uring P gone as q\n").errnos[-1] == errno
