"""A system call that fails, anywhere in the live target, ends in a verdict with a reason, and leaves nothing behind."""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pinhold.scenario.parse import parse
from pinhold.targets.live import syscalls
from pinhold.targets.live.nursery import Nursery
from pinhold.targets.live.protocol import Fork
from pinhold.targets.live.target import LiveTarget
from pinhold.targets.live.tree import Tree
from pinhold.targets.runner import run_scenario

SCENARIO = parse(
    """scenario every call
map P x anon pages 4
map P h thp
map P m memfd
map P f file
write P x 0x01
write P h[0] 0x01
read P m
write P f 0x02
madvise P x[0] nohugepage
mprotect P x[1] read
mremap P x[2:] to y
drain
vmsplice P x[0] as p
fork P C
write C x[0] 0xff
expect p 0x01
unpin p
unmap C m
exit C
expect P x[0] 0x01
"""
)

HELPER = """
import ctypes, os, sys
sys.path.insert(0, sys.argv[1])
from pinhold.targets.live import helper, process, syscalls
process.rehearse = helper.DIRECT_IO.ready = lambda: None  # the calls that fail are those of the scenario's processes
name, number, left = {name!r}, {number}, {nth}

def fails():
    global left
    left -= 1
    return left == 0

real = syscalls._function
def function(called, *types):
    call = real(called, *types)
    def perhaps(*arguments):
        if called == name and fails():
            ctypes.set_errno(number)
            return -1
        return call(*arguments)
    return perhaps

if name.startswith("os."):
    whole = getattr(os, name[3:])
    def perhaps(*arguments, **named):
        if fails():
            raise OSError(number, os.strerror(number))
        return whole(*arguments, **named)
    setattr(os, name[3:], perhaps)
syscalls._function = function
helper.main(int(sys.argv[2]))
"""

DIED = ("error", "ended by itself")
HELPER_FAILED = ("error", "the helper that starts processes")
HOLDS = ("held", "")

IN_PROCESSES = {
    "mmap": (DIED, ("skipped", "map P h thp: ")),
    "munmap": (("skipped", "unmap C m: "), HOLDS),
    "mprotect": (("skipped", "mprotect P x[1] read: "), HOLDS),
    "madvise": (("skipped", "map P x anon pages 4: "), ("skipped", "madvise P x[0] nohugepage: ")),
    "mremap": (("skipped", "mremap P x[2:] to y: "), HOLDS),
    "vmsplice": (("skipped", "vmsplice P x[0] as p: "), HOLDS),
    "prctl": (HELPER_FAILED, DIED),
    "os.fork": (HELPER_FAILED, HOLDS),
    "os.open": (HOLDS, DIED),
    "os.pipe": (("skipped", "vmsplice P x[0] as p: "), HOLDS),
    "os.write": (HOLDS, HOLDS),
    "os.close": (HOLDS, DIED),
    "os.setsid": (DIED, HOLDS),
    "os.sched_setaffinity": (HELPER_FAILED, HOLDS),
    "os.waitpid": (HELPER_FAILED, HELPER_FAILED),
}
"""Call -> what its failing at the first use comes to, and at the third: a set-up that fails is skipped, where a step
met it, or an error, where the tool did, and the reason names which; `held`: it was not used so often, or can be spared.
"""

IN_CONTROLLER = {
    "mmap": "unknown",
    "munmap": "unknown",
    "tee": "unknown",
    "os.memfd_create": "skipped",
    "os.posix_fallocate": "skipped",
    "os.open": "skipped",
    "os.dup": "held",
    "os.pipe": "unknown",
}
"""Call -> the verdict where it fails at every use: what is needed to look through a pin makes what it sees unknown."""
ERRNOS = (errno.ENOMEM, errno.EPERM)


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Afterwards no process, descriptor or file of the test is left."""
    mark = f"PINHOLD_TEST_MARK={uuid.uuid4().hex}"
    monkeypatch.setenv(*mark.split("="))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gc.collect()  # what earlier tests let go of
    fds = set(os.listdir("/proc/self/fd"))
    yield
    monkeypatch.undo()
    gc.collect()
    deadline = time.monotonic() + 60
    while (alive := processes(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive == []
    assert set(os.listdir("/proc/self/fd")) - fds == set()
    assert list(tmp_path.iterdir()) == []


def processes(mark: str) -> list[str]:
    """The processes that were started with that environment, zombies included where they show it."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if environ.parent.name != str(os.getpid()) and mark.encode() in environ.read_bytes():
                found.append(environ.parent.name)
        except OSError:
            continue
    return found


