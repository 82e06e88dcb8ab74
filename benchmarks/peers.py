"""pinhold beside SPIN and Rumur: the same scopes, in one run, by one thread each, and by one for each processor.

Every program is built once, from nothing, and then all of a scope's are run in turn, so that what else the machine does
meets all alike.  The medians of processor time are printed: elapsed time measures the machine's other work, too.  Each
row is told when its program has run for the last time.
Status 0: all counts agree; 1: they do not; 4: a tool is missing or fails.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from pinhold.explore.scope import Scope, library
from verifiers import SWITCHES, Counts, PeerFailed, Run, Verifier, missing, rumur, run, spin

RUNS = 3
ENOUGH = 120.0
"""Seconds: what has run for so long is not repeated."""

EXHAUST = Path(__file__).with_name("exhaust.py")
LONGEST = 12


class Seconds(NamedTuple):
    processor: float
    elapsed: float


@dataclass
class Contestant:
    """One program on one scope.  built: seconds, cold; searching: how much of a run, of processor and elapsed time,
    it searched."""

    name: str
    symmetric: bool
    command: Sequence[str]
    counts: Callable[[str], Counts]
    searching: Callable[[Run], Seconds]
    built: float
    environment: dict[str, str] | None = None
    threads: int = 1
    runs: list[Run] = field(default_factory=list)

    @property
    def search(self) -> float:
        return statistics.median(self.searching(r).processor for r in self.runs)

    @property
    def elapsed(self) -> float:
        return statistics.median(self.searching(r).elapsed for r in self.runs)

    @property
    def start(self) -> float:
        return statistics.median(r.seconds - self.searching(r).processor for r in self.runs)

    def times_as_fast(self, other: Contestant) -> float:
        """By processor time; with several threads by elapsed time, for which they are."""
        return other.elapsed / self.elapsed if self.threads > 1 else other.search / self.search

    @property
    def tired(self) -> bool:
        return bool(self.runs) and sum(r.elapsed for r in self.runs) >= ENOUGH


@dataclass
class Race:
    """All contestants on one scope; functions: pinhold's seconds of compiling, by function."""

    scope: Scope
    contestants: list[Contestant]
    functions: dict[str, float]

    def disagreements(self) -> list[str]:
        """What did not count as the first of its kind did, and what the library does not say so."""
        wrong = []
        for c in self.contestants:
            wanted = self.counted(c.symmetric)
            for r in c.runs:
                counts = c.counts(r.output)
                if not counts.agree(wanted.states, wanted.transitions):
                    wrong.append(f"{self.scope.name}: {c.name} counts {described(counts)}, not {described(wanted)}")
        known = Counts(self.scope.states, self.scope.transitions)
        if self.counted(True) != known:
            wrong.append(f"{self.scope.name}: the library says {described(known)} with symmetry")
        return wrong

    def counted(self, symmetric: bool) -> Counts:
        """By pinhold."""
        first = next(c for c in self.contestants if c.symmetric == symmetric and c.name == "pinhold")
        return first.counts(first.runs[0].output)


def described(counts: Counts) -> str:
    return f"{counts.states:,} states and {counts.transitions:,} transitions"


def race(scope: Scope, place: Path, runs: int, brief: bool) -> Race:
    """Build all, then run them in turn.  brief: of the peers SPIN's depth-first search alone."""
    name = scope.name
    threads = len(os.sched_getaffinity(0))
    peers = [peer("SPIN, depth first", spin(name, room(place, "depth")))]
    if not brief:
        peers += [
            peer("SPIN, breadth first", spin(name, room(place, "breadth"), breadth_first=True)),
            peer("Rumur", rumur(name, room(place, "rumur"))),
            peer("Rumur", rumur(name, room(place, "symmetric"), symmetry="heuristic"), symmetric=True),
        ]
    if threads > 1 and not brief:
        breadth = spin(name, room(place, "cores"), breadth_first=True, threads=threads)
        murphi = rumur(name, room(place, "threads"), symmetry="heuristic", threads=threads)
        peers += [
            peer(f"SPIN, breadth, {threads} threads", breadth, threads=threads),
            peer(f"Rumur, {threads} threads", murphi, symmetric=True, threads=threads),
        ]
    say(f"{name}: peers are built")
    environment = os.environ | {"XDG_CACHE_HOME": str(room(place, "cache"))}
    cold = json.loads(run([sys.executable, str(EXHAUST), name], environment).output)
    say(f"{name}: pinhold is compiled")
    kinds = [("pinhold", [], 1), ("pinhold, one property", ["--one-property"], 1)]
    if threads > 1:
        kinds.append((f"pinhold, {threads} threads", ["--jobs", str(threads)], threads))
    ours = [
        Contestant(kind, symmetric, command, json_counts, json_seconds, cold["compile_seconds"], environment, jobs)
        for symmetric in (False, True)
        for kind, options, jobs in kinds
        for command in [[sys.executable, str(EXHAUST), name, *options, *([] if symmetric else ["--no-symmetry"])]]
    ]
    contestants = sorted([*peers, *ours], key=lambda c: c.symmetric)
    print_head(name, contestants[0])
    for last in (False,) * (runs - 1) + (True,):
        for c in contestants:
            if not c.tired:
                c.runs.append(run(c.command, c.environment))
                told = f"{name}: {c.name}{' with symmetry' * c.symmetric}"
                say(f"{told}: {c.runs[-1].seconds:.1f} s of {c.runs[-1].elapsed:.1f} s")
            if last:
                print_row(c, contestants[0])
    return Race(scope, contestants, cold["functions"])


