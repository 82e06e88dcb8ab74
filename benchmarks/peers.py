"""pinhold beside SPIN and Rumur: the same scopes, in one run, one thread each.

Every program is built once, from nothing, and then all of a scope's are run in turn, so that what else the machine does
meets all alike.  The medians of processor time are printed: elapsed time measures the machine's other work, too.
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

from pinhold.explore.scope import Scope, library
from verifiers import SWITCHES, Counts, PeerFailed, Run, Verifier, missing, rumur, run, spin

RUNS = 3
ENOUGH = 120.0
"""Seconds: what has run for so long is not repeated."""

EXHAUST = Path(__file__).with_name("exhaust.py")
LONGEST = 12


@dataclass
class Contestant:
    """One program on one scope.  built: seconds, cold; searching: of a run's seconds those in which it searched."""

    name: str
    symmetric: bool
    command: Sequence[str]
    counts: Callable[[str], Counts]
    searching: Callable[[Run], float]
    built: float
    environment: dict[str, str] | None = None
    runs: list[Run] = field(default_factory=list)

    @property
    def search(self) -> float:
        return statistics.median(self.searching(r) for r in self.runs)

    @property
    def start(self) -> float:
        return statistics.median(r.seconds - self.searching(r) for r in self.runs)

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
    peers = [peer("SPIN, depth first", False, spin(scope.name, room(place, "depth")))]
    if not brief:
        peers += [
            peer("SPIN, breadth first", False, spin(scope.name, room(place, "breadth"), breadth_first=True)),
            peer("Rumur", False, rumur(scope.name, room(place, "rumur"))),
            peer("Rumur", True, rumur(scope.name, room(place, "symmetric"), symmetry="heuristic")),
        ]
    say(f"{scope.name}: peers are built")
    environment = os.environ | {"XDG_CACHE_HOME": str(room(place, "cache"))}
    cold = json.loads(run([sys.executable, str(EXHAUST), scope.name], environment).output)
    say(f"{scope.name}: pinhold is compiled")
    ours = [
        Contestant(name, symmetric, command, json_counts, json_seconds, cold["compile_seconds"], environment)
        for symmetric in (False, True)
        for name, options in (("pinhold", []), ("pinhold, one property", ["--one-property"]))
        for command in [[sys.executable, str(EXHAUST), scope.name, *options, *([] if symmetric else ["--no-symmetry"])]]
    ]
    contestants = sorted([*peers, *ours], key=lambda c: c.symmetric)
    for _ in range(runs):
        for c in contestants:
            if not c.tired:
                c.runs.append(run(c.command, c.environment))
                name = f"{scope.name}: {c.name}{' with symmetry' * c.symmetric}"
                say(f"{name}: {c.runs[-1].seconds:.1f} s of {c.runs[-1].elapsed:.1f} s")
    return Race(scope, contestants, cold["functions"])


def peer(name: str, symmetric: bool, verifier: Verifier) -> Contestant:
    return Contestant(name, symmetric, verifier.command, verifier.counts, lambda r: r.seconds, verifier.built)


def room(place: Path, name: str) -> Path:
    directory = place / name
    directory.mkdir()
    return directory


def json_counts(output: str) -> Counts:
    said = json.loads(output)
    if not said["exhausted"]:
        raise PeerFailed("pinhold did not exhaust the scope")
    return Counts(said["states"], said["transitions"])


def json_seconds(r: Run) -> float:
    return float(json.loads(r.output)["seconds"])


# --- what is printed ---

COLUMNS = {"cold": 8, "start": 8, "search": 10, "ns/transition": 15, "bytes/state": 13, "SPIN = 1": 10, "whole": 8}
HEAD = " " * 28 + "".join(f"{name:>{width}}" for name, width in COLUMNS.items())
NOTES = """cold: seconds to build it from nothing (SPIN, Rumur: generate C and compile it; pinhold: numba, empty cache).
start, search: processor seconds of a warm run; a peer's start is not told apart.
bytes/state: most resident memory by states.
SPIN = 1: how many times faster than SPIN, depth first, the search is; whole: start and search together.
one property: like the peers, pinhold looks at the long-term pin alone; else at all properties and all invariants."""


def print_race(r: Race) -> None:
    yardstick = r.contestants[0]
    for symmetric in (False, True):
        head = f"{r.scope.name}, with symmetry" if symmetric else r.scope.name
        print(f"\n{head}: {described(r.counted(symmetric))}\n{HEAD}")
        for c in r.contestants:
            if c.symmetric == symmetric:
                print(row(c, yardstick))


def row(c: Contestant, yardstick: Contestant) -> str:
    counts = c.counts(c.runs[0].output)
    peak = statistics.median(r.peak for r in c.runs)
    start = "" if c.start == 0 else f"{c.start:.2f}"
    return (
        f"  {c.name:<26}{c.built:>8.1f}{start:>8}{c.search:>10.3f}{1e9 * c.search / counts.transitions:>15,.0f}"
        f"{peak / counts.states:>13,.0f}{yardstick.search / c.search:>10.1f}"
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
    print(f"{cpu()}, {os.cpu_count()} CPUs, one used at a time; load {os.getloadavg()[0]:.1f} at the start")


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
            print_race(result)
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