def verdict_of(target: LiveTarget) -> tuple[str, str]:
    """Kind and reason; the run itself must not raise."""
    verdict = run_scenario(target, SCENARIO).verdict
    return verdict.kind, verdict.reason or ""


@pytest.mark.usefixtures("live", "marked", "thp")
def test_nothing_fails_without_injection() -> None:
    """The scenario holds, so that what the other tests see is the failing call."""
    target = LiveTarget(nursery=Nursery(HELPER.format(name="", number=0, nth=1)))
    assert verdict_of(target) == ("held", "")


@pytest.mark.usefixtures("live", "marked", "thp")
@pytest.mark.parametrize(
    ("number", "nth"),
    [(errno.ENOMEM, 1), (errno.EPERM, 1), (errno.ENOMEM, 3)],
    ids=["ENOMEM, first", "EPERM, first", "ENOMEM, third"],
)
@pytest.mark.parametrize("name", IN_PROCESSES)
def test_a_call_that_fails_in_a_process(name: str, nth: int, number: int) -> None:
    """Each call of the helper and of the scenario's processes, failing at its first or third use."""
    target = LiveTarget(nursery=Nursery(HELPER.format(name=name, number=number, nth=nth)))
    kind, reason = verdict_of(target)
    expected, words = IN_PROCESSES[name][nth == 3]
    assert kind == expected
    assert words in reason
    if kind == "skipped":
        assert reason.startswith(words) and reason.endswith(f" ({errno.errorcode[number]})")
    assert kind != "held" or reason == ""


@pytest.mark.usefixtures("live", "marked", "thp")
@pytest.mark.parametrize(
    ("name", "nth", "reason"),
    [("prctl", 3, "process C ended by itself"), ("os.open", 6, "process P failed to look: Cannot allocate memory")],
)
def test_who_failed_is_said(name: str, nth: int, reason: str) -> None:
    """A child that fails before it has its own channel does not answer for its parent; nor is a look mistaken."""
    helper = HELPER.format(name=name, number=errno.ENOMEM, nth=nth)
    assert verdict_of(LiveTarget(nursery=Nursery(helper))) == ("error", reason)


@pytest.mark.usefixtures("live", "marked", "thp")
@pytest.mark.parametrize("number", ERRNOS, ids=errno.errorcode.get)
@pytest.mark.parametrize("name", IN_CONTROLLER)
def test_a_call_that_fails_in_the_controller(name: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call of the program itself, failing at every use while the scenario runs."""
    target = LiveTarget()
    target.info()
    with target.open(SCENARIO):
        pass  # what is looked up once is looked up now
    with monkeypatch.context() as patch:
        if name.startswith("os."):

            def refuse(*arguments: object, **named: object) -> int:
                raise OSError(number, os.strerror(number))

            patch.setattr(name, refuse)
        else:
            real = syscalls._function

            def function(called: str, *types: object) -> object:
                def failing(*arguments: object) -> int:
                    ctypes.set_errno(number)
                    return -1

                return failing if called == name else real(called, *types)

            patch.setattr(syscalls, "_function", function)
        kind, reason = verdict_of(target)
    assert kind == IN_CONTROLLER[name]
    if kind == "skipped":
        assert reason.startswith(("map P m memfd: ", "map P f file: "))
        assert reason.endswith(f" ({errno.errorcode[number]})")
    elif kind == "unknown":
        assert reason == f"vmsplice cannot read back what it holds here: {os.strerror(number)}"
    elif kind == "error":
        assert f"[Errno {number}] {os.strerror(number)}" in reason


def test_a_child_that_could_not_be_forked_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a pinned huge page cannot be copied: what the child was to do is left out, and the rest is done."""
    ask = Tree.ask

    def refusing(tree: Tree, name: str, message: Any, *rest: Any) -> Any:
        if isinstance(message, Fork):
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        return ask(tree, name, message, *rest)

    monkeypatch.setattr(Tree, "ask", refusing)
    ran = run_scenario(
        LiveTarget(), parse("scenario x\nobserve\nmap P x anon\nfork P C\nexit C\nwrite P x 0x01\nexpect P x 0x01\n")
    )
    outcomes = [record.outcome for record in ran.steps if record.outcome]
    assert [outcome.errno for outcome in outcomes[:2]] == [0, errno.ENOMEM]
    assert outcomes[2].note == "there is no C: the step that forks it failed"
    assert ran.verdict.kind != "error"
    assert ran.steps[3].observation is not None
