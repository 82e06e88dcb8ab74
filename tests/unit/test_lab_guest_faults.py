"""What becomes of a run when its guest panics, hangs, sends damaged results or does not come up: by a stand-in."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinhold.lab import conversation, kvm, qemu, target
from pinhold.lab.conversation import Limit
from pinhold.lab.errors import LabError
from pinhold.lab.qemu import Setup, command
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget
from pinhold.scenario.parse import parse
from pinhold.scenario.steps import Scenario
from pinhold.targets.base import Unavailable
from pinhold.targets.live.progress import DEADLINE, Watch

FAKE = Path(__file__).with_name("fake_qemu.py")
SOURCES = Path(__file__).parents[2] / "src"


def scenario(title: str) -> Scenario:
    """One that the stand-in acts on by its title."""
    return parse(f"scenario {title}\nmap P x anon\nwrite P x 0x01\nexpect P x 0x01\n")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory of a stand-in that is found as QEMU; no process of it may outlive a test."""
    program = tmp_path / qemu.PROGRAM
    stand_in = shutil.copy(FAKE, tmp_path)
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{stand_in}' \"$@\"\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(SOURCES))
    monkeypatch.setattr(target, "build", lambda modules, settings, files: b"")
    monkeypatch.setattr(kvm, "_proved", {"kind": "tcg"})
    yield tmp_path
    assert stand_ins(tmp_path) == []


def stand_ins(directory: Path) -> list[int]:
    """The pids of the stand-ins of one test's directory: other tests may run beside it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(directory).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def vm(deadline: float = DEADLINE) -> VmTarget:
    """A target whose kernel does not matter."""
    return VmTarget("fake", Kernel("fake", Path("/dev/null"), "6.1.192", own=True), deadline=deadline)


def verdicts(*titles: str) -> list[tuple[str, str]]:
    """(kind, reason) of the scenarios of these titles, run in one go."""
    machine = vm()
    try:
        return [(r.verdict.kind, r.verdict.reason or "") for r in machine.run_all([scenario(t) for t in titles])]
    finally:
        machine.close()


@pytest.mark.usefixtures("fake")
def test_a_panic_takes_one_scenario_with_it() -> None:
    """It is `crashed` with the kernel's reason and the end of the console; those before and after have verdicts."""
    found = verdicts("first", "panic", "third")
    assert [kind for kind, _ in found] == ["held", "crashed", "held"]
    assert "BUG: unable to handle page fault | Kernel panic - not syncing: Fatal exception | R28: 0000" in found[1][1]


def memories() -> list[str]:
    """The guests' memories that this process has open or mapped."""
    links = [
        os.readlink(f"/proc/self/fd/{name}")
        for name in os.listdir("/proc/self/fd")
        if os.path.lexists(f"/proc/self/fd/{name}")
    ]
    mapped = Path("/proc/self/maps").read_text().splitlines()
    return [name for name in (*links, *mapped) if "memfd:pinhold-ram" in name]


@pytest.mark.usefixtures("fake")
def test_a_guests_memory_can_be_read_while_it_is_there_and_is_not_kept() -> None:
    """Whoever looks is called after each step with the guest, which tells where its processes and regions are; its
    memory is a file, and after its end there is none."""
    machine, seen = vm(), []
    result = machine.watch(
        scenario("first"),
        lambda guest, record: seen.append((record.index, guest.places, os.fstat(guest.ram).st_size, len(memories()))),
    )
    assert result.verdict.kind == "held"
    assert seen == [(0, {"P": [4711, {"x": 0x10000}]}, (target.MEMORY + 2 * target.HUGE_PAGES) << 20, 1)]
    machine.close()
    assert memories() == []


@pytest.mark.usefixtures("fake")
def test_the_steps_before_a_panic_are_kept() -> None:
    """What the guest had sent of the scenario is in its result; the step that it did not end is the verdict's."""
    machine = vm()
    try:
        (result,) = machine.run_all([scenario("panic")])
    finally:
        machine.close()
    assert [record.index for record in result.steps] == [0]
    assert result.verdict.step == 1


