"""`exec:PROGRAM`: a pin by a program of the user's, for a driver's own way of pinning memory.

The program runs beside the process whose memory it pins, and loads nothing into it.  It talks in lines over its
standard input and output; what it reads back goes into a file.  A driver pins the memory of the process that calls it,
so the program may have that process make a system call, usually the driver's ioctl, on one of the program's own
descriptors.  docs/mechanisms.md has the protocol.
"""

from __future__ import annotations

import errno
import os
import re
import select
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from pinhold import trust
from pinhold.scenario.errnos import ERRNO
from pinhold.scenario.observation import Run
from pinhold.targets.base import Broken, CannotDo, Livelock, Unavailable
from pinhold.targets.live import content, syscalls
from pinhold.targets.live.channel import POLL_SECONDS
from pinhold.targets.live.pins.base import FOLL_GET, FOLL_PIN, Gives, Taken
from pinhold.targets.live.progress import Deadline, Overdue, Patience
from pinhold.targets.live.syscalls import MAP_SHARED, PAGE, PROT_READ

PREFIX = "exec:"
WORDS = ("read", "write", "longterm", "fast", "get", "held", "readable", "writable")
"""What the first line may declare."""

REPLY_SECONDS = 20.0
"""What the program may spend on a reply, of processor time or of sleep, where the user gives no --pin-timeout."""

_HELLO = re.compile(r"pinhold 1((?: [a-z]+)+)")
_MOST_CALLS = 64
_MOST_LINE = 1 << 16


class NotStarted(Unavailable):
    """There is no such program, or it cannot be run."""


class Owner(Protocol):
    """The process whose memory is pinned."""

    @property
    def pid(self) -> int: ...

    def call(self, number: int, arguments: list[Any], fds: list[int]) -> tuple[int, int, list[str]]:
        """Make a system call there: (value, errno, what its buffers contain then, in hex).

        An argument is a number, {"fd": index into fds} or {"buffer": hex}.
        """


class External:
    """One running program a pin.  command: the program and its arguments, as a shell would split them."""

    sendable = True

    def __init__(
        self, command: str, seconds: float = REPLY_SECONDS, hear: Callable[[str], None] = lambda line: None
    ) -> None:
        """Runs the program for what it declares.  seconds: see REPLY_SECONDS; hear: is told each line, "> " before what
        the program is told and "< " before what it says.  Raises Unavailable."""
        self._reply = Deadline(seconds, seconds)
        self._hear = hear
        self.name = f"{PREFIX}{command}"
        try:
            self._command = shlex.split(command)
        except ValueError as error:
            raise NotStarted(
                f"{PREFIX}{command}: {error}: a program and its arguments, as a shell splits them"
            ) from None
        if not self._command:
            raise NotStarted(f"{PREFIX} names no program")
        try:
            self._command[0] = trust.program(self._command[0])
        except trust.NoProgram as reason:
            raise NotStarted(f"{PREFIX}{command} needs {reason}") from None
        program = _Program(self.name, self._command, self._reply, hear)
        try:
            self.hello = program.line()
            self.gives = _declared(self.name, self.hello)
        except Broken as reason:
            raise Unavailable(str(reason)) from None
        finally:
            program.end()
        self.in_words = _in_words(self.gives)
        self.summary = f"what it declares ({self.in_words})"
        self._running: dict[int, _Program] = {}

    def unavailable(self) -> str | None:
        return None

    def take(self, owner: Owner, address: int, pages: int, write: bool) -> Taken:
        """Start a program and let it pin.  Raises OSError with the errno that the program gives, CannotDo, Broken."""
        program = _Program(self.name, self._command, self._reply, self._hear)
        try:
            with suppress(OSError):
                os.sched_setaffinity(program.pid, os.sched_getaffinity(owner.pid))
            _declared(self.name, program.line())
            mode = "write" if write else "read"
            verb, rest = program.ask(f"pin {owner.pid} {address:#x} {pages * PAGE} {mode}", owner)
            if verb != "held" or not rest.isdecimal() or not 0 < int(rest) <= pages:
                raise Broken(f"{self.name} answered '{verb} {rest}' to pin: expected 'held N', N from 1 to {pages}")
        except BaseException:
            program.end()
            raise
        key = program.pages.fileno()
        self._running[key] = program
        return Taken([key], int(rest))

    def read_back(self, taken: Taken) -> list[Run]:
        length = taken.pages * PAGE
        program = self._running[taken.fds[0]]
        program.pages.truncate(0)
        fd = taken.fds[0]
        self._ok(taken, f"read /proc/{os.getpid()}/fd/{fd}")
        if os.fstat(fd).st_size != length:
            raise Broken(f"{self.name} wrote {os.fstat(fd).st_size} bytes to the file of read, expected {length}")
        address = syscalls.mmap(0, length, PROT_READ, MAP_SHARED, fd)
        try:
            return content.runs(address, [(0, taken.pages, True)])
        finally:
            syscalls.munmap(address, length)

    def write_through(self, taken: Taken, byte: int) -> None:
        self._ok(taken, f"write {byte}")

    def release(self, taken: Taken, owner: Owner | None = None) -> None:
        """owner: the process, while it lives.  Without an answer the program is ended, which lets go as well."""
        program = self._running.pop(taken.fds[0])
        try:
            verb, rest = program.ask("unpin", owner)
            if verb != "ok":
                raise Broken(f"{self.name} answered '{verb} {rest}' to unpin: expected 'ok'")
        finally:
            program.end()

    def _ok(self, taken: Taken, line: str) -> None:
        verb, rest = self._running[taken.fds[0]].ask(line, None)
        if verb != "ok":
            raise Broken(f"{self.name} answered '{verb} {rest}' to {line}: expected 'ok'")


