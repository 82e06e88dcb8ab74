"""What all tests share."""

import signal


def pytest_configure() -> None:
    """Signals have the meaning that a shell's user gives them, also under nohup and in a script's background.

    An ignored signal stays ignored in every program that is started, and tests end programs by signals.
    """
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
