"""What every report is made of: the results of some tests on one target."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.suites import place as place_of
from pinhold.scenario.titles import case_and_memory
from pinhold.scenario.verdict import KINDS, Verdict
from pinhold.targets.runner import Result

CONCLUSIVE = frozenset({"held", "violated", "xfail", "livelock"})
"""Verdicts that say something about the memory, as opposed to the tool or the machine."""

NOT_HERE = Verdict("skipped", reason="not run on this target")
"""Of a test that another target of the report has run."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One test on one target.

    number: in its suite; name: as on the command line ("seed/151"); text: the words of the selftest's result line.
    """

    number: int
    name: str
    text: str
    result: Result

    @property
    def title(self) -> str:
        """The title of the scenario, as in the selftest's [RUN] line."""
        return self.result.scenario.title

    @property
    def verdict(self) -> Verdict:
        """The verdict of the run."""
        return self.result.verdict

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What made the pins."""
        return tuple(sorted(set(self.result.mechanisms.values())))

    @property
    def case(self) -> str:
        """The title up to the kind of memory."""
        return case_and_memory(self.title)[0]

    @property
    def memory(self) -> str:
        """The kind of memory, or "" for a title that names none."""
        return case_and_memory(self.title)[1]


@dataclass(frozen=True, slots=True)
class TargetRun:
    """All tests of one command on one target, in the order of the suite."""

    info: TargetInfo
    results: tuple[CaseResult, ...]
    seconds: float = 0.0

    @property
    def kernel(self) -> str:
        """Of a real kernel "Linux 6.18.44", without the builder's suffix; of a model ""."""
        number = re.match(r"[0-9]+(\.[0-9]+)*", self.info.rules or self.info.release)
        return "" if self.info.target.startswith("model:") else f"Linux {number[0] if number else self.info.release}"


def aligned(runs: Sequence[TargetRun]) -> list[TargetRun]:
    """The runs with the same tests in the same order: those that a target has not run are NOT_HERE there.

    A test is known by its name; one that was run several times is as many tests.
    """
    results = [dict(_times(run.results)) for run in runs]
    tests: dict[tuple[str, int], CaseResult] = {}
    for of_target in results:
        tests |= {key: result for key, result in of_target.items() if key not in tests}
    keys = list(tests)
    if any(len(of_target) < len(tests) for of_target in results):
        suites = list(dict.fromkeys(_suite(name) for name, _ in tests))
        keys.sort(key=lambda key: (suites.index(_suite(key[0])), tests[key].number, key[1]))
    return [
        replace(run, results=tuple(of_target.get(key) or _not_run(tests[key], run) for key in keys))
        for run, of_target in zip(runs, results, strict=True)
    ]


def _times(results: Sequence[CaseResult]) -> Iterator[tuple[tuple[str, int], CaseResult]]:
    """Each with its name, and how often that was there before."""
    before: Counter[str] = Counter()
    for result in results:
        yield (result.name, before[result.name]), result
        before[result.name] += 1


def _suite(name: str) -> str:
    """ "" of a test that is a file."""
    found = place_of(name)
    return found[0] if found else ""


def _not_run(test: CaseResult, run: TargetRun) -> CaseResult:
    return replace(test, result=Result(run.info.name, test.result.scenario, NOT_HERE))


def pools(info: TargetInfo) -> str:
    """Of a real kernel what memory tests can use up there, in words, as far as it is known; of a model ""."""
    config = info.config
    if info.target.startswith("model:") or "swap_kib" not in config:
        return ""
    huge = (f"{config[f'hugetlb_{size}']} huge pages of {size}" for size in ("2M", "1G"))
    swap = f"{int(config['swap_kib']) >> 10} MiB of swap"
    return ", ".join([*huge, swap, f"ordinary files on {config['files']}"])


def one_line(text: str) -> str:
    """`text` with every run of white space and control characters as one blank."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def tally(results: Sequence[CaseResult]) -> str:
    """The verdicts counted, in words: "150 held, 12 violated"."""
    counts = Counter(r.verdict.kind for r in results)
    return ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]) or "nothing ran"


def counted(number: int, noun: str) -> str:
    """ "1 test", "2 tests"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def all_of(*counts: tuple[int, str]) -> str:
    """ "the 1 verdict", "all 2 verdicts and 1 value": numbers of things, by their nouns."""
    words = " and ".join(counted(*each) for each in counts)
    return f"{'the' if counts[0][0] == 1 else 'all'} {words}"


def number_ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers, runs joined: "1-3, 7"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
