"""The mechanisms that take pages, on this kernel: each gives what it says."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pinhold.scenario.observation import Run
from pinhold.scenario.parse import parse
from pinhold.scenario.suites import suite
from pinhold.targets.base import CannotDo
from pinhold.targets.live import pagemap, syscalls
from pinhold.targets.live.pins import HOLDERS, IoUring
from pinhold.targets.live.pins.external import External
from pinhold.targets.live.target import LiveTarget
from pinhold.targets.runner import run_scenario

EXAMPLES = Path(__file__).parents[2] / "examples" / "exec"
MEMORY = "map P x anon pages 4\nwrite P x 0x01\n"
PINNED = 16384
"""Far more pages than other programs are likely to pin and release meanwhile."""
SHARED = MEMORY + "fork P C\nread C x\n"


@pytest.fixture
def io_uring(live) -> None:
    """Skips where there is none, or where this user's programs have locked all the memory that they may."""
    result = run_scenario(
        live, parse(f"scenario t\n{MEMORY}fork P C\nio_uring P x as p\nio_uring C x as q\nexpect P x 1")
    )
    if result.verdict.kind == "skipped":
        pytest.skip(result.verdict.reason)


@pytest.fixture
def direct_io(live) -> None:
    """Skips where no directory does direct I/O."""
    reason = live.info().mechanisms["direct_io"]
    if reason != "available":
        pytest.skip(reason)


def verdict(live: LiveTarget, lines: str) -> str:
    result = run_scenario(live, parse(f"scenario test\n{lines}"))
    return f"{result.verdict.kind}: {result.verdict.reason}" if result.verdict.reason else result.verdict.kind


def test_io_uring_holds_reads_and_writes(play, io_uring) -> None:
    """What the process writes is read through the pin, what is written through the pin the process reads."""
    session = play(MEMORY + "io_uring P x as p\nwrite P x[2] 0x07\ndevice read p")
    assert session.pin_contents("p") == [Run(0, 2, 1), Run(2, 1, 7), Run(3, 1, 1)]
    session = play(MEMORY + "io_uring P x as p\ndevice write p 0x09")
    assert session.contents("P", parse("scenario t\nmap P x anon pages 4\nread P x").steps[1].range) == [Run(0, 4, 9)]


def test_io_uring_pins_are_counted_and_given_back(play, io_uring) -> None:
    """Each page is a FOLL_PIN pin, and when unpin returns they are released, whatever others pin and release."""
    if pagemap.pin_counters() is None:
        pytest.skip("needs nr_foll_pin_* made exact by stat_refresh: only root may")
    memory = f"map P x anon pages {PINNED}\nwrite P x 0x01\n"
    for _ in range(3):
        session = play(memory)
        before = session.pin_counters()
        play_on(session, memory + "io_uring P x as p\nunpin p", 2)
        moves = [now - then for now, then in zip(session.pin_counters(), before, strict=True)]
        assert min(moves) >= PINNED, moves


def play_on(session, lines: str, start: int) -> None:
    """Do the steps of a scenario from number `start` on."""
    for step in parse(f"scenario t\n{lines}").steps[start:]:
        session.do(step)


def test_an_io_uring_pin_survives_fork_mprotect_and_exit(live, io_uring) -> None:
    """A child never gets the pinned page; the pin ends with the process that took it."""
    lines = (
        SHARED + "io_uring P x as p\nfork P D\nmprotect P x read\nmprotect P x rw\nwrite P x 0x05\nexpect p sees P x\n"
    )
    assert verdict(live, lines + "expect p 0x05\nexpect C x 0x01\n") == "held"
    lines = SHARED + "io_uring C x as q\nexit C\nfork P D\nread D x\nexpect D x 0x01\n"
    assert verdict(live, lines) == "held"


def test_a_pin_step_is_done_by_io_uring_where_it_is_that_very_pin(live, io_uring) -> None:
    """Writable, long-term, accounted as io_uring, and by GUP-fast exactly where this kernel's io_uring does that."""
    if live.info().mechanisms["pinprobe"] == "available" or live.info().mechanisms["gup_test"] == "available":
        pytest.skip("needs a kernel whose only writable pin is io_uring's: this one has another")
    fast = True in HOLDERS["io_uring"].gives.fast
    right, wrong = (" fast", "") if fast else ("", " fast")
    pin = "pin P x as p write longterm{} user io_uring\nwrite P x 0x02\nexpect p 0x02\n"
    assert verdict(live, MEMORY + pin.format(right)) == "held"
    refused = verdict(live, MEMORY + pin.format(wrong))
    assert refused.startswith("skipped: needs a writable long-term") and "io_uring gives writable long-term" in refused


def test_a_memlock_limit_is_a_sentence(live, io_uring) -> None:
    """Without CAP_IPC_LOCK a limit of two pages lets nobody pin four; expected, it is ENOMEM."""
    lines = MEMORY + "capability P ipc_lock off\nmemlock P 2\nio_uring P x as p\n"
    if os.geteuid() != 0:
        lines = lines.replace("capability P ipc_lock off\n", "")
    assert verdict(live, lines + "expect errno ENOMEM\n") == "held"
    said = verdict(live, lines + "expect p 0x01\n")
    assert said == (
        "skipped: io_uring P x as p: needs a higher RLIMIT_MEMLOCK than the 8 kB of P, or CAP_IPC_LOCK, to pin this "
        "much (ENOMEM)"
    )


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_without_io_uring_all_else_runs(monkeypatch, number: int) -> None:
    """Where io_uring_setup() fails, its tests are skipped with the reason and the others are decided."""

    def refuse(call: int, *arguments: int) -> int:
        raise OSError(number, os.strerror(number))

    absent = IoUring(refuse)
    monkeypatch.setitem(HOLDERS, "io_uring", absent)
    live = LiveTarget()
    tests = [t for t in suite("stock").tests if t.scenario.title.endswith("with base page")]
    results = {t.scenario.title: run_scenario(live, t.scenario) for t in tests}
    assert len(results) == 20
    for title, result in results.items():
        if "iouring" in title:
            assert result.verdict.kind == "skipped" and result.verdict.reason.endswith(absent.unavailable())
        else:
            assert result.verdict.kind in ("held", "unknown") or "direct I/O" in result.verdict.reason, title


