"""What a command says of the runs that it shows, and the status that goes with it: both from the same results.

A command shows exactly the runs that it has judged, prints what is said here, and ends with the status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pinhold.commands import NothingToRun
from pinhold.commands.agreement import agreement
from pinhold.commands.expected import is_twelve, predicted
from pinhold.commands.select import Selected
from pinhold.report import terminal
from pinhold.report.baseline import parts
from pinhold.report.results import CaseResult, TargetRun, all_of, counted, number_ranges, one_line, tally
from pinhold.scenario.verdict import (
    BROKEN,
    EXIT_BROKEN,
    EXIT_HELD,
    EXIT_NOTHING_RUN,
    EXIT_UNKNOWN,
    EXIT_VIOLATED,
    Verdict,
    exit_status,
    severest,
)

MODEL = "model:"
UNPREDICTED = "Its rules make no prediction."
HELD = Verdict("held")
_SHOWN = 12
"""So many differences are told one by one."""
_LISTED = 8
"""Parts of suites that are named one by one."""

EXIT_UNTESTABLE = 125
"""`git bisect run` takes 1 to 124 for bad, passes over a commit with 125, and stops at what is 128 or more: cli.main()
makes that of every other status."""


@dataclass(frozen=True, slots=True)
class Judged:
    """status: of verdict.EXIT_*; verdict: a sentence; details: one each."""

    status: int
    verdict: str
    details: tuple[str, ...] = ()

    def told(self, most: int = _SHOWN) -> Iterator[str]:
        """The sentence, and so many of the details."""
        yield self.verdict
        yield from (f"  {line}" for line in self.details[:most])
        if len(self.details) > most:
            yield f"  … and {len(self.details) - most} more"


@dataclass(frozen=True, slots=True)
class Column:
    """A run of `check`, and what it is judged by.

    model: the same tests on the model of a real kernel, None where there is none; quoted: whether it is the suite
    `seed`, of which twelve are counted apart.
    """

    run: TargetRun
    tests: Sequence[Selected]
    model: TargetRun | None = None
    quoted: bool = True

    @property
    def suite(self) -> str:
        """What the tests are of."""
        return self.tests[0].name.partition("/")[0]

    def judged(self) -> Judged:
        """As its rules predict, or as its model does; and what broke decides before that."""
        if self.run.info.target.startswith(MODEL):
            found = _against_rules(self.run, self.tests)
        else:
            found = _against_model(self.run, self.model)
        found = _or_broken(found, self.run, *([self.model] if self.model is not None else []))
        count = f"{_named(self.run)}: {tally(self.run.results)}."
        if self.quoted:
            twelve = [r for r, t in zip(self.run.results, self.tests, strict=True) if is_twelve(t)]
            count += f" Of the seed's twelve: {tally(twelve)}."
        return replace(found, verdict=f"{count} {found.verdict}")


_CLOSING = {
    EXIT_HELD: "All as predicted.",
    EXIT_UNKNOWN: "Nothing differs from what was predicted, but not every column could be judged: see above.",
    EXIT_VIOLATED: "NOT all as predicted: see above.",
    EXIT_BROKEN: "The tool broke: see above.",
}


def closing(parts: Iterable[Judged]) -> Judged:
    """The last line of `check`, from what is said of its columns."""
    parts = list(parts)
    status = severest(part.status for part in parts)
    if all(part.verdict.endswith(UNPREDICTED) for part in parts):
        return Judged(status, "Nothing was predicted.")
    return Judged(status, _CLOSING[status])


def compared(left: TargetRun, right: TargetRun, bisect: bool, early: Sequence[str] = ()) -> Judged:
    """The end of `compare`; what differs, what broke, and what one side alone skipped are the details, all of them.

    early: that a side, which was run before, has not all that was asked for, a sentence each.  Status 4 where nothing
    could be compared, and 2 where nothing differs but one side skipped what the other did, or ended early.  To a
    bisection a difference is one whatever broke elsewhere, and so is a kernel that crashed in a test; of what else
    broke, or could not be compared, nothing can be told: 125.  It is told by the tests that both sides did.
    """
    found = agreement(left.results, right.results)
    broke = _broken(left, right)
    alone = _skipped_alone(left, right)
    details = (*found.differences, *map(_reason, broke), *_told_alone(alone), *early)
    names = f"{left.info.name} and {right.info.name}"
    counts = [(found.verdicts, "verdict"), (found.values, "observed value")]  # there may be no verdict to expect
    counts = [each for each in counts if each[0]] or counts[1:]  # a selftest shows no value
    tail = f" The tool broke in {_which(broke)}." if broke else ""
    if found.differences:
        status = EXIT_BROKEN if broke and not bisect else EXIT_VIOLATED
        seen = " and ".join(counted(*each) for each in counts)
        words = f"{names} differ in {counted(found.different, 'test')}; compared were {seen} that both have.{tail}"
        return Judged(status, words, details)
    comparable = bool(found.tests and found.verdicts + found.values)
    alike = f"{names} are alike in {all_of(*counts)} that both have"
    alike = alike if comparable else f"no verdict of {names} could be compared"
    if bisect and (crashed := [r for r in broke if _crashed_in_test(r)]):
        return Judged(EXIT_VIOLATED, f"{names} differ: a kernel crashed in {_which(crashed)}.{tail}", details)
    if bisect and (broke or early or not comparable):
        why = tail.strip() or (early[0] if early and comparable else alike)
        return Judged(EXIT_UNTESTABLE, f"cannot be tested: {why}", details)
    if broke or not comparable:
        return Judged(EXIT_BROKEN if broke else EXIT_NOTHING_RUN, f"{alike}: see pinhold run with both.{tail}", details)
    if not (early or alone):
        return Judged(EXIT_HELD, f"{alike}.")
    words = f"{alike}. {_not_compared(sum(map(len, alone.values())))}"
    return Judged(EXIT_HELD if bisect else EXIT_UNKNOWN, words, details)


def _not_compared(skipped: int) -> str:
    """skipped: how many tests by one side alone; else a side has ended early."""
    if not skipped:
        return "Not all was compared: see above."
    return f"{counted(skipped, 'test')} {'was' if skipped == 1 else 'were'} skipped by one side alone: see above."


def _skipped_alone(left: TargetRun, right: TargetRun) -> dict[tuple[str, str], list[str]]:
    """The tests that one side skipped and the other did not: by its name, and by the reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for run, beside in ((left, right), (right, left)):
        for mine, others in zip(run.results, beside.results, strict=True):
            if mine.verdict.kind == "skipped" != others.verdict.kind:
                reason = one_line(mine.verdict.reason or "no reason is given")
                found.setdefault((run.info.name, reason), []).append(mine.name)
    return found


