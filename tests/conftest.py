"""What all tests share."""

import signal
from collections.abc import Iterator

import pytest

from pinhold.lab.errors import LabError
from pinhold.lab.qemu import missing
from pinhold.lab.store import Kernel, Store
from pinhold.lab.target import VmTarget
from pinhold.targets.base import Unavailable
from pinhold.targets.live.target import LiveTarget


def pytest_configure() -> None:
    """Signals have the meaning that a shell's user gives them, also under nohup and in a script's background.

    An ignored signal stays ignored in every program that is started, and tests end programs by signals.
    """
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What compiles, one after the other in one worker, begins first: it takes longest.  The tests that share a
    kernel's guest come last, one after the other in one worker."""
    for item in items:
        if isinstance(item, pytest.Function) and "booted" in item.fixturenames:
            series = ".".join(item.callspec.params["kernel"].split(".")[:2])
            item.add_marker(pytest.mark.xdist_group(f"vm:{series}"))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[int, str]:
    group = next((str(mark.args[0]) for mark in item.iter_markers("xdist_group")), "")
    return (0, "") if group == "compiled" else (2, group) if group.startswith("vm:") else (1, "")


@pytest.fixture(scope="session")
def live() -> LiveTarget:
    """The running kernel."""
    target = LiveTarget()
    try:
        target.info()
    except Unavailable as reason:
        pytest.skip(str(reason))
    return target


@pytest.fixture
def kernel(request: pytest.FixtureRequest) -> Kernel:
    """The stock kernel of the series that the test is parametrized with; skipped with the reason where QEMU or the
    kernel is missing."""
    if reason := missing():
        pytest.skip(reason)
    try:
        return Store().find(request.param)
    except LabError as absent:
        pytest.skip(str(absent))


@pytest.fixture(scope="session")
def booted() -> Iterator[list[VmTarget]]:
    """The kernel whose guest runs, if there is one."""
    targets: list[VmTarget] = []
    yield targets
    for target in targets:
        target.close()


@pytest.fixture
def guest(kernel: Kernel, booted: list[VmTarget]) -> VmTarget:
    """A kernel whose guest the tests of a worker share: a test that leaves something behind closes it."""
    if [target.kernel for target in booted] != [kernel]:
        for target in booted:
            target.close()
        booted[:] = [VmTarget(kernel.name, kernel)]
    return booted[0]
