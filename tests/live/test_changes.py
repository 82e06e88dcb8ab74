"""The one kernel that is here: its settings really change and really come back.

Runs only where PINHOLD_TEST_CHANGES=1 says that this machine may be changed, and as root.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from pinhold.system.changed import changed
from pinhold.system.changes import RESTORED, Swap
from pinhold.system.host import Busy, Host
from pinhold.system.needs import Needs
from pinhold.system.plan import free_hugepages
from pinhold.targets.live.kernel import RunningKernel

SOURCE = Path(__file__).parents[2] / "src"
COMMAND = (sys.executable, "-m", "pinhold")
POOL = "sys/kernel/mm/hugepages/hugepages-2048kB"
ALLOW = ("--allow-change", "hugepages,swap")
STATE = Path("/var/lib/pinhold")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or os.environ.get("PINHOLD_TEST_CHANGES") != "1",
    reason="needs root, and PINHOLD_TEST_CHANGES=1: it changes this machine's huge page pool and swap for a moment",
)


def settings() -> dict[str, object]:
    """What must be as before."""
    host = Host()
    names = (f"{POOL}/nr_hugepages", f"{POOL}/nr_overcommit_hugepages", "sys/kernel/mm/transparent_hugepage/enabled")
    return {"swaps": areas(host), **{name: host.value(name) for name in names if host.has(name)}}


def state() -> list[str]:
    """What is in the state directory, besides the lock."""
    return [name for name in os.listdir(STATE) if name != "lock"] if STATE.exists() else []


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Every test leaves the machine as it was, and waits a little for another pinhold that is changing it."""
    for _ in range(40):
        try:
            os.close(Host().lock())
            break
        except Busy as busy:
            reason = str(busy)
            time.sleep(0.5)
    else:
        pytest.skip(reason)
    before = settings()
    yield
    deadline = time.monotonic() + 20
    while (settings(), state()) != (before, []) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (settings(), state()) == (before, [])


@pytest.fixture
def no_huge_pages() -> None:
    """Skips where the kernel has some to give already: nothing would be changed."""
    pool = RunningKernel().hugepages("2M")
    if pool is None or pool.to_be_had:
        pytest.skip("needs a machine whose pool of 2 MiB pages has none to give: this one has some, or no pool")


def areas(host: Host) -> set[str]:
    """The swap areas of pinhold's own making: other people's come and go."""
    return {
        area for area in host.swaps() if "pinhold-swap-" in area or "pinhold-swap-" in (host.backing_file(area) or "")
    }


def need(enough: bool, what: str, told: list[str]) -> None:
    """Skips where the machine did not give what a test changes; `told` says why."""
    if not enough:
        pytest.skip(f"needs {what}: {'; '.join(told) or 'it did not come'}")


def line_with(stream: IO[str], words: str) -> str:
    """Read up to the first line that has these words; what else a run says before it depends on the machine."""
    before = []
    for line in stream:
        if words in line:
            return line
        before.append(line)
    raise AssertionError(f"{words!r} was never said; what was: {before}")


