"""Talking to one guest: hello, scenarios one after another, deadlines, and what became of a guest that went silent.

A deadline counts what QEMU's process has had: processor time, and time in which it wanted none.  A guest that its host
keeps waiting is slow.
"""

from __future__ import annotations

import re
import select
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace

from pinhold.lab.protocol import Damaged, Decoder, Garbled, Message, encode
from pinhold.lab.qemu import Qemu, Setup
from pinhold.lab.records import result, step_record
from pinhold.scenario.observation import Observation
from pinhold.scenario.printer import format_scenario
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.steps import Scenario
from pinhold.targets.live.channel import POLL_SECONDS
from pinhold.targets.live.progress import DEADLINE, Watch
from pinhold.targets.runner import Result, StepRecord


@dataclass(frozen=True, slots=True)
class Limit:
    """What a guest may spend, in seconds.  processor: of QEMU's processor time; asleep: without wanting any."""

    processor: float
    asleep: float


BOOT = Limit(90.0, 60.0)
"""Until the agent says hello: some 5 seconds of processor time by emulation."""

SILENT = Limit(2 * DEADLINE, 60.0)
"""Without a word of a guest that runs a scenario: it has a beat of its own every two seconds, by its own clock."""

STEPS = 3
"""The agent ends a step that does not end.  Where the guest goes on for so many times the deadline without having ended
one, it is the agent that does not end."""

_CLOCK_SECONDS = 1.0
_PANIC = Limit(20.0, 10.0)
_MORE_SECONDS = 2.0
_MOST_TEXT = 1 << 14
_LAST_LINES = 12
_LAST_WORDS = 1500
_LAST_REASONS = 3
_REASON = re.compile(r"Kernel panic|\bBUG\b|Oops|general protection fault")
"""How a kernel begins to say why it ends."""


_HALTED = "-- System halted"
"""What an image says that cannot unpack itself, and goes on for ever."""


class GuestLost(Exception):
    """The guest cannot go on; the message says how it ended, with the end of its console.

    kind: "crashed" where its kernel ended or hung, "livelock" where it ran and let nothing else run, "error" where what
    it sent was damaged, where it told of a defect, and where QEMU was killed.
    """

    def __init__(self, kind: str, words: str, steps: tuple[StepRecord, ...] = ()) -> None:
        super().__init__(words)
        self.kind = kind
        self.steps = steps


class _Budget:
    """What is left of a limit from now on.

    words: what the guest did not do when it is spent; kind: the verdict then.
    """

    def __init__(self, watch: Watch, limit: Limit, words: str, kind: str = "crashed") -> None:
        watch.look()
        self._watch, self.limit, self.words, self.kind = watch, limit, words, kind
        self._begun = watch.processor, watch.asleep

    @property
    def processor(self) -> float:
        return self.limit.processor - (self._watch.processor - self._begun[0])

    @property
    def asleep(self) -> float:
        return self.limit.asleep - (self._watch.asleep - self._begun[1])


