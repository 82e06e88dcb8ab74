"""The peers: SPIN and Rumur on the encodings of peers/, built and run once.

Raises PeerFailed where a tool is missing, fails or prints no counts; the message says which and what it said.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
PROMELA, MURPHI = PEERS / "pin.pml", PEERS / "pin.m"

SWITCHES = {
    "bench-tiny": ("-DNF=3", "-DNV=1", "-DFILE=1", "-DFORK=0"),
    "bench-fork": ("-DNF=3", "-DNV=1", "-DFILE=0", "-DFORK=1"),
    "bench-two": ("-DNF=4", "-DNV=2", "-DFILE=0", "-DFORK=1"),
}
"""Scope -> what makes the two models that scope."""

TOOLS = ("spin", "rumur", "gcc")
GCC = ("gcc", "-march=native", "-w")
FASTEST, SOONEST = "-O3", "-O1"
"""For gcc: what runs fastest, what is compiled soonest."""

SPIN_SIZES = {"bench-tiny": ("-m1000", "-w12"), "bench-fork": ("-m50000", "-w19"), "bench-two": ("-m2000000", "-w26")}
"""The depth of SPIN's stack, enough for the scope, and 2**w slots of its table, more than there are states."""


class PeerFailed(RuntimeError):
    """What a peer could not do."""


@dataclass(frozen=True)
class Counts:
    """States and transitions, these as far as they were printed: to the nearest multiple of `unit`."""

    states: int
    transitions: int
    unit: int = 1

    def agree(self, states: int, transitions: int) -> bool:
        return self.states == states and 2 * abs(self.transitions - transitions) <= self.unit * (self.unit > 1)


@dataclass(frozen=True)
class Verifier:
    """A program that exhausts one scope.  built: seconds that making it took."""

    command: tuple[str, ...]
    counts: Callable[[str], Counts]
    built: float


@dataclass(frozen=True)
class Run:
    """elapsed: seconds from start to exit; seconds: of processor time; peak: most bytes resident."""

    output: str
    elapsed: float
    seconds: float
    peak: int


def missing() -> list[str]:
    """The tools that are not installed."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def spin(
    scope: str,
    place: Path,
    *,
    breadth_first: bool = False,
    threads: int = 1,
    model: Path = PROMELA,
    optimise: str = FASTEST,
) -> Verifier:
    """SPIN's verifier of a scope, made in the directory `place`.  Partial-order reduction is off: it finds nothing
    to leave out.  threads: of a breadth-first search, which with several keeps hashes of states alone."""
    order = ("-DBFS",) if breadth_first else ()
    together = ("-DBFS_PAR",) if threads > 1 else order
    start = time.monotonic()
    call("spin", *SWITCHES[scope], *order, "-a", str(model), cwd=place)
    call(*GCC, optimise, "-DNOREDUCE", "-DSAFETY", "-DMEMLIM=16000", *together, "-o", "pan", "pan.c", cwd=place)
    cores = (f"-u{threads}",) if threads > 1 else ()
    return Verifier((str(place / "pan"), *SPIN_SIZES[scope], *cores), spin_counts, time.monotonic() - start)


def rumur(
    scope: str,
    place: Path,
    *,
    symmetry: str = "off",
    threads: int = 1,
    model: Path = MURPHI,
    optimise: str = FASTEST,
) -> Verifier:
    """Rumur's verifier.  symmetry: off, heuristic, or exhaustive, which is slow and sure to count each class once."""
    start = time.monotonic()
    switches = (*SWITCHES[scope], f"-DSYMMETRY={int(symmetry != 'off')}")
    (place / "scope.m").write_text(call("gcc", "-E", "-P", "-x", "c", *switches, str(model), cwd=place))
    options = ("--symmetry-reduction", symmetry, "--deadlock-detection", "stuck", "--threads", str(threads))
    call("rumur", *options, "scope.m", "-o", "scope.c", cwd=place)
    call(*GCC, optimise, "-o", "scope", "scope.c", "-lpthread", cwd=place)
    return Verifier((str(place / "scope"),), rumur_counts, time.monotonic() - start)


def spin_counts(output: str) -> Counts:
    """SPIN counts the first state as a transition, and prints eight digits of any number."""
    found = re.search(r"errors: 0\n\s*([\d.e+]+) states, stored.*?([\d.e+]+) transitions", output, re.DOTALL)
    if not found or "search not completed" in output.lower():
        raise PeerFailed(f"SPIN did not exhaust the scope: {tail(output)}")
    printed = found[2]
    transitions = int(float(printed))
    unit = 10 ** max(0, len(str(transitions)) - 8) if "e" in printed else 1
    return Counts(int(float(found[1])), transitions - 1, unit)


def rumur_counts(output: str) -> Counts:
    found = re.search(r"No error found.*?(\d+) states, (\d+) rules fired", output, re.DOTALL)
    if not found:
        raise PeerFailed(f"Rumur did not exhaust the scope: {tail(output)}")
    return Counts(int(found[1]), int(found[2]))


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> Run:
    """Run a program to its end, where what it leaves goes with it (SPIN writes trails); it is measured as a whole."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryDirectory() as place:
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=place)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        elapsed = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    if process.returncode:
        raise PeerFailed(f"{command[0]} ended with status {process.returncode}: {tail(text)}")
    return Run(text, elapsed, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10)


def exhausted(verifier: Verifier) -> Counts:
    """Run it, and take what it counted."""
    return verifier.counts(run(verifier.command).output)


def call(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerFailed(f"{command[0]} ended with status {done.returncode}: {tail(done.stdout + done.stderr)}")
    return done.stdout


def tail(text: str) -> str:
    """The last lines of what a tool printed."""
    return " / ".join(text.strip().splitlines()[-4:])
