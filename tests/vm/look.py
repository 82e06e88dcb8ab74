"""Process 1 of a guest that looks at itself by /proc/kcore: after a scenario's last step, and all that it can hold."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict

import guest_holds
from guest_holds import PAGE
from pinhold.commands.looking import Looking
from pinhold.inspect.opening import opened
from pinhold.inspect.pinned import Look
from pinhold.inspect.records import Selection
from pinhold.inspect.view import View
from pinhold.lab import guest
from pinhold.lab.layout import MODULES
from pinhold.scenario.parse import parse
from pinhold.targets.live.progress import Deadline
from pinhold.targets.live.target import LiveTarget
from pinhold.targets.runner import StepRecord, run_scenario
from seen import HELD, seen


def apart(show: Callable[[View], object]) -> dict[str, object]:
    """What a view shows, in a process of its own: drgn keeps /proc/kcore open, and a scenario leaves nothing open."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            with opened("live") as view, view.paused() as still:
                told = {"seen": show(view), "still": still, "release": view.info.release}
        except BaseException:
            told = {"broken": traceback.format_exc()}
        with open(write, "wb") as file:
            file.write(json.dumps(told).encode())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as file:
        found: dict[str, object] = json.loads(file.read())
    os.waitpid(child, 0)
    return found


def pins(*do: Callable[[], list[dict[str, object]]]) -> dict[str, object]:
    """What this process holds once it has done that, and what `pinhold pins` tells of it."""
    pid, made = os.getpid(), [one for does in do for one in does()]
    return {"made": made, **apart(lambda view: asdict(Look(view).look(Selection(pid=pid))))}


SECURITYFS = "/sys/kernel/security"


def locked() -> dict[str, object]:
    """What `pinhold pins` tells where the kernel lets nobody read its memory: with what says so, and without it."""
    held = guest_holds.attempt("io_uring", guest_holds.memory(PAGE), PAGE, guest_holds.io_uring)
    told: dict[str, object] = {"made": held}
    for word in ("hidden", "said"):
        with closing(Looking("live")) as looking:
            told[word] = asdict(looking.look(Selection(pid=os.getpid())))
        with suppress(OSError):
            guest._mount("securityfs", SECURITYFS, "securityfs")
    return told


def main(port: str = "/dev/ttyS1") -> None:
    """Tells it as a line of JSON on the second serial port, or why there is nothing to tell."""
    guest.mount()
    told: dict[str, object] = {}
    with open("/settings.json") as file:
        settings = json.load(file)
    with open("/proc/cmdline") as file:
        lockdown = "lockdown=" in file.read()

    def look(record: StepRecord) -> None:
        if record.index == 5:
            told.update(apart(seen))

    try:
        told["missing"] = guest.set_up(settings, MODULES)
        if lockdown:
            told |= locked()
            return
        target = LiveTarget(Deadline(3600.0), disposable=True)  # by its own clock, which a busy host makes go on
        target.ready()
        result = run_scenario(target, parse(HELD), look)
        told["holders"] = pins(guest_holds.holders, guest_holds.others)
        told["written"] = pins(guest_holds.only_read, guest_holds.written)
        told["verdict"] = f"{result.verdict.kind} {result.verdict.reason}"
    except BaseException:
        told["broken"] = traceback.format_exc()
    finally:
        with open(port, "wb", buffering=0) as line:
            line.write(json.dumps(told).encode() + b"\n")
        os.sync()
        guest.power_off()
