"""A real kernel that loops."""

import os
import time
from pathlib import Path

import pytest

from lab_kernels import nightly
from pinhold.lab import conversation
from pinhold.lab.conversation import Limit
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget
from pinhold.scenario.parse import parse

pytestmark = pytest.mark.slow

LOOPS = Path(__file__).parents[1] / "known/cases/11h-vm-hugetlb-mremap.pin"
HOLDS = parse("scenario after it\nmap P x anon\nwrite P x 0x01\nexpect P x 0x01\n")


@pytest.mark.parametrize("kernel", ["6.12"], indirect=True)
def test_a_kernel_that_loops_is_a_livelock_with_its_stack(kernel: Kernel) -> None:
    """The step that does not end, where in the kernel the task is, and a fresh guest for what comes after it."""
    target = VmTarget(kernel.name, kernel, deadline=5.0)
    try:
        looping, after = target.run_all([parse(LOOPS.read_text()), HOLDS])
    finally:
        target.close()
    assert looping.verdict.kind == "livelock"
    assert looping.verdict.step == 5
    assert looping.verdict.reason is not None
    assert "process P did not finish write: no end after 5 s of processor time in the kernel" in looping.verdict.reason
    assert "hugetlb_wp < hugetlb_fault < handle_mm_fault" in looping.verdict.reason
    assert after.verdict.kind == "held"


def wait_until_idle(pid: int) -> None:
    """Until the process uses less than a fifth of a second of processor time in a second: the guest is ready then."""
    before = 0.0
    for _ in range(120):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        now = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        if now - before < 0.2:
            return
        before = now
        time.sleep(1)


@pytest.mark.parametrize("kernel", ["6.1", "6.12", *nightly("5.10", "6.18")], indirect=True)
def test_a_kernel_that_is_interrupted_tells_where_it_was(guest: VmTarget) -> None:
    """Each release panics at the interrupt, and its console shows the stack below the interrupt's own functions."""
    try:
        booted = guest._first().booted(gigantic=False)
        wait_until_idle(booted._qemu.pid)
        booted._looping(conversation._Budget(booted._watch, Limit(1.0, 1.0), "said nothing", "livelock"))
        assert booted._qemu.ended()
        stack = conversation.interrupted(booted._qemu.console())
    finally:
        guest.close()
    assert "do_idle" in stack, stack
    assert not any("nmi" in function for function in stack)