def _told_alone(alone: Mapping[tuple[str, str], Sequence[str]]) -> Iterator[str]:
    return (f"skipped in {name} alone: {listed(tests)}: {reason}" for (name, reason), tests in alone.items())


def listed(names: Sequence[str]) -> str:
    """The tests, or how many there are."""
    told = list(parts(names))
    return ", ".join(told) if len(told) <= _LISTED else counted(len(names), "test")


def tell(judged: Judged, more: Iterable[str] = ()) -> int:
    """Print the end of `compare`, its details first; more: what else is to be known before the verdict.  Returns the
    status.  Raises NothingToRun where nothing could be compared."""
    for line in (*judged.details, *more):
        print(*terminal.narrowed(line, indent=4), sep="\n")
    if judged.status == EXIT_NOTHING_RUN:
        raise NothingToRun(judged.verdict)
    print(*terminal.narrowed(judged.verdict, indent=2), sep="\n")
    return judged.status


def _crashed_in_test(result: CaseResult) -> bool:
    """Not before its first step: a kernel that does not come up says nothing about the test."""
    return result.verdict.kind == "crashed" and result.verdict.step is not None


def _reason(result: CaseResult) -> str:
    return f"{result.name}: {result.result.target} {result.verdict.kind}: {result.verdict.reason}"