def _declared(name: str, hello: str) -> Gives:
    match = _HELLO.fullmatch(hello)
    words = match[1].split() if match else []
    unknown = [word for word in words if word not in WORDS]
    if not match or unknown or not {"read", "write"} & set(words):
        raise Broken(
            f"{name} began with '{hello[:80]}': expected 'pinhold 1' and words out of {', '.join(WORDS)}, "
            "read or write among them"
        )
    return Gives(
        takes=FOLL_GET if "get" in words else FOLL_PIN,
        longterm=frozenset({"longterm" in words}),
        write=frozenset({word == "write" for word in words if word in ("read", "write")}),
        fast=frozenset({"fast" in words}),
        held="held" in words,
        readable="readable" in words,
        writable="writable" in words,
    )


def _in_words(gives: Gives) -> str:
    words = [
        "read-only or writable" if len(gives.write) > 1 else "writable" if True in gives.write else "read-only",
        "long-term" if True in gives.longterm else "short-term",
        "GUP-fast" if True in gives.fast else "GUP",
        "references" if gives.takes == FOLL_GET else "pins",
        *([] if gives.held else ["that do not last"]),
    ]
    return " ".join(words)


@dataclass(frozen=True, slots=True)
class _Call:
    """One system call that the program asks for; fds: the program's own descriptors among its arguments."""

    number: int
    arguments: list[Any]
    fds: list[int]


def _call(text: str) -> _Call:
    """NUMBER ARGUMENT...: an argument is a number, fd:N or buf:HEX.  Raises ValueError."""
    number, *words = text.split()
    if len(words) > 6:
        raise ValueError(text)
    arguments: list[Any] = []
    fds: list[int] = []
    for word in words:
        if word.startswith("fd:"):
            arguments.append({"fd": len(fds)})
            fds.append(int(word[3:]))
        elif word.startswith("buf:"):
            arguments.append({"buffer": bytes.fromhex(word[4:]).hex()})
        else:
            arguments.append(int(word, 0))
    return _Call(int(number), arguments, fds)