def pinhold(*arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        [*prefix, *COMMAND, *arguments],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.usefixtures("no_swap")
def test_pool_and_swap_change_and_come_back() -> None:
    """Within the block there are two more huge pages and a swap area; afterwards neither."""
    host = Host()
    before = free_hugepages(host, "2M")
    told: list[str] = []
    with changed(host, Needs({"2M": before + 2}, 4 << 20), ["hugepages", "swap"], told.append):
        need(free_hugepages(host, "2M") == before + 2, "two more huge pages of 2 MiB", told)
        assert len(areas(host)) == 1, told
        assert "journal" in state()


def test_swap_through_a_loop_device(tmp_path: Path) -> None:
    """For file systems that take no swap file: the device is found again by its file, and goes with the swap."""
    if not os.path.exists("/dev/loop-control"):
        pytest.skip("needs loop devices: this kernel has none")
    swap = Swap(str(tmp_path / "swap"), 1 << 20, loop=True)
    before = set(Host().swaps())
    swap.make(Host())
    assert swap.path in [Host().backing_file(area) for area in set(Host().swaps()) - before]
    assert swap.undo(Host(), None).how == RESTORED
    assert not os.path.exists(swap.path)
    deadline = time.monotonic() + 20  # whoever looks at a new device, as udev does, keeps it for a moment
    while devices_of(swap) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert devices_of(swap) == []


def devices_of(swap: Swap) -> list[str]:
    """The loop devices of its file, which the kernel calls deleted by now."""
    return [name for name in os.listdir("/sys/block") if (Host().backing_file(name) or "").startswith(swap.path)]


def test_a_conflict_on_this_machine_is_reported() -> None:
    """A pool that somebody changes meanwhile keeps that value, and a sentence says so."""
    host = Host()
    old, free = host.number(f"{POOL}/nr_hugepages"), free_hugepages(host, "2M")
    told: list[str] = []
    try:
        with changed(host, Needs({"2M": free + 2}), ["hugepages"], told.append):
            need(host.number(f"{POOL}/nr_hugepages") == old + 2, "two more huge pages of 2 MiB", told)
            host.write(f"{POOL}/nr_hugepages", str(old + 3))
            need(host.number(f"{POOL}/nr_hugepages") == old + 3, "a third huge page of 2 MiB", [])
        assert host.number(f"{POOL}/nr_hugepages") == old + 3
    finally:
        host.write(f"{POOL}/nr_hugepages", str(old))
    assert f"is {old + 3}: pinhold had set it to {old + 2}, somebody has changed it since" in told[-1]


@pytest.mark.usefixtures("no_swap")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_run_that_is_killed_is_put_back_by_its_guardian(number: int) -> None:
    """Whatever ends `pinhold run`, pool and swap come back, and no process of it stays."""
    before = settings()
    with subprocess.Popen(
        [*COMMAND, "run", "seed", "--on", "live", *ALLOW],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stderr is not None
        assert "pinhold-swap-" in line_with(run.stderr, "changed until the end of this run")
        assert settings() != before
        time.sleep(0.5)
        run.send_signal(number)
        # The guardian has the other end too: the pipe ends when it has.
        run.stderr.read()
    assert settings() == before
    assert run.returncode in (-number, 128 + number)


@pytest.mark.usefixtures("no_swap")
def test_two_runs_at_once() -> None:
    """The second says whose changes are in the way, and ends with status 4."""
    with changed(Host(), Needs(swap=1 << 20), ["swap"], lambda sentence: None):
        second = pinhold("run", "seed/2", "--on", "live", *ALLOW)
        assert second.returncode == 4
        assert "another pinhold (process" in second.stderr and second.stderr.count("\n") == 1
        restore = pinhold("restore")
        assert restore.returncode == 4 and "it puts everything back itself" in restore.stderr


def test_restore_says_that_there_is_nothing() -> None:
    """`pinhold restore` on a machine as it should be."""
    done = pinhold("restore")
    assert (done.returncode, done.stdout) == (0, "There is nothing to put back.\n")


def in_namespace(script: str) -> tuple[str, ...]:
    """A prefix that runs a command behind `script` in a mount namespace of its own."""
    return works("a mount namespace of its own", "unshare", "-m", "sh", "-c", f'{script} && exec "$@"', "sh")


def works(what: str, *prefix: str) -> tuple[str, ...]:
    """The prefix; skips where it cannot run a command."""
    try:
        done = subprocess.run([*prefix, "true"], check=False, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip(f"needs {what}: {prefix[0]} is not here")
    if done.returncode:
        pytest.skip(f"needs {what}: {done.stderr.strip()}")
    return prefix


@pytest.mark.usefixtures("no_huge_pages")
def test_read_only_sysfs() -> None:
    """Where /sys is read-only, as in a container, it is a sentence, and what needs nothing still runs."""
    done = pinhold(
        "run", "seed/1", "seed/11", "--on", "live", *ALLOW, prefix=in_namespace("mount -o remount,bind,ro /sys")
    )
    assert "Read-only file system" in done.stderr
    assert done.returncode == 0
    assert "1 held, 1 skipped" in done.stdout


@pytest.mark.usefixtures("no_swap")
def test_a_disk_that_is_too_small_for_swap() -> None:
    """A state directory without room for a swap file is a sentence; the swap file goes elsewhere."""
    elsewhere = Swap(os.path.join(tempfile.gettempdir(), f"pinhold-{os.getpid()}"), 1 << 20)
    try:
        elsewhere.make(Host())
    except OSError as error:
        pytest.skip(f"needs a file system that takes a swap file in {tempfile.gettempdir()}: {error.strerror}")
    finally:
        elsewhere.undo(Host(), None)
    script = f"mkdir -pm 700 {STATE} && mount -t tmpfs -o size=64k,mode=700 none {STATE}"
    done = pinhold("run", "seed/2", "--on", "live", *ALLOW, prefix=in_namespace(script))
    assert "No space left on device" in done.stderr
    assert done.returncode == 0 and "1 held" in done.stdout


@pytest.mark.usefixtures("no_swap")
def test_a_disk_that_is_full() -> None:
    """Without room for the journal nothing is changed, and what needs swap is skipped."""
    script = f"mkdir -pm 700 {STATE} && mount -t tmpfs -o size=4k,mode=700 none {STATE} && echo > {STATE}/filler"
    done = pinhold("run", "seed/2", "--on", "live", *ALLOW, prefix=in_namespace(script))
    assert "--allow-change changes nothing: no journal can be kept in" in done.stderr
    assert "No space left on device" in done.stderr
    assert done.returncode == 4 and "needs swap: none is configured here" in done.stdout


@pytest.mark.usefixtures("no_swap")
def test_without_sys_admin() -> None:
    """Root without CAP_SYS_ADMIN, as in a container: swap cannot be added, tests run without it, doctor says why."""
    prefix = works("setpriv", "setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin")
    done = pinhold("run", "seed/1", "seed/2", "--on", "live", *ALLOW, prefix=prefix)
    assert "a swap file of 128 MiB" in done.stderr and "Operation not permitted" in done.stderr
    assert done.returncode == 0
    assert "1 held, 1 skipped" in done.stdout
    doctor = pinhold("doctor", prefix=prefix)
    assert doctor.returncode == 0
    assert "without CAP_SYS_ADMIN" in doctor.stdout and "pagemap hides page frames" in doctor.stdout