def shown(runs: Sequence[TargetRun]) -> int:
    """The status of a command that shows what is the case, such as `device`: what is violated is what it is for."""
    verdicts = (r.verdict for run in runs for r in run.results)
    return exit_status(HELD if v.kind == "violated" else v for v in verdicts)


def _broken(*runs: TargetRun) -> list[CaseResult]:
    return [r for run in runs for r in run.results if r.verdict.kind in BROKEN]


def _which(results: Sequence[CaseResult]) -> str:
    return number_ranges(sorted({r.number for r in results}))


def _or_broken(found: Judged, *runs: TargetRun) -> Judged:
    """A column in which the tool broke, or that is judged by one in which it did, is judged by that."""
    said = [f"The tool broke in {_which(broke)} on {run.info.name}." for run in runs if (broke := _broken(run))]
    if not said:
        return found
    details = (*map(_reason, _broken(*runs)), *found.details)
    return Judged(EXIT_BROKEN, " ".join([found.verdict, *said]), details)


def _named(run: TargetRun) -> str:
    return f"{run.info.name} ({run.kernel})" if run.kernel else run.info.name


def _against_rules(
    run: TargetRun, tests: Sequence[Selected], prediction: Callable[[Selected, str], str | None] = predicted
) -> Judged:
    """A model column: is it as the rules of its release predict?  No rules predict a livelock."""
    release = run.info.target.removeprefix(MODEL)
    wrong, judged = [], 0
    for result, test in zip(run.results, tests, strict=True):
        kind, expected = result.verdict.kind, prediction(test, release)
        judged += expected is not None
        if kind != expected and (expected is not None or kind == "livelock"):
            why = f" ({result.verdict.reason})" if result.verdict.reason else ""
            wrong.append(f"{test.name}: {kind}, predicted {expected or 'nothing'}{why}")
    if wrong:
        return Judged(EXIT_VIOLATED, f"Against its rules' prediction in {len(wrong)} tests:", tuple(wrong))
    if not judged:
        return Judged(EXIT_HELD, UNPREDICTED)
    return Judged(EXIT_HELD, f"As its rules predict in {all_of((judged, 'test'))}.")


def _against_model(run: TargetRun, model: TargetRun | None) -> Judged:
    """A real kernel's column: does it agree with the model of its release and configuration?"""
    if model is None:
        return Judged(EXIT_UNKNOWN, f"There is no model of {run.info.rules} to compare it with.")
    found = agreement(run.results, model.results)
    counts = (found.verdicts, "verdict"), (found.values, "observed value")
    chance = _skipped_pud(model)
    if found.differences:
        sentence = f"Of {' and '.join(counted(*each) for each in counts)} that {model.info.name} has too, these differ:"
        return Judged(EXIT_VIOLATED, f"{chance} {sentence}".strip(), found.differences)
    if not found.verdicts:
        return Judged(EXIT_UNKNOWN, f"Nothing in it could be compared with {model.info.name}.")
    later = _later_fixes(run)
    return Judged(EXIT_HELD, f"Agrees with {model.info.name} in {all_of(*counts)} that both have.{chance}{later}")


def _later_fixes(run: TargetRun) -> str:
    """Which fixes the kernel has that its release has not, as a sentence; nothing where there is none."""
    fixes = [f"{rule} = {value}" for rule, value in run.info.fixes.items()]
    if not fixes:
        return ""
    return f" It has fixes that Linux {run.info.rules} has not (pinhold rules list): {', '.join(fixes)}."


def _skipped_pud(model: TargetRun) -> str:
    """In how many of the tests fork() left out a 1 GiB page, as a sentence; nothing where it did in none."""
    count = sum(
        any(d.site == "fork_skips_pud" for record in r.result.steps if record.outcome for d in record.outcome.decisions)
        for r in model.results
    )
    if not count:
        return ""
    return f" In {count} of the tests fork() left out a 1 GiB page, as this release does by chance (14967a9c7d24)."
