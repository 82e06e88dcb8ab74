"""`pinhold restore`: put back what an earlier run changed and could not put back itself."""

from __future__ import annotations

from argparse import Namespace

from pinhold.commands import NothingToRun, NotPutBack
from pinhold.scenario.verdict import EXIT_HELD, EXIT_VIOLATED
from pinhold.system.changed import restore_journal
from pinhold.system.host import Busy, Host
from pinhold.system.journal import JournalFailed


def main(options: Namespace) -> int:
    """0: all is as it was; 1: something has been changed by somebody else since and was left alone."""
    host = Host()
    try:
        report = restore_journal(host)
    except Busy as busy:
        raise NothingToRun(f"{busy}: it puts everything back itself when it ends") from None
    except JournalFailed as failure:
        raise NotPutBack(str(failure)) from None
    except OSError as error:
        raise NothingToRun(f"{host.state} cannot be looked at: {error.strerror or error}") from None
    if report is None:
        print("There is nothing to put back.")
        return EXIT_HELD
    for sentence in report.restored:
        print(f"put back: {sentence}")
    for sentence in report.conflicts:
        print(f"left alone: {sentence}")
    if report.failed:
        raise NotPutBack("; ".join(report.failed))
    return EXIT_VIOLATED if report.conflicts else EXIT_HELD
