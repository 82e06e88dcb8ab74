"""Do verdicts flip?  A suite on the running kernel, many times over, while the machine has other things to do.

    python benchmarks/steady.py [--runs 20] [--suite stock] [--on live] [--without PLACE ...]

Each run is in one of four places, in turn: as it is; beside programs that compute and write files; beside some that pin
and have memory reclaimed (tests/neighbour.py); and in a container: user, pid and mount namespaces of its own and, where
cgroups can be made, a memory cgroup (version 1 or 2).  Two runs in one place have to come to the same verdict in every
test, and so have all places; what differs is printed with its reasons, and the exit status is 1.  The container is
another user's, who may do less: what only there is skipped, or cannot be told, is no other verdict, and is counted.

It changes no setting.  The cgroup is removed at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pinhold.scenario.runfile import read_run

ROOT = Path(__file__).parents[1]
PINHOLD = [sys.executable, "-I", "-m", "pinhold"]
CGROUPS = Path("/sys/fs/cgroup")
LIMIT = 512 << 20
"""Bytes that the container may use."""

LOAD = """
import hashlib, os, sys, tempfile, time
until = time.monotonic() + float(sys.argv[1])
with tempfile.TemporaryFile() as file:
    while time.monotonic() < until:
        data = bytearray(os.urandom(1 << 20)) * 32
        hashlib.sha256(data)
        file.seek(0)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
"""
"""Memory that comes and goes, processor time, and dirty pages of a file."""

Verdicts = Mapping[str, tuple[str, str]]
"""Of each test its verdict, and the reason."""


def verdicts(path: Path) -> Verdicts:
    """Of a run file."""
    with path.open(encoding="utf-8") as lines:
        runs = read_run(lines).runs
    return {run.name: (run.verdict.kind, run.verdict.reason or "") if run.verdict else ("cut off", "") for run in runs}


def differing(first: Verdicts, now: Verdicts) -> list[str]:
    """The tests whose verdicts differ, in words."""
    return [
        f"{name}: {' '.join(first.get(name, ('not run',)))} / {' '.join(now.get(name, ('not run',)))}"
        for name in dict.fromkeys([*first, *now])
        if first.get(name, ("",))[0] != now.get(name, ("",))[0]
    ]


UNASKED = ("skipped", "unknown")
"""Verdicts of a user who may not ask, or not see what there is."""


def asked_there(now: Verdicts, place: str, first: Verdicts) -> Verdicts:
    """What a place says of the tests that it could ask: a container's user may do less, and how much less is told."""
    if place != "container":
        return now
    unasked = {
        name for name, (kind, _) in now.items() if name in first and kind in UNASKED and first[name][0] not in UNASKED
    }
    print(f"    {place}: {len(now) - len(unasked)} of {len(now)} tests compared; {len(unasked)} it may not ask")
    return {name: first[name] if name in unasked else told for name, told in now.items()}


@contextmanager
def running(*commands: Sequence[str]) -> Iterator[None]:
    """Programs beside what runs in the block."""
    programs = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands]
    try:
        yield
    finally:
        for program in programs:
            program.terminate()
            program.wait()


def memory_limit(cgroups: Path = CGROUPS) -> tuple[Path, str] | None:
    """Where memory cgroups are made, and the file of their limit; None where there can be none.  Version 2 has one tree
    for all, whose root has to hand memory on; version 1 has one for memory."""
    try:
        if "memory" in (cgroups / "cgroup.subtree_control").read_text().split():
            return cgroups, "memory.max"
    except OSError:
        pass
    return (cgroups / "memory", "memory.limit_in_bytes") if (cgroups / "memory").is_dir() else None


@contextmanager
def memory_cgroup(cgroups: Path = CGROUPS) -> Iterator[Path | None]:
    """One with a limit; None where it cannot be made."""
    found = memory_limit(cgroups)
    folder = found[0] / f"pinhold-steady-{os.getpid()}" if found else None
    try:
        if found and folder:
            folder.mkdir()
            (folder / found[1]).write_text(str(LIMIT))
    except OSError:
        folder = None
    try:
        yield folder
    finally:
        if folder:
            with contextlib.suppress(OSError):
                folder.rmdir()


def run(asked: Sequence[str], out: Path, before: Sequence[str] = ()) -> int:
    """One run of the suite; before: what begins it."""
    command = [*before, *PINHOLD, "run", *asked, "-o", str(out)]
    return subprocess.run(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False).returncode


def in_container(asked: Sequence[str], out: Path) -> int:
    """In namespaces of its own, as a user that is root only there, in a memory cgroup if there can be one."""
    with memory_cgroup() as group:
        enter = ["sh", "-c", f'echo $$ > "{group}/cgroup.procs"; exec "$@"', "sh"] if group else []
        unshare = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount", "--mount-proc"]
        return run(asked, out, [*enter, *unshare])


def under_load(asked: Sequence[str], out: Path) -> int:
    """Beside as many programs that compute and write as there are processors, and one more."""
    load = [sys.executable, "-c", LOAD, "600"]
    with running(*[load] * (len(os.sched_getaffinity(0)) + 1)):
        return run(asked, out)


def beside_pins(asked: Sequence[str], out: Path) -> int:
    """Beside two programs that pin, copy and have memory reclaimed."""
    neighbour = [sys.executable, str(ROOT / "tests" / "neighbour.py"), "600"]
    with running(neighbour, neighbour):
        return run(asked, out)


PLACES = {"alone": run, "load": under_load, "pins": beside_pins, "container": in_container}


def main(arguments: Sequence[str] | None = None) -> int:
    """0: no verdict was another than that of the first run in its place."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--suite", default="stock")
    parser.add_argument("--on", default="live", help="a target; pins and container are for live")
    parser.add_argument("--without", action="append", choices=tuple(PLACES), default=[])
    options = parser.parse_args(arguments)
    places = [place for place in PLACES if place not in options.without]
    first: dict[str, Verdicts] = {}
    flipped = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o777)
        for number in range(options.runs):
            place = places[number % len(places)]
            out, begun = folder / f"{number}.json", time.monotonic()
            status = PLACES[place]([options.suite, "--without", "1G", "--on", options.on], out)
            now = verdicts(out) if out.exists() and out.stat().st_size else {}
            differs = differing(first.setdefault(place, now), now)
            flipped += len(differs)
            kinds = [kind for kind, _ in now.values()]
            counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "nothing ran"
            print(f"{number + 1:3} {place:9} {time.monotonic() - begun:6.1f} s  status {status}: {counts}", flush=True)
            print(*(f"      {line}" for line in differs), sep="\n", end="\n" if differs else "", flush=True)
    for place in list(first)[1:]:
        for line in differing(first[places[0]], asked_there(first[place], place, first[places[0]])):
            flipped += 1
            print(f"    {places[0]} / {place}: {line}")
    print(f"{options.runs} runs: {'no verdict flipped' if not flipped else f'{flipped} verdicts flipped'}")
    return 1 if flipped else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what runs beside is ended, too
    sys.exit(main())