@pytest.mark.usefixtures("fake")
def test_a_guest_that_falls_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that wants no processor any more is `crashed`, and the rest goes on in a fresh boot."""
    monkeypatch.setattr(conversation, "SILENT", Limit(60.0, 3.0))
    found = verdicts("hang", "second")
    assert [kind for kind, _ in found] == ["crashed", "held"]
    assert "said nothing for 3 s, in which it wanted no processor" in found[0][1]


@pytest.mark.usefixtures("fake")
def test_a_kernel_that_lets_nothing_else_run_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word, and with the processor: a livelock, with the stack that an interrupt shows; the rest goes on."""
    monkeypatch.setattr(conversation, "SILENT", Limit(1.0, 60.0))
    machine = vm(deadline=0.5)
    try:
        first, second = machine.run_all([scenario("spin"), scenario("second")])
    finally:
        machine.close()
    assert first.verdict.kind == "livelock"
    assert first.verdict.reason == (
        "the guest said nothing in 1 s of processor time: kernel stack hugetlb_wp < hugetlb_fault < handle_mm_fault"
    )
    assert (first.verdict.step, second.verdict.kind) == (1, "held")


@pytest.mark.usefixtures("fake")
def test_a_step_that_loops_in_a_kernel_whose_agent_still_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a livelock, too: the interrupt finds the kernel at work, however often the agent is heard."""
    monkeypatch.setattr(conversation, "SILENT", Limit(1.5, 60.0))
    monkeypatch.setattr(conversation, "STEPS", 2)
    machine = vm(deadline=0.5)
    try:
        (looping,) = machine.run_all([scenario("beat")])
    finally:
        machine.close()
    assert (looping.verdict.kind, looping.verdict.step) == ("livelock", 1)
    assert "did not end a step in 3 s of processor time: kernel stack hugetlb_wp <" in (looping.verdict.reason or "")


@pytest.mark.usefixtures("fake")
def test_after_a_livelock_the_guest_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What loops in it may loop on: eight such scenarios cost eight boots, and nobody waits for their ends."""
    boots = []
    real = conversation.Qemu

    def booting(setup: Setup) -> qemu.Qemu:
        boots.append(setup)
        return real(setup)

    monkeypatch.setattr(conversation, "Qemu", booting)
    assert [kind for kind, _ in verdicts("first", "livelock", "livelock", "fourth", "fifth")] == [
        *("held", "livelock", "livelock", "held", "held")
    ]
    assert len(boots) == 3


@pytest.mark.usefixtures("fake")
def test_a_guest_that_is_kept_waiting_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as QEMU could run and does not get the processor, silence is nobody's fault, whatever the limit."""
    monkeypatch.setattr(conversation, "SILENT", Limit(20.0, 0.5))
    assert [kind for kind, _ in verdicts("slow", "second")] == ["crashed", "held"]
    monkeypatch.setattr(Watch, "_read", lambda watch: (0.0, 0.0, True))
    assert verdicts("slow", "second") == [("held", ""), ("held", "")]


@pytest.mark.usefixtures("fake")
def test_text_in_the_place_of_a_frame_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent's last words, to their end, in a scenario and at boot; that is the tool's error."""
    found = verdicts("traceback", "second")
    assert [kind for kind, _ in found] == ["error", "held"]
    said = 'the guest said, where a result belongs: Traceback (most recent call last): | File "agent.py" | MemoryError'
    assert found[0][1] == said
    monkeypatch.setenv("FAKE_BOOT", "traceback")
    with pytest.raises(Unavailable, match=re.escape(said)):
        vm().info()


@pytest.mark.usefixtures("fake")
def test_a_qemu_that_is_killed_is_no_crash_of_the_kernel() -> None:
    """The out-of-memory killer of this machine, for one: an error of the tool, and the rest goes on."""
    found = verdicts("killed", "second")
    assert [kind for kind, _ in found] == ["error", "held"]
    assert "killed by SIGKILL" in found[0][1]


@pytest.mark.usefixtures("fake")
def test_damaged_results_are_errors_and_never_verdicts() -> None:
    """A wrong checksum, and a verdict that is none: both are the tool's error, and both cost one scenario."""
    found = verdicts("corrupt", "second", "nonsense", "fourth")
    assert [kind for kind, _ in found] == ["error", "held", "error", "held"]
    assert "wrong checksum" in found[0][1]
    assert "perhaps" in found[2][1]


