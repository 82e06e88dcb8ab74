"""The guardian: a process of its own that makes every change, and puts all of them back, whatever becomes of the rest.

It is executed afresh in a session of its own, so that no signal to the terminal or to pinhold's group reaches it, and
it alone holds the lock and writes the journal.  The controller asks it over a channel; when the controller ends,
however it does, the guardian restores and ends too.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from collections.abc import Iterable
from typing import NoReturn

from pinhold.system.changes import Change
from pinhold.system.host import Busy, Host
from pinhold.system.journal import Entry, Journal, JournalFailed
from pinhold.system.needs import ALLOWABLE, Needs
from pinhold.system.plan import carry_out
from pinhold.system.restore import Report, discard_of_another_boot, undo, unrestored
from pinhold.targets.live.channel import Channel, Closed, Message


class Refused(Exception):
    """Nothing may be changed now; the message says why.  in_the_way: somebody's earlier changes are."""

    def __init__(self, message: str, in_the_way: bool = False) -> None:
        super().__init__(message)
        self.in_the_way = in_the_way


class Guardian:
    """One run's changes on `host`, for the process `main`."""

    def __init__(self, host: Host, main: int) -> None:
        self._host = host
        self._main = main
        self._journal: Journal | None = None
        self._lock: int | None = None
        self._told: list[str] = []
        self._made: list[str] = []

    def apply(self, needs: Needs, areas: Iterable[str]) -> Message:
        """Make what is missing for `needs` in those areas.

        Gives {"made", "told"}, sentences.  Raises Refused; everything is then as it was.
        """
        try:
            self._begin()
        except Busy as busy:
            raise Refused(f"{busy}: wait until it has ended", in_the_way=True) from None
        except OSError as error:
            raise Refused(f"no journal can be kept in {self._host.state}: {error.strerror or error}") from None
        except JournalFailed as failure:
            raise Refused(str(failure)) from None
        finally:
            if self._journal is None:
                self._unlock()
        for area in (area for area in ALLOWABLE if area in set(areas)):
            try:
                carry_out(self._host, area, needs, self._make, self._told.append)
            except JournalFailed as failure:
                report = self.restore()
                raise Refused("; ".join([str(failure), *report.conflicts, *report.failed])) from None
            except (OSError, ValueError) as error:
                self._told.append(f"{area}: {_why(error)}")
        return {"made": self._made, "told": self._told}

    def _begin(self) -> None:
        """Take the lock and start a journal.  Raises Busy, OSError, Refused, JournalFailed."""
        self._lock = self._host.lock()
        self._refuse_unrestored()
        self._journal = Journal.create(self._host, self._main)

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _refuse_unrestored(self) -> None:
        old = Journal.load(self._host)
        if old is None:
            return
        if not old.entries or all(entry.end is not None for entry in old.entries):
            old.discard()
        elif old.of_this_boot:
            raise Refused(unrestored(old), in_the_way=True)
        else:
            self._told.append(discard_of_another_boot(self._host, old))

    def _make(self, change: Change) -> bool:
        assert self._journal is not None
        entry = self._journal.begin(change)
        try:
            got = change.make(self._host)
        except OSError as error:
            self._told.append(f"cannot change {change.words()}: {_why(error)}")
            self._undo_half(entry)
            return False
        self._journal.made(entry, got)
        self._made.append(change.words())
        return True

    def _undo_half(self, entry: Entry) -> None:
        """A change that failed may have got half way.  What cannot be undone now is tried again at the end."""
        assert self._journal is not None
        with contextlib.suppress(OSError, ValueError):
            self._journal.ended(entry, entry.change.undo(self._host, None).how)

    def restore(self) -> Report:
        """Put everything back and give up the lock.  Raises JournalFailed."""
        report = Report()
        try:
            if self._journal is not None:
                report = undo(self._host, self._journal)
        finally:
            self._journal = None
            self._unlock()
        return report


def _why(error: OSError | ValueError) -> str:
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def serve(fd: int, main: int, host: Host) -> NoReturn:
    """Serve the process `main` on the socket `fd` until one of them ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as last_to_go:
        last_to_go.write("-1000")
    os.set_inheritable(fd, False)
    channel = Channel(socket.socket(fileno=fd))
    guardian = Guardian(host, main)
    with contextlib.suppress(Closed):
        while _alive(fd, main):
            message, _ = channel.receive()
            channel.send(_answer(guardian, message))
    _restore_alone(guardian, main)
    os._exit(0)


def _alive(fd: int, main: int) -> bool:
    """Wait for a message: whether one came before the end of `main`, whose descriptors may live on in a child."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(main)
        try:
            poll.register(pidfd, select.POLLIN)
            return any(ready == fd for ready, _ in poll.poll()) and os.getppid() == main
        finally:
            os.close(pidfd)
    return False


def _answer(guardian: Guardian, message: Message) -> Message:
    try:
        if message["op"] == "apply":
            return guardian.apply(Needs(**message["needs"]), message["areas"])
        return guardian.restore().message()
    except Refused as refusal:
        return {"refused": str(refusal), "in_the_way": refusal.in_the_way}
    except JournalFailed as failure:
        return {"failed": [str(failure)]}


def _restore_alone(guardian: Guardian, main: int) -> None:
    """The controller is gone: what has to be said goes to its standard error."""
    try:
        report = guardian.restore()
        said = report.conflicts + report.failed
    except JournalFailed as failure:
        said = [str(failure)]
    with contextlib.suppress(OSError):
        for sentence in said:
            print(f"pinhold: process {main} ended early: {sentence}", file=sys.stderr, flush=True)
