"""Memory as runs of equal pages, and the channel that carries them."""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import threading
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinhold.scenario.observation import MIXED, Run
from pinhold.targets.live import content
from pinhold.targets.live.channel import Channel, Closed
from pinhold.targets.live.progress import Overdue

PAGE = 4096


def pages_of(values: list[int]) -> tuple[mmap.mmap, int]:
    """Memory with one value a page; MIXED pages differ in their last byte."""
    memory = mmap.mmap(-1, PAGE * len(values))
    for index, value in enumerate(values):
        filled = b"\0" * (PAGE - 1) + b"\1" if value == MIXED else bytes([value]) * PAGE
        memory[index * PAGE : (index + 1) * PAGE] = filled
    return memory, ctypes.addressof(ctypes.c_char.from_buffer(memory))


@settings(max_examples=60, deadline=None, database=None)
@given(
    st.lists(st.tuples(st.sampled_from([0, 0xFF, 7, MIXED, None]), st.sampled_from([1, 2, 511, 512, 600])), max_size=5)
)
def test_runs_are_what_the_pages_hold(parts):
    """Any sequence of equal, mixed and unreadable pages comes back as its shortest runs, without gaps."""
    values = [value for value, count in parts for _ in range(count)]
    memory, address = pages_of([0 if v is None else v for v in values] or [0])
    stretches, at = [], 0
    for value, count in parts:
        stretches.append((at, count, value is not None))
        at += count
    runs = content.runs(address, stretches)
    assert [run.byte for run in runs for _ in range(run.count)] == values
    assert [run.first for run in runs] == [sum(r.count for r in runs[:i]) for i in range(len(runs))]
    assert all(a.byte != b.byte for a, b in pairwise(runs))
    del memory


def test_a_large_uniform_region_is_one_run():
    """64 MiB of one byte are one run."""
    memory = mmap.mmap(-1, 64 << 20)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    content.fill(address, 16384, 0xA5)
    assert content.runs(address, [(0, 16384, True)]) == [Run(0, 16384, 0xA5)]
    assert content.uniform(address, 16384)


def test_fill_stays_within_its_pages():
    """Filling two pages leaves the neighbours as they were."""
    memory, address = pages_of([1, 2, 3, 4])
    content.fill(address + PAGE, 2, 9)
    assert content.runs(address, [(0, 4, True)]) == [Run(0, 1, 1), Run(1, 2, 9), Run(3, 1, 4)]
    del memory


def test_a_message_and_its_descriptors_arrive():
    """A message longer than a socket buffer comes whole, with the descriptor that it carried."""
    near, far = Channel.pair()
    other = Channel(far)
    reader, writer = os.pipe()
    sender = threading.Thread(target=near.send, args=(("words", list(range(100_000))), [writer]))
    sender.start()
    message, fds = other.receive()
    sender.join()
    assert message == ("words", list(range(100_000)))
    assert len(fds) == 1 and not os.get_inheritable(fds[0])
    os.write(fds[0], b"x")
    assert os.read(reader, 1) == b"x"
    for fd in (reader, writer, *fds):
        os.close(fd)
    near.close()
    other.close()


def test_patience_ends_a_silence_and_an_end_is_closed():
    """Who waits is asked while no message comes, in the middle of one too; the other end's end is Closed, for reading
    and writing."""
    near, far = Channel.pair()

    def impatient() -> None:
        raise Overdue("no end", in_kernel=False)

    for sent in (b"", b"\x05\x00\x00\x00ab"):
        far.sendall(sent)
        with pytest.raises(Overdue):
            near.receive(impatient)
    far.close()
    with pytest.raises(Closed):
        near.receive()
    with pytest.raises(Closed):
        near.send(("read",))
    near.close()


def test_a_message_of_absurd_length_is_refused():
    """A length that no message has ends the channel instead of taking memory."""
    ours, theirs = socket.socketpair()
    ours.sendall(b"\xff\xff\xff\xff")
    channel = Channel(theirs)
    with pytest.raises(Closed, match="4294967295 bytes"):
        channel.receive()
    channel.close()
    ours.close()