def peer(name: str, verifier: Verifier, *, symmetric: bool = False, threads: int = 1) -> Contestant:
    def whole(r: Run) -> Seconds:
        return Seconds(r.seconds, r.elapsed)

    return Contestant(name, symmetric, verifier.command, verifier.counts, whole, verifier.built, threads=threads)


def room(place: Path, name: str) -> Path:
    directory = place / name
    directory.mkdir()
    return directory


def json_counts(output: str) -> Counts:
    said = json.loads(output)
    if not said["exhausted"]:
        raise PeerFailed("pinhold did not exhaust the scope")
    return Counts(said["states"], said["transitions"])


def json_seconds(r: Run) -> Seconds:
    said = json.loads(r.output)
    return Seconds(said["seconds"], said["wall"])


# --- what is printed ---

COLUMNS = {
    "states": 13,
    "cold": 7,
    "start": 7,
    "search": 9,
    "elapsed": 9,
    "ns/transition": 15,
    "bytes/state": 13,
    "SPIN = 1": 10,
    "whole": 8,
}
HEAD = f"{'':<28}" + "".join(f"{name:>{width}}" for name, width in COLUMNS.items())
NOTES = """states: without symmetry, or with it, by all programs alike.
cold: seconds to build it from nothing (SPIN, Rumur: generate C and compile it; pinhold: numba, empty cache).
start, search: processor seconds of a warm run, of all threads; a peer's start is not told apart, and SPIN's threads are
processes that it does not wait for.  elapsed: of the search, with whatever else the machine did.
bytes/state: most resident memory by states.
SPIN = 1: how many times faster than SPIN, depth first, the search is: by processor time, of several threads by elapsed
time; whole: start and search together.
one property: like the peers, pinhold looks at the long-term pin alone; else at all properties and all invariants."""


def print_head(name: str, yardstick: Contestant) -> None:
    print(f"\n{name}, beside {yardstick.name}; the last rows are with symmetry\n{HEAD}", flush=True)


def print_row(c: Contestant, yardstick: Contestant) -> None:
    print(row(c, yardstick), flush=True)


def row(c: Contestant, yardstick: Contestant) -> str:
    counts = c.counts(c.runs[0].output)
    peak = statistics.median(r.peak for r in c.runs)
    start = "" if c.start == 0 else f"{c.start:.2f}"
    name = f"{c.name}{', symmetry' * c.symmetric}"
    return (
        f"{name:<28}{counts.states:>13,}{c.built:>7.1f}{start:>7}{c.search:>9.2f}{c.elapsed:>9.2f}"
        f"{1e9 * c.search / counts.transitions:>15,.0f}{peak / counts.states:>13,.0f}"
        f"{c.times_as_fast(yardstick):>10.1f}"
        f"{(yardstick.search + yardstick.start) / (c.search + c.start):>8.1f}"
    )


def print_functions(r: Race) -> None:
    """Where the cold compilation's time goes."""
    whole = f"{len(r.functions)} functions for {r.scope.name}: {sum(r.functions.values()):.1f} s"
    print(f"\nCompiling pinhold's {whole}; the longest:")
    for name, seconds in sorted(r.functions.items(), key=lambda item: -item[1])[:LONGEST]:
        print(f"  {name:<26}{seconds:>8.2f}")


def print_machine() -> None:
    """Versions, and what it ran on."""
    versions = [first_line("spin", "-V"), first_line("rumur", "--version"), first_line("gcc", "--version")]
    print(f"{'; '.join(versions)}")
    print(f"Python {platform.python_version()}, numba {version('numba')}, Linux {platform.release()}")
    print(f"{cpu()}, {os.cpu_count()} CPUs; load {os.getloadavg()[0]:.1f} at the start")


def first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scopes", nargs="*", default=list(SWITCHES), help=", ".join(SWITCHES))
    parser.add_argument("--runs", type=int, default=RUNS, help=f"of each program; {RUNS} unless told")
    parser.add_argument("--brief", action="store_true", help="beside pinhold, run SPIN's depth-first search alone")
    options = parser.parse_args()
    if unknown := [name for name in options.scopes if name not in SWITCHES]:
        parser.error(f"no peers for {', '.join(unknown)}; there are {', '.join(SWITCHES)}")
    if lacking := missing():
        say(f"missing: {', '.join(lacking)}; as root: apt-get install {' '.join(lacking)}")
        return 4
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    print_machine()
    wrong = []
    try:
        for name in options.scopes:
            with tempfile.TemporaryDirectory(prefix="pinhold-bench-") as place:
                result = race(library()[name], Path(place), max(options.runs, 1), options.brief)
            wrong += result.disagreements()
    except PeerFailed as error:
        say(str(error))
        return 4
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print_functions(result)
    print(f"\n{NOTES}")
    print("\n" + ("\n".join(wrong) if wrong else "All counts agree."))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