@pytest.mark.usefixtures("fake")
def test_guests_side_by_side_give_results_in_order() -> None:
    """Three guests share a run; one of them panics, which costs one scenario; all are closed at the end."""
    titles = [f"number {n}" for n in range(40)]
    titles[5] = "panic"
    machine = vm()
    machine.share(3)
    assert machine.info().rules == "6.1.192"
    results = list(machine.run_all([scenario(title) for title in titles]))
    assert [r.scenario.title for r in results] == titles
    assert [r.verdict.kind for r in results] == ["crashed" if title == "panic" else "held" for title in titles]


@pytest.mark.usefixtures("fake")
def test_a_run_that_is_left_early_ends_its_guests() -> None:
    """Who stops reading results, as Ctrl-C does, leaves no guest and no thread behind, whatever the guests do."""
    machine = vm()
    machine.share(3)
    results = machine.run_all([scenario("first" if n == 0 else "hang") for n in range(40)])
    assert next(iter(results)).verdict.kind == "held"
    results.close()  # type: ignore[attr-defined]
    assert [thread for thread in threading.enumerate() if "ThreadPool" in thread.name] == []


@pytest.mark.usefixtures("fake")
def test_a_kernel_that_does_not_come_up_is_tried_twice_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """All scenarios are `crashed`, with the console; the target itself is not available."""
    monkeypatch.setenv("FAKE_BOOT", "panic")
    found = verdicts("a", "b", "c", "d")
    assert {kind for kind, _ in found} == {"crashed"}
    assert all("No working init" in reason for _, reason in found)
    with pytest.raises(Unavailable, match="No working init"):
        vm().info()


@pytest.mark.usefixtures("fake")
def test_a_kernel_that_never_speaks_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The boot has a deadline."""
    monkeypatch.setenv("FAKE_BOOT", "silent")
    monkeypatch.setattr(conversation, "BOOT", Limit(60.0, 1.0))
    with pytest.raises(Unavailable, match="did not come up for 1 s"):
        vm().info()


@pytest.mark.usefixtures("fake")
def test_an_image_that_cannot_unpack_itself_is_given_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so and goes on for ever: nobody waits for the deadline, and its own words are told."""
    monkeypatch.setenv("FAKE_BOOT", "halted")
    with pytest.raises(Unavailable, match=r"did not come up; the end of its console: .*Decoding failed"):
        vm().info()


def test_without_qemu_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No guest, no traceback: the target is not available, and scenarios are skipped with the reason."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(target, "build", lambda modules, settings, files: b"")
    with pytest.raises(Unavailable, match="qemu-system-x86_64, which is not here: apt-get install"):
        vm().info()
    (result,) = vm().run_all([scenario("a")])
    assert result.verdict.kind == "skipped"
    assert qemu.PROGRAM in (result.verdict.reason or "")


