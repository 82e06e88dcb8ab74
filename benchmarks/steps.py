"""Steps a second of random scenarios, on the running kernel or in a guest: this tree beside another one, the BASE.

Both run the same scenarios, those of them that the BASE can read, round by round in turn, and count the steps after
which something was observed, the seconds of wall time, and of processor time (of QEMU, for a guest).  Booting is not
counted, opening and closing each scenario is.  A tree that does not know `observe` ends a scenario in a guest at the
first step that fails; on the running kernel its steps are done one by one.

    git worktree add /tmp/base COMMIT
    python benchmarks/steps.py /tmp/base --on live --jobs 2
    python benchmarks/steps.py /tmp/base --on vm:6.12

Without a BASE it tells this tree's figures alone.  A checkout's own .venv is used where it has one, else the Python
that runs this.  Status 0, or 4 where a tree could not be run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pinhold.commands.registry import model_of
from pinhold.conform.generate import generate
from pinhold.conform.profiles import PROFILES
from pinhold.conform.wanted import missing, wanted
from pinhold.scenario.printer import format_scenario
from pinhold.targets.live.target import LiveTarget
from pinhold.targets.model.target import ModelTarget

HERE = Path(__file__).parents[1]

READ = """
import json, sys
from pinhold.scenario.parse import parse
kept = []
for number, text in enumerate(json.load(sys.stdin)):
    try:
        parse(text)
    except ValueError:
        continue
    kept.append(number)
print(json.dumps(kept))
"""
"""Which of the texts a tree can read."""

LIVE = """
import gc, json, resource, sys, time
from contextlib import nullcontext
try:
    from pinhold.targets.live.target import LiveTarget
except ImportError:
    from pinhold.targets.live import LiveTarget
from pinhold.scenario.parse import parse
from pinhold.targets.base import Broken, CannotDo

def spent():
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)

def run(scenario):
    steps = 0
    try:
        with target.open(scenario) as session:
            for step in scenario.steps:
                try:
                    session.do(step)
                except CannotDo:
                    continue
                session.observe()
                steps += 1
    except Broken as reason:
        print(reason, file=sys.stderr)
    return steps

scenarios = [parse(text) for text in json.load(sys.stdin)]
target = LiveTarget()
target.info()
processor, wall = spent(), time.perf_counter()
with getattr(target, "batches", nullcontext)():
    steps = sum(map(run, scenarios))
wall = time.perf_counter() - wall
del target
gc.collect()  # the helper ends, and what it spent is known
print(json.dumps([steps, wall, spent() - processor]))
"""

GUEST = """
import json, os, sys, time
from pinhold.lab.target import VmTarget
from pinhold.scenario.parse import parse

scenarios = [parse(text) for text in json.load(sys.stdin)]
target = VmTarget(sys.argv[1])
target.info()

def spent():
    with open(f"/proc/{target._lanes[0]._guest._qemu._process.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

steps, processor, wall = 0, spent(), time.perf_counter()
for result in target.run_all(scenarios):
    steps += len(result.observations)
wall, processor = time.perf_counter() - wall, spent() - processor
target.close()
print(json.dumps([steps, wall, processor]))
"""


class CannotRun(Exception):
    """A tree that cannot be run; the message says what it said."""


@dataclass(frozen=True, slots=True)
class Spent:
    """seconds: of wall time; processor: of processor time."""

    steps: int
    seconds: float
    processor: float

    @property
    def rate(self) -> float:
        """Steps a second of wall time."""
        return self.steps / self.seconds

    @property
    def processor_rate(self) -> float:
        """Steps a second of processor time."""
        return self.steps / self.processor


def told(tree: Path, program: str, texts: Sequence[str], *arguments: str) -> str:
    """What a program says that runs with the tree's modules.  Raises CannotRun."""
    own = tree / ".venv/bin/python"
    python = str(own) if own.exists() else sys.executable
    done = subprocess.run(
        [python, "-c", program, *arguments],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tree / "src")},
    )
    if done.returncode:
        raise CannotRun(f"{tree}: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}")
    return done.stdout


def spent(tree: Path, on: str, texts: Sequence[str], jobs: int) -> Spent:
    """One round: the scenarios dealt to so many programs at once.  Raises CannotRun."""
    kind, _, kernel = on.partition(":")
    program, arguments = (LIVE, []) if kind == "live" else (GUEST, [kernel])
    with ThreadPoolExecutor(jobs) as pool:
        shares = [pool.submit(told, tree, program, texts[lane::jobs], *arguments) for lane in range(jobs)]
        lanes = [Spent(*json.loads(share.result())) for share in shares]
    return Spent(
        sum(each.steps for each in lanes), max(each.seconds for each in lanes), sum(each.processor for each in lanes)
    )


def scenarios(seed: int, number: int) -> list[str]:
    """Texts of random scenarios for the kernel that runs here, all its profiles in turn."""
    model = model_of(LiveTarget().info())
    assert isinstance(model, ModelTarget)
    profiles = [wanted(name, model, disposable=False) for name in PROFILES if not missing(name, model)]
    return [format_scenario(generate(model, profiles[each % len(profiles)], seed, each)) for each in range(number)]


def plain(text: str) -> str:
    """For a tree that does not know `observe`."""
    return "".join(line for line in text.splitlines(keepends=True) if line.strip() != "observe")


def report(name: str, rounds: Sequence[Spent]) -> str:
    """One line."""
    rate = statistics.median(each.rate for each in rounds)
    processor = statistics.median(each.processor_rate for each in rounds)
    return f"{name:>5}: {rounds[0].steps} steps, {rate:.0f} a second, {processor:.0f} a second of processor time"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", nargs="?", type=Path, help="the other tree: a checkout")
    parser.add_argument("--on", default="live", metavar="TARGET", help="live, or vm:REL")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="so many programs, or guests, at once")
    parser.add_argument("--scenarios", type=int, default=100, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    trees = {"here": HERE} | ({"base": options.base.resolve()} if options.base else {})
    texts = scenarios(options.seed, options.scenarios)
    found: dict[str, list[Spent]] = {name: [] for name in trees}
    try:
        given = {name: texts for name in trees}
        if options.base:
            read = json.loads(told(trees["base"], READ, texts))
            known = read or json.loads(told(trees["base"], READ, [plain(text) for text in texts]))
            given = {name: [texts[each] for each in known] for name in trees}
            if not read:
                given["base"] = [plain(text) for text in given["base"]]
        for _ in range(options.rounds):
            for name, tree in trees.items():
                found[name].append(spent(tree, options.on, given[name], options.jobs))
    except CannotRun as reason:
        print(reason, file=sys.stderr)
        return 4
    print(f"{options.on}, {len(given['here'])} scenarios, jobs {options.jobs}, medians of {options.rounds} rounds:")
    for name, rounds in found.items():
        print(report(name, rounds))
    if options.base:
        pairs = list(zip(found["here"], found["base"], strict=True))
        wall = statistics.median(here.rate / base.rate for here, base in pairs)
        processor = statistics.median(here.processor_rate / base.processor_rate for here, base in pairs)
        print(f"ratio: {wall:.2f} of wall time, {processor:.2f} of processor time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
