"""Process 1 of a guest: runs the scenarios that the host sends on the live target, and streams what happens back.

The second serial port carries frames (protocol.py) both ways.  From the host: {"run": text, "waits": bool} or
{"end": true}, and while a scenario runs {"clock": seconds}, what this machine has had of its host's time.  Where it
"waits", it tells with each step where everything is (LiveSession.places()), and goes on only when the host has said
{"go": true}: until then the host looks at its memory.
To the host: "hello" once with the target's description, then for each scenario "step" records, beats, one "verdict".
"""

from __future__ import annotations

import gc
import json
import os
import termios
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict
from queue import SimpleQueue
from typing import Any, NoReturn

from pinhold.lab import guest
from pinhold.lab.layout import MODULES
from pinhold.lab.protocol import Decoder, Message, encode
from pinhold.lab.records import plain_result, plain_step
from pinhold.scenario.observation import Observation
from pinhold.scenario.parse import parse
from pinhold.scenario.steps import Scenario
from pinhold.scenario.tokens import ScenarioError
from pinhold.scenario.verdict import Verdict
from pinhold.targets.base import Unavailable
from pinhold.targets.live import progress
from pinhold.targets.live.pins.external import PREFIX, External
from pinhold.targets.live.progress import Deadline
from pinhold.targets.live.session import LiveSession
from pinhold.targets.live.target import LiveTarget
from pinhold.targets.runner import Result, StepRecord, run_scenario

PORT = "/dev/ttyS1"
BEAT_SECONDS = 2.0


class Line:
    """The serial port, raw: what is written arrives as it is."""

    def __init__(self, path: str = PORT) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._decoder = Decoder()
        self._ready: list[Message] = []
        settings = termios.tcgetattr(self._descriptor)
        settings[0] = settings[1] = settings[3] = 0
        settings[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
        settings[6][termios.VMIN], settings[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._descriptor, termios.TCSANOW, settings)

    def send(self, message: Message) -> None:
        data = memoryview(encode(message))
        with self._lock:
            while data:
                data = data[os.write(self._descriptor, data) :]

    def receive(self) -> Message:
        """The next message; waits for it."""
        while not self._ready:
            self._ready += self._decoder.feed(os.read(self._descriptor, 4096))
        return self._ready.pop(0)

    def drain(self) -> None:
        """Wait until everything is out."""
        termios.tcdrain(self._descriptor)


class Ear:
    """What the host says, as it comes.  clock: the last that it said of the time."""

    def __init__(self, line: Line) -> None:
        self.clock = 0.0
        self._orders: SimpleQueue[Message] = SimpleQueue()
        threading.Thread(target=self._listen, args=(line,), daemon=True).start()

    def _listen(self, line: Line) -> None:
        while True:
            message = line.receive()
            if "clock" in message:
                self.clock = float(message["clock"])
            else:
                self._orders.put(message)

    def order(self) -> Message:
        """The next thing to do; waits for it."""
        return self._orders.get()


def main() -> NoReturn:
    """Never returns: a guest without its process 1 panics, with its last words on the console."""
    line = None
    try:
        guest.mount()
        line = Line()
        serve(line)
    except BaseException:
        words = traceback.format_exc()
        print(words, flush=True)
        if line is not None:
            line.send({"broken": words})
            line.drain()
    guest.power_off()
    os._exit(1)


def serve(line: Line) -> None:
    """Set up, say hello, and do what the host asks until it says that this was all."""
    with open("/settings.json", encoding="utf-8") as file:
        settings: dict[str, Any] = json.load(file)
    missing = guest.set_up(settings, MODULES)
    programs = []
    for command in settings.get("programs", ()):
        try:
            programs.append(External(command, settings["reply"]))
        except Unavailable as reason:
            missing[f"{PREFIX}{command}"] = str(reason)
    ear = Ear(line)
    progress.in_machine(lambda: ear.clock)
    with guest.khugepaged_at_rest():
        target = LiveTarget(Deadline(settings["deadline"]), disposable=True, external=programs, absent=missing)
        target.ready()
        line.send({"hello": asdict(target.info()), "missing": missing})
        gc.freeze()
        while "run" in (message := ear.order()):
            _run(line, target, message["run"], (lambda: ear.order()["go"]) if message.get("waits") else None)


def _run(line: Line, target: LiveTarget, text: str, wait: Callable[[], None] | None) -> None:
    """One scenario; the host hears a beat while it runs, so that it can tell a slow guest from a dead one."""

    told: Observation | None = None
    opened: list[LiveSession] = []

    def on_step(record: StepRecord) -> None:
        nonlocal told
        step = plain_step(record, told)
        told = record.observation or told
        if wait is None:
            line.send({"step": step})
        else:
            line.send({"step": step, "places": opened[0].places()})
            wait()

    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            line.send({"beat": True})

    try:
        scenario = parse(text)
    except ScenarioError as wrong:
        reason = f"the guest cannot read what the host sent: {wrong}"
        line.send({"verdict": plain_result(Result(target.name, Scenario("", ()), Verdict("error", reason=reason)))})
        return
    heart = threading.Thread(target=beat, daemon=True)
    heart.start()
    try:
        result = run_scenario(target, scenario, on_step, opened.append)
    finally:
        over.set()
        heart.join()
    line.send({"verdict": plain_result(result)})
