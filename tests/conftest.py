"""What all tests share."""

import signal

import pytest

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
    """What compiles, one after the other in one worker, begins first: it takes longest."""
    items.sort(key=lambda item: not any(m.args == ("compiled",) for m in item.iter_markers("xdist_group")))


@pytest.fixture(scope="session")
def live() -> LiveTarget:
    """The running kernel."""
    target = LiveTarget()
    try:
        target.info()
    except Unavailable as reason:
        pytest.skip(str(reason))
    return target