def test_qemu_does_not_look_at_the_current_directory(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes firmware from there before its own; a kernel that is named relative to it is found all the same."""
    where = tmp_path / "where"
    stand_in = fake / qemu.PROGRAM
    stand_in.write_text(stand_in.read_text().replace("exec ", f'pwd > {where}; echo "$*" >> {where}\nexec '))
    monkeypatch.chdir(tmp_path)
    guest = qemu.Qemu(Setup(Path("bzImage"), b""))
    while not where.exists() or where.read_text().count("\n") < 2:
        time.sleep(0.05)
    guest.close()
    directory, line = where.read_text().splitlines()
    assert directory == "/"
    assert f"-kernel {tmp_path}/bzImage " in line


def test_an_unknown_kernel_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A release that was not fetched, and a path that is not there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(LabError, match=r"pinhold kernels fetch 6\.1"):
        VmTarget("6.1")
    with pytest.raises(LabError, match="No such file"):
        VmTarget("./bzImage")


RUN = """
import sys
from pathlib import Path
from pinhold.lab import target
from pinhold.lab.store import Kernel
from pinhold.scenario.parse import parse
target.build = lambda modules, settings, files: b""
vm = target.VmTarget("fake", Kernel("fake", Path("/dev/null"), own=True))
print("up", vm.info().rules, flush=True)
list(vm.run_all([parse("scenario hang\\nmap P x anon\\nexpect P x 0x00\\n")]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_guest_outlives_its_program(fake: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGKILL in the middle of a scenario: the guest is gone a moment later."""
    with subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"up 6.1.192\n"
        program.send_signal(number)
        program.wait(60)
    deadline = time.monotonic() + 60
    while stand_ins(fake) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert stand_ins(fake) == []


def test_the_command_line_of_qemu() -> None:
    """What is booted, how results come back, which devices there are; kernel parameters have values, all but one."""
    setup = Setup(Path("bzImage"), b"", memory=700, swap=256, huge=16, gigantic=4, edu=2)
    line = command(setup, "memory", "initramfs", 7, {"swap": "disk", "files": "other"})
    assert {"memory-backend=ram", "mem-merge=off"} <= set(line[line.index("-machine") + 1].split(","))
    backend = line[line.index("-object") + 1].split(",")
    assert {"id=ram", "size=700M", "mem-path=memory", "share=on", "merge=off"} <= set(backend)
    assert line[0] == qemu.PROGRAM
    assert "socket,id=port,fd=7" in line
    assert line[line.index("-serial", line.index("-serial") + 1) + 1] == "chardev:port"
    assert line[line.index("-m") + 1] == "700M"
    assert line[line.index("-accel") + 1] == "tcg,thread=multi"
    assert {"virtio-blk-pci,drive=swap,serial=swap", "virtio-blk-pci,drive=files,serial=files"} <= set(line)
    assert line.count("edu") == 2
    append = line[line.index("-append") + 1].split()
    assert "hugepagesz=1G" in append
    assert append[append.index("hugepagesz=1G") + 1] == "hugepages=4"
    assert [word for word in append if "=" not in word] == ["quiet"]


def test_time_by_instructions_needs_one_thread() -> None:
    """With icount QEMU runs one thread; without a disk there is no drive; KVM takes the host's processor."""
    line = command(Setup(Path("k"), b"", icount=True), "m", "i", 3, {})
    assert line[line.index("-accel") + 1] == "tcg"
    assert "-icount" in line
    assert "-drive" not in line
    line = command(Setup(Path("k"), b"", icount=True, accelerator="kvm"), "m", "i", 3, {})
    assert line[line.index("-cpu") + 1] == "host"
    assert "-icount" not in line


def test_kvm_is_used_only_where_a_guest_came_up_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider and a device are worth a trial; a trial that fails means TCG, and is not repeated."""
    trials: list[str] = []

    def fails(kind: str) -> None:
        trials.append(kind)
        raise conversation.GuestLost("crashed", "the guest did not come up")

    for promising, trial, expected in ((False, fails, "tcg"), (True, fails, "tcg"), (True, trials.append, "kvm")):
        monkeypatch.setattr(kvm, "_proved", {})
        monkeypatch.setattr(kvm, "promising", lambda promising=promising: promising)
        assert kvm.accelerator(trial) == kvm.accelerator(trial) == expected
    assert trials == ["kvm", "kvm"]
