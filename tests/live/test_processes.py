"""A scenario's processes: how they are kept apart, bounded, and ended."""

from __future__ import annotations

import errno
import gc
import os
import select
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import pinhold
from pinhold.scenario.parse import parse
from pinhold.scenario.steps import Exit, Range, Read
from pinhold.targets.base import Broken, Livelock
from pinhold.targets.live.process import rehearse
from pinhold.targets.live.progress import Deadline
from pinhold.targets.live.protocol import Call, Where
from pinhold.targets.live.regions import ARENA
from pinhold.targets.live.target import LiveTarget
from pinhold.targets.live.tree import Died
from pinhold.targets.runner import run_scenario

PREADV = 295
"""The number of preadv(2) on x86-64."""

FORKED = parse("scenario test\nmap P x anon\nwrite P x 0x01\nfork P C\nexpect C x 0x01\n")


def member(session, name: str) -> int:
    return session._tree._members[name].pid


def in_session(leader: int) -> list[int]:
    """The processes of a session."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if os.getsid(int(entry)) == leader:
                    found.append(int(entry))
            except ProcessLookupError:
                pass
    return found


def wait_gone(pidfd: int, seconds: float = 60) -> bool:
    """Whether the process ended; a pidfd is readable then."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def opened(live: LiveTarget):
    """A session with the processes P and C."""
    manager = live.open(FORKED)
    session = manager.__enter__()
    for step in FORKED.steps[:3]:
        session.do(step)
    return manager, session


def test_a_tree_of_its_own(live):
    """All processes are in one session and group, on one CPU, without core files, and first to go without memory."""
    manager, session = opened(live)
    try:
        pids = [member(session, "P"), member(session, "C")]
        assert {os.getsid(pid) for pid in pids} == {os.getpgid(pid) for pid in pids} == {session.leader}
        assert session.leader != os.getsid(0)
        cpus = {frozenset(os.sched_getaffinity(pid)) for pid in pids}
        assert len(cpus) == 1 and len(cpus.pop()) == 1
        for pid in pids:
            limits = Path(f"/proc/{pid}/limits").read_text()
            assert next(li for li in limits.splitlines() if "core file" in li).split()[4:6] == ["0", "0"]
            assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"
    finally:
        manager.__exit__(None, None, None)


def test_nothing_is_left_behind(live):
    """After closing, no process of the session exists, not even as a zombie, and no descriptor stays open."""
    manager, session = opened(live)
    manager.__exit__(None, None, None)
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        manager, session = opened(live)
        leader = session.leader
        assert len(in_session(leader)) == 2
        manager.__exit__(None, None, None)
        assert in_session(leader) == []
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_process_that_sleeps_for_ever_is_given_up():
    """A step that does not finish is an error that names process, step, deadline and state; its tree is killed."""
    manager, session = opened(LiveTarget(Deadline(asleep=1.0)))
    os.kill(member(session, "C"), signal.SIGSTOP)
    with pytest.raises(
        Broken, match=r"process C did not finish read: no end after 1 s of sleep: process \d+, state T \(stopped\)"
    ):
        session.do(Read("C", Range("x")))
    leader = session.leader
    manager.__exit__(None, None, None)
    assert in_session(leader) == []


def in_kernel(live: LiveTarget):
    """A session whose process P can compute in the kernel, and how it does: reads of so many KiB, 1024 times, by one
    system call from the generator of random numbers."""
    manager = live.open(FORKED)
    session = manager.__enter__()
    session.do(parse("scenario room\nmap P x anon pages 512\nexpect P x 0x00\n").steps[0])

    def compute(kib: int) -> None:
        where = session._tree.ask("P", Where("x", 0, 512))
        buffers = struct.pack("QQ", where.address, kib << 10) * 1024
        request = Call(PREADV, [{"fd": 0}, {"buffer": buffers.hex()}, 1024, 0, 0])
        with open("/dev/urandom", "rb") as random:
            session._tree.ask("P", request, [random.fileno()])

    return manager, session, compute


def test_a_step_that_runs_in_the_kernel_for_ever_is_a_livelock():
    """The message says how long, and where in the kernel the task is; nothing is left of it."""
    manager, session, compute = in_kernel(LiveTarget(Deadline(processor=0.5)))
    with pytest.raises(Livelock, match=r"no end after 0\.5 s of processor time in the kernel: process \d+") as caught:
        compute(2048)
    if os.geteuid() == 0 and os.path.exists("/proc/self/stack"):
        assert "kernel stack" in str(caught.value) and "vfs_readv" in str(caught.value)
    leader = session.leader
    assert not manager.__exit__(Livelock, caught.value, None)
    assert in_session(leader) == []


