"""`pinhold pins` on the kernel that runs here: what a process of ours pins is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pinhold.cli import main
from pinhold.targets.live.pins.io_uring import IoUring

HOLD = """
import ctypes, mmap, sys
from pinhold.targets.live.pins.io_uring import IoUring
memory = mmap.mmap(-1, 8 * 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
print(IoUring().acquire(address, 8, True, False).fds[0], address, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder() -> Iterator[tuple[int, int, int]]:
    """Process, descriptor and address of eight pages that a process holds by io_uring."""
    reason = IoUring().unavailable()
    if reason is not None:
        pytest.skip(reason)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        ring, address = map(int, process.stdout.readline().split())
        yield process.pid, ring, address
        process.stdin.close()


def test_a_fixed_buffer_is_told_with_its_holder(
    holder: tuple[int, int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Process, descriptor, address and size; and they are charged as VmPin, the ring's own pages beside them."""
    pid, ring, address = holder
    assert main(["pins", "--pid", str(pid), "--format", "json"]) == 0
    read = json.loads(capsys.readouterr().out)
    # Page by page where the kernel's memory can be read, else as the ring says it.
    pages = [(holder, folio["size"]) for folio in read["folios"] for holder in folio["holders"]]
    ranges = pages or [(buffer["holder"], buffer["size"]) for buffer in read["buffers"]]
    assert {(one["kind"], one["process"]["pid"], one["fd"]) for one, _ in ranges} == {("io_uring", pid, ring)}
    assert (min(one["address"] for one, _ in ranges), sum(size for _, size in ranges)) == (address, 8 * 4096)
    assert [p["process"]["pid"] for p in read["processes"]] == [pid]
    assert read["processes"][0]["vm_pin"] >= 8 * 4096
    assert main(["pins", "--pid", str(pid), "--page", hex(address + 5000)]) == 0
    assert f"{address + (4096 if pages else 0):x}" in capsys.readouterr().out


def test_all_processes_have_it_among_them(holder: tuple[int, int, int], capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever comes and goes meanwhile."""
    pid, ring, address = holder
    with subprocess.Popen(
        ["sh", "-c", "while :; do true | true; done"], start_new_session=True, stdout=subprocess.DEVNULL
    ) as churn:
        try:
            for _ in range(5):
                assert main(["pins", "--by", "holder"]) == 0
                text = capsys.readouterr().out
                assert f"io_uring of {pid} " in text and f", fd {ring}" in text and f"{address:x}" in text
        finally:
            os.killpg(churn.pid, signal.SIGKILL)


def test_watch_tells_when_a_buffer_is_given_back(holder: tuple[int, int, int]) -> None:
    """A process that ends gives it back; its watcher ends with it."""
    pid = holder[0]
    command = [sys.executable, "-m", "pinhold", "watch", "--pid", str(pid)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        first = watcher.stdout.readline()
        assert "VmPin" in first and " held, 0 of them STALE" in first
        os.kill(pid, signal.SIGKILL)
        assert f"process {pid} has ended" in watcher.stdout.read()
    assert watcher.returncode == 0
