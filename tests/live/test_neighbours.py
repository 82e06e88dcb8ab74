"""A leak of a scenario is told from what another program on this machine does: it is found, and that is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinhold.scenario.parse import parse
from pinhold.targets.live import hygiene, pagemap
from pinhold.targets.live.pins import HOLDERS
from pinhold.targets.live.session import LiveSession
from pinhold.targets.live.target import LiveTarget
from pinhold.targets.runner import run_scenario

NEIGHBOUR = Path(__file__).parents[1] / "neighbour.py"
SCENARIO = parse("scenario t\nmap P x anon pages 4\nwrite P x 0x01\nfork P C\nwrite P x 0x02\nexpect C x 0x01\n")
LEAK = 4096
"""More pages than the neighbour ever holds."""

HOLDER = """
import sys
sys.path.insert(0, sys.argv[1])
from pinhold.targets.live import syscalls
from pinhold.targets.live.pins import HOLDERS
length = {pages} * 4096
for line in sys.stdin:
    address = syscalls.mmap(0, length, 3, syscalls.MAP_PRIVATE | syscalls.MAP_ANONYMOUS)
    HOLDERS["io_uring"].acquire(address, {pages}, True, False)
    print("pinned", flush=True)
"""


@pytest.fixture(autouse=True)
def countable() -> None:
    """Skips where pins are not counted, or there is nobody to take them."""
    if pagemap.pin_counters() is None:
        pytest.skip("needs nr_foll_pin_* made exact by stat_refresh: only root may")
    reason = HOLDERS["io_uring"].unavailable()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture
def quiet() -> None:
    """Waits until nobody takes or releases pins any more, those of the tests before too; skips where others go on."""
    before = None
    for _ in range(60):
        now = pagemap.pin_counters()
        if now == before:
            return
        before = now
        time.sleep(1)
    pytest.skip("needs a machine on which nobody else pins for a second")


@pytest.fixture
def neighbour() -> Iterator[None]:
    """It lives for a while at most."""
    with subprocess.Popen([sys.executable, str(NEIGHBOUR), "100"], stdout=subprocess.DEVNULL) as program:
        yield
        program.send_signal(signal.SIGTERM)


@pytest.fixture
def leaking(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each scenario leaves pages pinned when its processes are gone, as a kernel does that forgets to unpin."""
    source = str(Path(hygiene.__file__).parents[2])
    code = HOLDER.format(pages=LEAK)
    real = LiveSession.close
    with subprocess.Popen(
        [sys.executable, "-c", code, source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:

        def close(session: LiveSession) -> None:
            real(session)
            holder.stdin.write("\n")
            holder.stdin.flush()
            assert holder.stdout.readline() == "pinned\n"

        monkeypatch.setattr(LiveSession, "close", close)
        yield


@pytest.mark.usefixtures("neighbour")
def test_a_neighbour_alone_is_no_leak(live: LiveTarget) -> None:
    """Thirty scenarios beside a program that pins and unpins all the time: they hold, each of them."""
    assert [run_scenario(live, SCENARIO).verdict.kind for _ in range(30)] == ["held"] * 30


@pytest.mark.usefixtures("neighbour", "leaking")
def test_a_leak_beside_a_neighbour_is_found(live: LiveTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a scenario leaves behind at each repeat is told, with the numbers."""
    monkeypatch.setattr(hygiene, "_moved", {})
    monkeypatch.setattr(hygiene, "_last", None)
    monkeypatch.setattr(hygiene, "REPEATS", 4)
    verdict = run_scenario(live, SCENARIO).verdict
    assert verdict.kind == "error"
    assert verdict.reason.startswith("left behind by the scenario: pages pinned: ")


@pytest.mark.usefixtures("quiet", "leaking")
def test_a_leak_is_found_where_nobody_else_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a machine of pinhold's own nothing is repeated."""
    monkeypatch.setattr(hygiene, "_last", None)
    target = LiveTarget(disposable=True)
    verdict = run_scenario(target, SCENARIO).verdict
    assert verdict.kind == "error" and "pages pinned" in verdict.reason


def test_the_kernel_names_a_scenarios_processes(live: LiveTarget) -> None:
    """Their name has the number of the first of them, in children, too: so a complaint in the log tells whose it is."""
    with live.open(SCENARIO) as session:
        for step in SCENARIO.steps[:3]:
            session.do(step)
        names = {
            Path(f"/proc/{pid}/comm").read_text().strip()
            for pid in filter(str.isdigit, os.listdir("/proc"))
            if os.path.exists(f"/proc/{pid}") and _session_of(int(pid)) == session.leader
        }
        assert names == {f"pinhold-{session.leader}"} and session.kernel_names()[0] in names


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None