@pytest.mark.parametrize("proc", ["P", "C"])
def test_a_short_read_only_pin_unshares(live, frames_visible, proc: str) -> None:
    """process_vm_readv() of a shared anonymous page gives the caller its own page (since 5.19), before it copies."""
    if tuple(map(int, os.uname().release.split(".")[:2])) < (5, 19):
        pytest.skip("needs a kernel of 5.19 or later: this one pins shared pages as they are")
    lines = SHARED + f"process_vm_readv {proc} x as s\nexpect P x different C x\nwrite P x 0x02\nexpect s 0x01\n"
    assert verdict(live, lines + "expect C x 0x01\n") == "held"


@pytest.mark.parametrize("line", ["process_vm_readv P x as s", "direct write P x as s"])
def test_a_copy_is_of_its_moment(live, direct_io, line: str) -> None:
    """It has what the memory had, page by page, and keeps it."""
    lines = MEMORY + f"write P x[1] 0x02\n{line}\nexpect s sees P x\nwrite P x 0x03\nexpect P x 0x03\n"
    assert verdict(live, lines + "device read s\nunpin s\n") == "held"
    assert verdict(live, MEMORY + f"{line}\nwrite P x 0x03\nexpect s 0x01\n") == "held"


@pytest.mark.parametrize("line", ["process_vm_writev C x 0x22", "direct read C x 0x22"])
def test_filling_breaks_cow(live, direct_io, line: str) -> None:
    """Memory that the kernel fills is the process's own; the other keeps its content."""
    assert verdict(live, SHARED + f"{line}\nexpect C x 0x22\nexpect P x 0x01\n") == "held"


@pytest.mark.parametrize("line", ["process_vm_writev P x 0x22", "direct read P x 0x22"])
def test_filling_up_to_a_hole(live, direct_io, line: str) -> None:
    """EFAULT at the page that is not mapped; those before it are filled, as on the model."""
    lines = MEMORY + f"unmap P x[2]\n{line}\nexpect errno EFAULT\nexpect P x[:2] 0x22\nexpect P x[3] 0x01\n"
    assert verdict(live, lines) == "held"


@pytest.mark.parametrize("via", ["", " via proc_mem", " via ptrace"])
def test_a_forced_write(live, via: str) -> None:
    """Private memory that the process may not write is written, for it alone; a shared mapping is refused with EIO."""
    lines = SHARED + f"mprotect P x read\npoke P x[:2] 0x22{via}\nexpect P x[:2] 0x22\nexpect C x 0x01\n"
    assert_held_or_refused(verdict(live, lines))
    lines = f"map P x memfd shared read\nread P x\npoke P x 0x22{via}\nexpect errno EIO\nexpect P x 0x00\n"
    assert_held_or_refused(verdict(live, lines))


def assert_held_or_refused(said: str) -> None:
    assert said == "held" or "forces no writes" in said or "ptrace is not allowed" in said, said


def test_a_named_mechanism_that_lets_go_answers_no_pin(play) -> None:
    """A pin is held: process_vm cannot stand in for one, also when it is named."""
    with pytest.raises(CannotDo, match="needs a read-only short-term but held pin: process_vm gives short pins that"):
        play(MEMORY + "pin P x as p via process_vm")


def compiled(tmp_path: Path, name: str) -> str:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler: there is none")
    program = tmp_path / name
    source = EXAMPLES / f"{name}.c"
    subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", "-O1", "-o", program, source], check=True, timeout=60)
    return str(program)


def test_the_example_program_pins(tmp_path) -> None:
    """The example, compiled, gives the vmsplice cases the verdicts that the built-in mechanism gives."""
    program = External(compiled(tmp_path, "pipe"))
    ours, plain = LiveTarget(external=[program]), LiveTarget()
    tests = [t for t in suite("stock").tests if t.scenario.title.startswith("vmsplice()")][:44:11]
    assert len(tests) == 4
    for test in tests:
        result = run_scenario(ours, test.scenario)
        assert result.mechanisms == {"p": program.name}
        assert result.verdict.kind == run_scenario(plain, test.scenario).verdict.kind == "held"


def test_the_driver_example_says_what_it_lacks(tmp_path) -> None:
    """The pattern for a driver, on gup_test: a verdict where the kernel has that driver, its own sentence elsewhere."""
    program = External(compiled(tmp_path, "gup_test"))
    live = LiveTarget(external=[program])
    result = run_scenario(live, suite("seed").test(97).scenario)
    assert live.info().mechanisms[program.name] == "available"
    if syscalls.file_system("/sys/kernel/debug/gup_test") is not None and os.geteuid() == 0:
        assert (result.verdict.kind, result.mechanisms) == ("held", {"p": program.name})
    else:
        assert result.verdict.reason == f"{program.name} cannot open /sys/kernel/debug/gup_test"
