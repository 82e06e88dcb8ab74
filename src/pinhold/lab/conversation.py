"""Talking to one guest: hello, scenarios one after another, deadlines, and what became of a guest that went silent."""

from __future__ import annotations

import re
import select
import threading
import time

from pinhold.lab.protocol import Damaged, Decoder, Message, encode
from pinhold.lab.qemu import Qemu, Setup
from pinhold.lab.records import result, step_record
from pinhold.scenario.printer import format_scenario
from pinhold.scenario.step import Scenario
from pinhold.targets.base import TargetInfo
from pinhold.targets.runner import Result, StepRecord

BOOT_SECONDS = 180.0
SILENT_SECONDS = 120.0
"""A guest sends something every few seconds while a scenario runs.  Generous: the machine may be busy."""

WHOLE_SECONDS = 900.0
_POLL_SECONDS = 0.5
_LAST_LINES = 12
_LAST_WORDS = 1500
_LAST_REASONS = 3
_REASON = re.compile(r"Kernel panic|\bBUG\b|Oops|general protection fault")
"""How a kernel begins to say why it ends."""


class GuestLost(Exception):
    """The guest cannot go on; the message says how it ended, with the end of its console.

    kind: "crashed" where its kernel ended or hung, "error" where what it sent was damaged, where it told of a defect,
    and where QEMU was killed.
    """

    def __init__(self, kind: str, words: str, steps: tuple[StepRecord, ...] = ()) -> None:
        super().__init__(words)
        self.kind = kind
        self.steps = steps


class Conversation:
    """A guest that has booted.  target: the name that results carry."""

    def __init__(self, setup: Setup, target: str, stopped: threading.Event | None = None) -> None:
        """Boot it.  stopped: to be set from another thread.  Raises GuestLost, LabError."""
        self._stopped = stopped or threading.Event()
        self._target = target
        self._qemu = Qemu(setup)
        self._decoder = Decoder()
        self._waiting: list[Message] = []
        try:
            hello = self._receive(BOOT_SECONDS, f"did not come up within {BOOT_SECONDS:g} s")
            if "hello" not in hello:
                raise GuestLost("error", f"the agent failed: {_tail(str(hello.get('broken', hello)))}")
            self.info = TargetInfo(**hello["hello"])
            self.missing: dict[str, str] = hello["missing"]
        except BaseException:
            self._qemu.close()
            raise

    def run(self, scenario: Scenario) -> Result:
        """One scenario to its verdict.  Raises GuestLost, with the steps that were done before."""
        steps: list[StepRecord] = []
        try:
            self._send({"run": format_scenario(scenario)})
            whole = time.monotonic() + WHOLE_SECONDS
            while True:
                if time.monotonic() > whole:
                    raise self._lost(f"did not end a scenario within {WHOLE_SECONDS:g} s")
                message = self._receive(SILENT_SECONDS, f"said nothing for {SILENT_SECONDS:g} s")
                if "step" in message:
                    steps.append(step_record(message["step"], scenario))
                elif "verdict" in message:
                    return result(message["verdict"], self._target, scenario, tuple(steps))
                elif "broken" in message:
                    raise GuestLost("error", f"the agent failed: {_tail(message['broken'])}", tuple(steps))
        except GuestLost as lost:
            raise GuestLost(lost.kind, str(lost), tuple(steps)) from None
        except (LookupError, TypeError, ValueError) as wrong:
            raise GuestLost("error", f"the guest sent a record that is none: {wrong}", tuple(steps)) from None

    def console(self) -> str:
        """The last lines of its kernel."""
        return _tail(self._qemu.console())

    def close(self, gently: bool = True) -> None:
        """End the guest."""
        if gently and not self._qemu.ended():
            try:
                self._send({"end": True})
                self._qemu.wait(3.0)
            except GuestLost:
                pass
        self._qemu.close()

    def _send(self, message: Message) -> None:
        try:
            self._qemu.port.sendall(encode(message))
        except OSError:
            raise self._lost("ended") from None

    def _receive(self, seconds: float, late: str) -> Message:
        """The next message.  A machine that stood still, guest and all, has not waited."""
        while not self._waiting:
            if self._stopped.is_set():
                raise GuestLost("error", "it was stopped")
            if seconds <= 0:
                raise self._lost(late)
            begun = time.monotonic()
            readable, _, _ = select.select([self._qemu.port], [], [], min(seconds, _POLL_SECONDS))
            seconds -= min(time.monotonic() - begun, _POLL_SECONDS)
            data = b""
            if readable:
                try:
                    data = self._qemu.port.recv(1 << 16)
                except OSError:
                    data = b""
                if not data:
                    self._qemu.wait(2.0)
                    raise self._lost("ended")
            elif self._qemu.ended():
                raise self._lost("ended")
            try:
                self._waiting += self._decoder.feed(data)
            except Damaged as damage:
                raise GuestLost("error", f"what the guest sent was damaged: {damage}") from None
        return self._waiting.pop(0)

    def _lost(self, how: str) -> GuestLost:
        console = _tail(self._qemu.console())
        killed = self._qemu.killed_by()
        if killed is not None:
            return GuestLost("error", f"QEMU was killed by {killed}; is there enough memory here?")
        said = f"; the end of its console: {console}" if console else ", and its console is empty"
        return GuestLost("crashed", f"the guest {how}{said}")


def _tail(text: str) -> str:
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines() if line.strip()]
    # The registers come after the reason: a backtrace must not push it out.
    reasons = [line for line in lines[:-_LAST_LINES] if _REASON.search(line)]
    end = " | ".join(lines[-_LAST_LINES:])[-_LAST_WORDS:]
    return " | ".join([*reasons[-_LAST_REASONS:], end])