class Conversation:
    """A guest that has booted.  target: the name that results carry.

    places: while it is looked at, of each process its pid and where its regions are."""

    def __init__(
        self, setup: Setup, target: str, stopped: threading.Event | None = None, deadline: float = DEADLINE
    ) -> None:
        """Boot it.  stopped: to be set from another thread; deadline: of a step.  Raises GuestLost, LabError."""
        self._stopped = stopped or threading.Event()
        self._target = target
        self._deadline = deadline
        self._qemu = Qemu(setup)
        self._watch = Watch(self._qemu.pid)
        self._told = 0.0
        self._decoder = Decoder()
        self._waiting: list[Message] = []
        self.places: Mapping[str, tuple[int, Mapping[str, int]]] = {}
        try:
            hello = self._receive(_Budget(self._watch, BOOT, "did not come up"))
            if "hello" not in hello:
                raise GuestLost("error", f"the agent failed: {_tail(str(hello.get('broken', hello)))}")
            self.info = TargetInfo(**hello["hello"])
            self.missing: dict[str, str] = hello["missing"]
        except BaseException:
            self._qemu.close()
            raise

    def run(self, scenario: Scenario, look: Callable[[StepRecord], None] | None = None) -> Result:
        """One scenario to its verdict.  look: is called after each step, and the guest's agent waits for its end.

        Raises GuestLost, with the steps that were done before.
        """
        steps: list[StepRecord] = []
        told: Observation | None = None
        silent = replace(SILENT, processor=max(SILENT.processor, 2 * self._deadline))
        whole = Limit(STEPS * silent.processor, STEPS * silent.asleep)
        try:
            self._send({"run": format_scenario(scenario), "waits": look is not None})
            step = _Budget(self._watch, whole, "did not end a step", "error")
            while True:
                message = self._receive(_Budget(self._watch, silent, "said nothing", "livelock"), step)
                if "step" in message:
                    steps.append(step_record(message["step"], scenario, told))
                    told = steps[-1].observation or told
                    if look is not None:
                        self.places = message["places"]
                        look(steps[-1])
                        self._send({"go": True})
                    step = _Budget(self._watch, whole, "did not end a step", "error")
                elif "verdict" in message:
                    return result(message["verdict"], self._target, scenario, tuple(steps))
                elif "broken" in message:
                    raise GuestLost("error", f"the agent failed: {_tail(message['broken'])}", tuple(steps))
                else:  # a beat; one whose beats come faster than it is waited for is never found silent
                    self._look((step,))
        except GuestLost as lost:
            raise GuestLost(lost.kind, str(lost), tuple(steps)) from None
        except (LookupError, TypeError, ValueError) as wrong:
            raise GuestLost("error", f"the guest sent a record that is none: {wrong}", tuple(steps)) from None

    @property
    def ram(self) -> int:
        """The descriptor of its memory."""
        return self._qemu.ram.fileno()

    def paused(self) -> AbstractContextManager[None]:
        """The guest stands still for so long.  Raises LabError."""
        return self._qemu.paused()

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

    def _receive(self, *budgets: _Budget) -> Message:
        """The next message, as long as none of the budgets is spent."""
        while not self._waiting:
            if self._stopped.is_set():
                raise GuestLost("error", "it was stopped")
            data = self._read(POLL_SECONDS)
            try:
                self._waiting += self._decoder.feed(data)
            except Garbled as garbled:
                raise GuestLost(
                    "error", f"the guest said, where a result belongs: {_tail(self._all(garbled.text))}"
                ) from None
            except Damaged as damage:
                raise GuestLost("error", f"what the guest sent was damaged: {damage}") from None
            if not data:
                self._look(budgets)
        return self._waiting.pop(0)

    def _read(self, seconds: float) -> bytes:
        """What the guest has sent, nothing where that is nothing yet."""
        readable, _, _ = select.select([self._qemu.port], [], [], seconds)
        if not readable:
            if self._qemu.ended():
                raise self._lost("ended")
            return b""
        try:
            data = self._qemu.port.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._qemu.wait(2.0)
            raise self._lost("ended")
        return data

    def _all(self, text: str) -> str:
        """The text with what follows it, until the guest is quiet or gone."""
        with suppress(GuestLost):
            while len(text) < _MOST_TEXT and (more := self._read(_MORE_SECONDS)):
                text += more.decode("utf-8", "replace")
        return text

    def _look(self, budgets: tuple[_Budget, ...]) -> None:
        """See what the guest spends, and tell it.  Raises GuestLost where a budget is spent."""
        self._watch.look()
        for budget in budgets:
            if budget.processor <= 0:
                raise self._looping(budget)
            if budget.asleep <= 0:
                raise self._lost(f"{budget.words} for {budget.limit.asleep:g} s, in which it wanted no processor")
        if not hasattr(self, "info") and _HALTED in self._qemu.console():
            raise self._lost("did not come up")
        if hasattr(self, "info") and time.monotonic() - self._told >= _CLOCK_SECONDS:
            self._told = time.monotonic()
            self._send({"clock": round(self._watch.had, 2)})

    def _looping(self, budget: _Budget) -> GuestLost:
        """A guest that runs and does not come to its end: interrupted, its kernel tells where it was."""
        self._qemu.interrupt()
        panic = _Budget(self._watch, _PANIC, "")
        while not self._qemu.ended() and panic.processor > 0 and panic.asleep > 0:
            self._qemu.wait(POLL_SECONDS)
            self._watch.look()
        stack = interrupted(self._qemu.console())
        where = f": kernel stack {' < '.join(stack[:_DEEP])}" if stack else self._said()
        spent = f"{budget.words} in {budget.limit.processor:g} s of processor time"
        # An idle kernel did not use the processor: a device of QEMU's did.  One that was found at work is what loops,
        # even where the agent still had its turns.
        kind = budget.kind if not stack else "crashed" if _IDLE in stack else "livelock"
        return GuestLost(kind, f"the guest {spent}{where}")

    def _lost(self, how: str) -> GuestLost:
        killed = self._qemu.killed_by()
        if killed is not None:
            return GuestLost("error", f"QEMU was killed by {killed}; is there enough memory here?")
        return GuestLost("crashed", f"the guest {how}{self._said()}")

    def _said(self) -> str:
        console = _tail(self._qemu.console())
        return f"; the end of its console: {console}" if console else ", and its console is empty"


_FRAME = re.compile(r"^(?:\[[^\]]*\])?\s*(?:RIP: \w+:)?([A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x[0-9a-f]+")
_DEEP = 12
"""So many functions are told; an idle kernel in its timer's interrupt has more above do_idle()."""
_IDLE = "do_idle"


def interrupted(console: str) -> list[str]:
    """The functions that a non-maskable interrupt found the kernel in, the innermost first; none where it tells none.

    The trace has the interrupt's own functions first, between <NMI> and </NMI>; below that a line "RIP:" tells where
    the processor was.
    """
    _, nmi, trace = console.replace("\r", "").rpartition("<NMI>")
    _, end, below = trace.partition("</NMI>")
    if not nmi or not end:
        return []
    frames = [found[1] for line in below.splitlines() if (found := _FRAME.match(line))]
    at = [found[1] for line in trace.splitlines() if "RIP:" in line and (found := _FRAME.match(line))]
    return list(dict.fromkeys([*at[:1], *frames]))


def _tail(text: str) -> str:
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines() if line.strip()]
    # The registers come after the reason: a backtrace must not push it out.
    reasons = [line for line in lines[:-_LAST_LINES] if _REASON.search(line)]
    end = " | ".join(lines[-_LAST_LINES:])[-_LAST_WORDS:]
    return " | ".join([*reasons[-_LAST_REASONS:], end])