def test_a_process_that_cannot_be_killed_belongs_to_the_livelock(monkeypatch):
    """What looped and is still there is told in one message, which stays a livelock."""
    manager, session, compute = in_kernel(LiveTarget(Deadline(processor=0.5)))
    end = session._tree._nursery.end

    def survives(pid: int, loops: bool) -> str:
        assert loops
        assert end(pid, loops) is None
        return "process 1, state R (running)"

    monkeypatch.setattr(session._tree._nursery, "end", survives)
    with pytest.raises(Livelock, match=r"in the kernel: .*; a process of the scenario .* cannot be killed: process 1,"):
        try:
            compute(2048)
        except Livelock as livelock:
            manager.__exit__(Livelock, livelock, None)


def test_all_steps_together_have_a_limit_of_processor_time():
    """Steps that each end in time do not go on for ever: the kernel ends the process, and the reason is said."""
    manager, _, compute = in_kernel(LiveTarget(Deadline(processor=0.1)))
    with pytest.raises(Died, match="process P used up the processor time that a scenario has"):
        for _ in range(10_000):
            compute(8)
    manager.__exit__(None, None, None)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS])
def test_a_process_that_faults_is_reported(live, number):
    """A process killed by a bad access makes its step EFAULT, with a note; asking it again is an error."""
    manager, session = opened(live)
    try:
        os.kill(member(session, "C"), number)
        outcome = session.do(Read("C", Range("x")))
        assert outcome.errno == errno.EFAULT and outcome.note == f"process C was killed by {number.name}"
        assert {v.proc for v in session.observe().pages} == {"P"}
        with pytest.raises(Broken, match=f"process C is gone: process C was killed by {number.name}"):
            session.do(Exit("C"))
    finally:
        manager.__exit__(None, None, None)


def test_a_process_that_is_killed_is_an_error(live):
    """A process that something else killed is the tool's error, not a result."""
    manager, session = opened(live)
    try:
        os.kill(member(session, "P"), signal.SIGKILL)
        with pytest.raises(Broken, match="process P was killed by SIGKILL"):
            session.do(Read("P", Range("x")))
    finally:
        manager.__exit__(None, None, None)


@pytest.mark.parametrize("step", range(4))
def test_memory_that_runs_out_is_told_as_that(step):
    """Wherever a process is killed, in a step, a look or an expectation: an error, in words, and no other verdict."""
    opened = []

    def kill(record):
        if record.index == step:
            os.kill(member(opened[0], "P"), signal.SIGKILL)

    found = run_scenario(LiveTarget(), FORKED, kill, opened.append).verdict
    if step < 3:
        assert (found.kind, found.step) == ("error", step + 1)
        assert "process P was killed by SIGKILL" in found.reason and "a cgroup allows" in found.reason
    else:
        assert found.kind in ("held", "error") and "Died" not in (found.reason or "")


def test_the_tree_dies_with_the_program():
    """When the program that runs a scenario is killed, its processes and its helper end."""
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from pinhold.scenario.parse import parse\n"
        "from pinhold.targets.live.target import LiveTarget\n"
        "scenario = parse('scenario t\\nmap P x anon\\nfork P C\\n')\n"
        "with LiveTarget().open(scenario) as session:\n"
        "    for step in scenario.steps: session.do(step)\n"
        "    pids = [m.pid for m in session._tree._members.values()]\n"
        "    with open(f'/proc/{pids[0]}/stat') as stat: helper = stat.read().split()[3]\n"
        "    print(*pids, helper, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    source = str(Path(pinhold.__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", code, source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        pids = [int(pid) for pid in program.stdout.readline().split()]
        fds = [os.pidfd_open(pid) for pid in pids]
        assert len(fds) == 3
        program.kill()
        program.wait()
        try:
            assert [wait_gone(fd) for fd in fds] == [True, True, True]
        finally:
            for fd in fds:
                os.close(fd)


def test_a_helper_that_died_is_named_and_replaced():
    """When the helper is killed, the scenario ends as an error, and the next one runs."""
    live = LiveTarget()
    manager, session = opened(live)
    stat = Path(f"/proc/{session.leader}/stat").read_text()
    helper = int(stat.rsplit(")", 1)[1].split()[1])
    fds = [os.pidfd_open(pid) for pid in (helper, session.leader)]
    os.kill(helper, signal.SIGKILL)
    assert [wait_gone(fd) for fd in fds] == [True, True]
    for fd in fds:
        os.close(fd)
    with pytest.raises(Broken, match="helper that starts processes has died"):
        manager.__exit__(None, None, None)
    assert run_scenario(live, FORKED).verdict.kind == "held"


def test_a_rehearsal_leaves_nothing():
    """The helper does once what processes do: of that no descriptor is left, and no mapping where they have theirs."""

    def left() -> tuple[set[str], list[str]]:
        with open("/proc/self/maps", encoding="ascii") as maps:
            low = [line for line in maps if ARENA <= int(line.partition("-")[0], 16) < 2 * ARENA]
        return set(os.listdir("/proc/self/fd")), low

    before = left()
    rehearse()
    assert left() == before
    assert before[1] == []