class _Program:
    """A running program and its lines."""

    def __init__(self, name: str, command: list[str], reply: Deadline, hear: Callable[[str], None]) -> None:
        self._name = name
        self._reply = reply
        self._hear = hear
        self.pages = tempfile.TemporaryFile(prefix="pinhold-")  # noqa: SIM115 (closed by end())
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 (pinhold has one thread)
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self.pages.close()
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise NotStarted(f"{name} cannot be started: {reason}") from None
        self._rest = b""

    @property
    def pid(self) -> int:
        return self._process.pid

    def line(self) -> str:
        """The next line that it says.  Raises Broken, Livelock."""
        assert self._process.stdout is not None
        patience = self._reply.patience([self.pid])
        fd = self._process.stdout.fileno()
        while b"\n" not in self._rest:
            ready, _, _ = select.select([fd], [], [], POLL_SECONDS)
            if not ready:
                self._wait(patience)
                continue
            data = os.read(fd, _MOST_LINE)
            if not data:
                raise Broken(f"{self._name} ended: {self._ending()}")
            self._rest += data
            if len(self._rest) > _MOST_LINE:
                raise Broken(f"{self._name} said a line of more than {_MOST_LINE} bytes")
        raw, _, self._rest = self._rest.partition(b"\n")
        line = raw.decode("utf-8", "backslashreplace").strip()
        self._hear(f"< {line}")
        return line

    def _wait(self, patience: Patience) -> None:
        """Raises Livelock where the kernel loops on behalf of the program, else Broken, when it will not answer."""
        try:
            patience()
        except Overdue as late:
            told = f"{self._name} said nothing: {late}"
            if late.endless:
                raise Livelock(told) from None
            raise Broken(f"{told}; --pin-timeout SECONDS lets it be silent for longer") from None

    def _ending(self) -> str:
        try:
            status = self._process.wait(1)
        except subprocess.TimeoutExpired:
            return "it closed its output"
        return f"killed by signal {-status}" if status < 0 else f"exit status {status}"

    def ask(self, line: str, owner: Owner | None) -> tuple[str, str]:
        """Verb and rest of the answer to a line, after the system calls that it asks for.  Raises OSError for
        `error`, CannotDo for `cannot`, Broken."""
        assert self._process.stdin is not None
        for _ in range(_MOST_CALLS):
            self._hear(f"> {line}")
            try:
                os.write(self._process.stdin.fileno(), f"{line}\n".encode())
            except BrokenPipeError:
                raise Broken(f"{self._name} ended: {self._ending()}") from None
            verb, _, rest = self.line().partition(" ")
            if verb == "error":
                number = ERRNO.get(rest) or (int(rest) if rest.isdecimal() else 0) or errno.EIO
                raise OSError(number, os.strerror(number))
            if verb == "cannot":
                raise CannotDo(f"{self._name} cannot {rest}")
            if verb != "call":
                return verb, rest
            line = self._make(rest, owner)
        raise Broken(f"{self._name} asked for more than {_MOST_CALLS} system calls")

    def _make(self, text: str, owner: Owner | None) -> str:
        """The line that tells what a system call came to."""
        if owner is None:
            raise Broken(f"{self._name} asked for a system call when there is no process to make it")
        fds: list[int] = []
        try:
            call = _call(text)
            for fd in call.fds:
                fds.append(syscalls.pidfd_getfd(self.pid, fd))
        except (ValueError, OSError) as error:
            raise Broken(f"{self._name} asked for 'call {text[:80]}': {error}") from None
        else:
            value, number, buffers = owner.call(call.number, call.arguments, fds)
        finally:
            for fd in fds:
                os.close(fd)
        return " ".join(["returned", str(value), str(number), *buffers])

    def end(self) -> None:
        """Close its input; kill it unless it ends at once."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self.pages.close()


def _die_with_parent() -> None:
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
