"""A machine changed for as long as a block of code runs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from pinhold.system.host import Busy, Host
from pinhold.system.journal import Journal, JournalFailed
from pinhold.system.needs import Needs
from pinhold.system.restore import Report, discard_of_another_boot, undo
from pinhold.targets.live.channel import Channel, Closed, Message

_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from pinhold.system.guardian import serve; "
    "from pinhold.system.host import Host; serve(int(sys.argv[2]), int(sys.argv[3]), Host(*sys.argv[4:6]))"
)


class CannotChange(Exception):
    """Nothing has been changed; the message says why.  `in_the_way`: another run's changes, and no lack of means."""

    def __init__(self, message: str, in_the_way: bool = False) -> None:
        super().__init__(message)
        self.in_the_way = in_the_way


class NotRestored(Exception):
    """Something could not be put back; the message says what, and that the journal is still there."""


@contextlib.contextmanager
def changed(
    host: Host, needs: Needs, areas: Sequence[str], tell: Callable[[str], None], start: str = _START
) -> Iterator[None]:
    """Change what `needs` misses in those areas, and put it back when the block ends, however it ends.

    tell: takes each sentence for the user.  start: the guardian's program.  Raises CannotChange, NotRestored.
    """
    channel, guardian = _guardian(host, start)
    try:
        reply = _ask(channel, {"op": "apply", "needs": asdict(needs), "areas": list(areas)})
        if reply is None:
            report = _restore_without(guardian, host)
            raise CannotChange("; ".join(["the guardian process has died", *_problems(report)]))
        if "refused" in reply:
            raise CannotChange(reply["refused"], reply["in_the_way"])
        for sentence in reply["told"]:
            tell(sentence)
        if reply["made"]:
            tell(f"changed until the end of this run: {'; '.join(reply['made'])}")
        try:
            yield
        finally:
            _restore(host, channel, guardian, tell)
    finally:
        channel.close()
        guardian.wait()


def _guardian(host: Host, start: str) -> tuple[Channel, subprocess.Popen[bytes]]:
    if not sys.executable:
        raise CannotChange("the guardian process needs Python, and this program does not say where it is")
    channel, far = Channel.pair()
    source = str(Path(__file__).resolve().parents[2])
    with far:
        arguments = [source, str(far.fileno()), str(os.getpid()), host.root, host.state]
        guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", start, *arguments],
            pass_fds=[far.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    return channel, guardian


def _ask(channel: Channel, message: Message) -> Message | None:
    """The reply; None where the guardian has died."""
    try:
        channel.send(message)
        return channel.receive()[0]
    except Closed:
        return None


def _restore(host: Host, channel: Channel, guardian: subprocess.Popen[bytes], tell: Callable[[str], None]) -> None:
    reply = _ask(channel, {"op": "restore"})
    if reply is None:
        tell("the guardian process has died: its changes are put back without it")
        report = _restore_without(guardian, host)
    else:
        report = Report(**reply)
    for sentence in report.conflicts:
        tell(sentence)
    if report.failed:
        raise NotRestored("; ".join([*report.failed, "when the cause is gone, run pinhold restore"]))


def _restore_without(guardian: subprocess.Popen[bytes], host: Host) -> Report:
    """The guardian's lock goes with the last of it, a little later than its end of the channel."""
    guardian.wait()
    try:
        return restore_journal(host) or Report()
    except (JournalFailed, Busy, OSError) as failure:
        return Report(failed=[str(failure)])


def restore_journal(host: Host) -> Report | None:
    """Put back what the journal tells of; None where there is none.  Raises Busy, JournalFailed, OSError."""
    lock = host.lock()
    try:
        journal = Journal.load(host)
        if journal is None:
            return None
        if journal.entries and not journal.of_this_boot:
            return Report(restored=[discard_of_another_boot(host, journal)])
        return undo(host, journal)
    finally:
        os.close(lock)


def _problems(report: Report) -> list[str]:
    return report.conflicts + report.failed
