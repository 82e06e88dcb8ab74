"""What /proc/PID/fdinfo says of rings and DMA buffers, in the layouts of every kernel."""

from __future__ import annotations

import pytest

from pinhold.inspect.fdinfo import exported, fixed_buffers

GENERIC = "pos:\t0\nflags:\t02000002\nmnt_id:\t15\nino:\t1057\n"
RING = (
    "SqMask:\t0x0\nSqHead:\t0\nSqTail:\t0\nCachedSqHead:\t0\nCqMask:\t0x1\nCqHead:\t0\nCqTail:\t0\nCachedCqTail:\t0\n"
)
QUEUES = "SQEs:\t0\nCQEs:\t1\n    0: user_data:3, res:4096, flag:0\n"
TWO = "UserBufs:\t2\n    0: 0x7f51c3a00000/8192\n    1: 0x7f51c3c00000/2097152\n"

LAYOUTS = {
    "5.10": f"{GENERIC}SqThread:\t-1\nSqThreadCpu:\t-1\nUserFiles:\t1\n    0: null\n{TWO}PollList:\n",
    "6.1": f"{GENERIC}{RING}{QUEUES}SqThread:\t-1\nSqThreadCpu:\t-1\nUserFiles:\t0\n{TWO}"
    "Personalities:\n    1\n\tUid:\t0\nPollList:\nCqOverflowList:\n",
    "6.12": f"{GENERIC}{RING}{QUEUES}SqThread:\t-1\nSqThreadCpu:\t-1\nSqTotalTime:\t0\nSqWorkTime:\t0\nUserFiles:\t1\n"
    f"    0: <none>\n{TWO}PollList:\n  op=6, task_works=0\nCqOverflowList:\n  user_data=1, res=0, flags=0\n"
    "NAPI:\tdisabled\n",
    "6.18": f"{GENERIC}{RING}{QUEUES}SqThread:\t-1\nSqThreadCpu:\t-1\nSqTotalTime:\t0\nSqWorkTime:\t0\nUserFiles:\t1\n"
    f"    0: /dev/null\n{TWO}PollList:\nCqOverflowList:\nNAPI:\tdisabled\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_buffers_of_every_layout(layout: str) -> None:
    """Address and length of each, whatever stands before and after them."""
    assert fixed_buffers(LAYOUTS[layout]) == [(0x7F51C3A00000, 8192), (0x7F51C3C00000, 2097152)]


@pytest.mark.parametrize("empty", ["0xffffffffffffffff/1", "0xffffffffffffffff/4294967295", "0x0/4096", "<none>"])
def test_a_slot_without_memory_of_a_user_is_none(empty: str) -> None:
    """An empty slot as 6.1, 6.12 and 6.18 print it, and a buffer of the kernel's own; what follows it is a buffer."""
    assert fixed_buffers(f"{GENERIC}UserBufs:\t2\n    0: {empty}\n    1: 0x1000/4096\nPollList:\n") == [(0x1000, 4096)]


def test_a_ring_without_buffers_has_none() -> None:
    """That is an answer, and another one than no answer."""
    assert fixed_buffers(f"{GENERIC}UserBufs:\t0\nPollList:\n") == []


@pytest.mark.parametrize("busy", [GENERIC, f"{GENERIC}UserFiles:\t1\nUserBufs:\t1\nPollList:\n", "UserBufs:\t1\n"])
def test_a_ring_that_somebody_has_locked_gives_no_answer(busy: str) -> None:
    """Since 6.18 nothing is printed then, and before the number alone."""
    assert fixed_buffers(busy) is None


def test_the_name_of_a_registered_file_makes_no_buffer() -> None:
    """Until 6.12 it is printed as it is, line breaks too."""
    name = "x\nUserBufs:\t1\n    0: 0x6000/4096"
    assert fixed_buffers(f"{GENERIC}UserFiles:\t1\n    0: {name}\n{TWO}PollList:\n") == [
        (0x7F51C3A00000, 8192),
        (0x7F51C3C00000, 2097152),
    ]


def test_a_dma_buffer_names_its_exporter_once() -> None:
    """Its own name, which a user gives, stands after it and cannot take its place."""
    text = f"{GENERIC}size:\t8192\ncount:\t1\nexp_name:\tudmabuf\n"
    assert exported(text) == ("udmabuf", 8192)
    assert exported(f"{text}name:\tx\nexp_name:\tsystem\nsize:\t1\n") == ("udmabuf", 8192)
    assert exported(GENERIC) is None
