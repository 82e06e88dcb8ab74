"""Whether this tree comes to what another one, the BASE, comes to: verdicts, observations, counts, lengths.

Both trees run the same: suites on models and, with --live, on the running kernel, written to run files; the history of
defects; the scopes that Python exhausts.  The files are then compared, field by field but for the time that things
took.  A checkout's own .venv is used where it has one, else the Python that runs this.

    git worktree add /tmp/base COMMIT
    python benchmarks/saved_runs.py /tmp/base --live

On the running kernel the BASE runs twice: what differs between its own two runs is the kernel's doing, and is counted
and passed over; tests that differ all the same run once more on both sides, and the second runs count.  What only this
tree has (a new scenario, a new scope) is listed apart.  Status 0: all is equal; 1: it is not, and what differs was
printed; 4: a tree could not be run.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
SUITES = ("seed", "stock")
MODELS = ("5.10", "6.1", "6.2", "6.12", "6.18", "7.3")
SHOWN = 20
"""Differences of one comparison that are printed."""

RAN = (0, 1, 2, 4)
"""Exit statuses of a run that came to verdicts: all held, some violated, some unknown, none could be run."""

Facts = Mapping[str, str]
"""What a tree came to: for each name what it is, as text."""


class CannotRun(Exception):
    """A tree that cannot be run; the message says what was tried and what it said."""


@dataclass
class Comparison:
    """of: what was compared; base, here: what each came to; noise: names that the base itself has two values of."""

    of: str
    base: Facts
    here: Facts
    noise: frozenset[str] = frozenset()
    differing: list[str] = field(default_factory=list)
    only_here: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = [*self.base, *(name for name in self.here if name not in self.base)]
        for name in names:
            if name not in self.base:
                self.only_here.append(name)
            elif name not in self.noise and self.here.get(name) != self.base[name]:
                self.differing.append(name)

    def lines(self) -> Iterator[str]:
        """The report: one line, and one for each difference."""
        counted = f"{len(self.base)} compared, {len(self.differing)} differ"
        counted += f", {len(self.noise)} passed over, in which the base differs from itself" if self.noise else ""
        counted += f", {len(self.only_here)} only here" if self.only_here else ""
        yield f"{self.of}: {counted}"
        for name in self.differing[:SHOWN]:
            yield f"  {name}"
            yield f"    base: {self.base[name]}"
            yield f"    here: {self.here.get(name, 'missing')}"
        if len(self.differing) > SHOWN:
            yield f"  … and {len(self.differing) - SHOWN} more"
        yield from (f"  only here: {name}" for name in tests_of(self.only_here))


def tests_of(names: Sequence[str]) -> list[str]:
    """Each test of such names once: a name is TEST, or TEST and what of it."""
    return list(dict.fromkeys(name.partition(" ")[0] for name in names))


def pinhold(tree: Path, *arguments: str) -> str:
    """What the tree's pinhold prints.  Raises CannotRun."""
    own = tree / ".venv/bin/python"
    python = str(own) if own.exists() else sys.executable
    start = f"import sys; sys.path.insert(0, {str(tree / 'src')!r}); from pinhold.cli import entry; entry()"
    command = [python, "-I", "-c", start, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in RAN:
        raise CannotRun(f"{tree}: pinhold {' '.join(arguments)}: status {done.returncode}\n{done.stderr}")
    return done.stdout


# --- run files ---


def suites(tree: Path, target: str, tests: Sequence[str] = SUITES) -> Facts:
    """Of each test its text, each step's observation and decisions, and its verdict."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.json"
        pinhold(tree, "run", *tests, "--on", target, "--format", "json", "-o", str(file))
        return dict(facts_of_run(json.loads(line) for line in file.read_text().splitlines()))


def facts_of_run(records: Iterator[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """The comparable facts of a run file's lines.  Of a decision its site: its words may be said better elsewhere."""
    names: dict[int, str] = {}
    for record in records:
        kind, run = record["line"], record.get("run", -1)
        if kind == "scenario":
            names[run] = record["name"]
            yield f"{names[run]} text", record["text"]
        elif kind == "step":
            place = f"{names[run]} {record['index'] + 1} {record['step']!r}"
            yield f"{place} observation", dumped(record.get("observation"), record.get("check"))
            yield f"{place} decisions", dumped([decision["site"] for decision in record.get("decisions", ())])
        elif kind == "verdict":
            yield f"{names[run]} verdict", dumped(record["verdict"], record.get("mechanisms"))
        elif kind == "end":
            yield "runs", str(record["runs"])


def dumped(*values: object) -> str:
    return " ".join(json.dumps(value, sort_keys=True) for value in values if value is not None)


def live(base: Path, here: Path) -> Comparison:
    """The suites on the running kernel, on which other programs run, too."""
    first, found, again = (suites(tree, "live") for tree in (base, here, base))
    noise = frozenset(name for name, value in first.items() if again.get(name) != value)
    compared = Comparison("live", first, found, noise)
    repeated = [test for test in tests_of(compared.differing) if "/" in test]
    if not repeated:
        return compared
    second = [dict(suites(tree, "live", repeated)) for tree in (base, here)]
    for facts in second:
        del facts["runs"]
    return Comparison(f"live, {', '.join(repeated)} run again", {**first, **second[0]}, {**found, **second[1]}, noise)


# --- the explorer ---


def history(tree: Path) -> Facts:
    """Of each defect the row of `explore --history` without its seconds."""
    lines = pinhold(tree, "explore", "--history").splitlines()
    rows = [line for line in lines if re.search(r"\(\w+\) ", line)]
    facts = {row.partition(")")[0] + ")": " ".join(re.sub(r"\s\d+\.\d\d(?=\s|$)", "", row).split()) for row in rows}
    return facts | {"told": lines[-1].partition(";")[0]}


def scopes(tree: Path) -> dict[str, str]:
    """The scopes that come with the tree: name -> size."""
    rows = (line.split() for line in pinhold(tree, "explore", "--list").splitlines())
    return {row[0]: row[1] for row in rows if len(row) > 1 and row[1] in ("small", "medium", "large")}


def counts(tree: Path, names: Sequence[str]) -> Facts:
    """Of each scope its states, transitions, depth, and what was found, with symmetry and without."""
    found = {}
    for name in names:
        for how in ((), ("--no-symmetry",)):
            said = pinhold(tree, "explore", name, "--interpreted", *how)
            sentence = said.partition("\nDecisions never passed")[0]
            found[" ".join((name, *how))] = re.sub(r", [\d.]+ s interpreted", "", sentence)
    return found


# --- all of it ---


def comparisons(base: Path, here: Path, *, models: Sequence[str], on_live: bool) -> Iterator[Comparison]:
    """One after the other, each as soon as it is known."""
    for model in models:
        target = f"model:{model}"
        yield Comparison(target, suites(base, target), suites(here, target))
    if on_live:
        yield live(base, here)
    yield Comparison("explore --history", history(base), history(here))
    small = [name for name, size in scopes(base).items() if size == "small"]
    yield Comparison("scopes", counts(base, small), counts(here, small))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path, help="the other tree: a checkout")
    parser.add_argument("--live", action="store_true", help="compare on the running kernel, too")
    parser.add_argument("--model", action="append", metavar="REL", help=f"instead of {', '.join(MODELS)}; repeat it")
    options = parser.parse_args()
    equal = True
    try:
        for found in comparisons(options.base.resolve(), HERE, models=options.model or MODELS, on_live=options.live):
            print(*found.lines(), sep="\n", flush=True)
            equal = equal and not found.differing
    except CannotRun as error:
        print(error, file=sys.stderr)
        return 4
    print("all equal" if equal else "not equal")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
