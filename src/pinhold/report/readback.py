"""Run files read back as results, for every report that a run itself could have written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import StringIO

from pinhold.report.results import CaseResult, TargetRun
from pinhold.scenario.parse import parse
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.runfile import RecordedRun, RecordedStep, RunFile, RunWriter, lasting
from pinhold.scenario.steps import Expectation, Scenario
from pinhold.scenario.suites import place as place_of
from pinhold.scenario.suites import suite
from pinhold.scenario.verdict import Verdict
from pinhold.targets.runner import Result, StepRecord

CUT = Verdict("error", reason="the run file ends before this test's verdict")


def joined(files: Sequence[RunFile], names: Sequence[str]) -> RunFile:
    """Several run files as one.

    A target that two of them have is one, if it is the same kernel with the same settings and other tests were run;
    else the later is told apart by its file's name.  How they were begun is said where it is the same of all.
    """
    targets: dict[str, TargetInfo] = {}
    runs: list[RecordedRun] = []
    for file, name in zip(files, names, strict=True):
        done = {(run.target, run.name) for run in runs}
        for info in file.targets:
            own = [run for run in file.runs if run.target == info.name]
            again = any((info.name, run.name) in done for run in own)
            called = f"{info.name} ({name})" if again or not _same(targets.get(info.name, info), info) else info.name
            targets[called] = replace(info, name=called, what=info.target) if called != info.name else info
            runs += [replace(run, target=called) for run in own]
    searches = tuple(search for file in files for search in file.searches)
    return replace(
        files[0],
        targets=tuple(targets.values()),
        runs=tuple(runs),
        complete=all(f.complete for f in files),
        searches=searches,
        started=files[0].started if len({f.started for f in files}) == 1 else None,
    )


def _same(one: TargetInfo, other: TargetInfo) -> bool:
    """Whether they are one kernel with the same settings; what of its pools was free does not count."""
    return replace(one, config=lasting(one.config)) == replace(other, config=lasting(other.config))


def written_again(file: RunFile) -> list[str]:
    """The lines of a run file that has the same.  Raises ScenarioError."""
    stream = StringIO()
    writer = RunWriter(stream, file.pinhold, file.seed, file.started)
    for info in file.targets:
        writer.target(info)
    for recorded in file.runs:
        run = writer.begin(recorded.target, recorded.name, parse(recorded.text))
        for step in recorded.steps:
            writer.step(run, step)
        if recorded.verdict is not None:
            writer.end(run, recorded.verdict, recorded.seconds or 0.0, recorded.mechanisms)
    for search in file.searches:
        writer.search(search)
    if file.complete:
        writer.close()
    return stream.getvalue().splitlines()


def target_runs(file: RunFile) -> list[TargetRun]:
    """What each target came to.  A run that was cut off is an error.  Raises ScenarioError."""
    order = {name: place for place, name in enumerate(dict.fromkeys(run.name for run in file.runs), 1)}
    found = []
    for info in file.targets:
        results = tuple(_result(run, order[run.name]) for run in file.runs if run.target == info.name)
        found.append(TargetRun(info, results, sum(r.result.seconds for r in results)))
    return found


def _result(run: RecordedRun, place: int) -> CaseResult:
    scenario = parse(run.text)
    number, text = _of_suite(run.name, place, scenario)
    steps = tuple(_step(step, scenario) for step in run.steps if 0 <= step.index < len(scenario.steps))
    result = Result(run.target, scenario, run.verdict or CUT, steps, dict(run.mechanisms), run.seconds or 0.0)
    return CaseResult(number, run.name, text, result)


def _step(step: RecordedStep, scenario: Scenario) -> StepRecord:
    """As far as a comparison needs it."""
    return StepRecord(step.index, scenario.steps[step.index], None, step.observation, step.check, step.expected)


def _of_suite(name: str, place: int, scenario: Scenario) -> tuple[int, str]:
    """Its number, and the words of its result line."""
    if found := place_of(name):
        chosen, number = found
        return number, suite(chosen).test(number).result_text
    texts = [step.text for step in scenario.steps if isinstance(step, Expectation) and step.text]
    return place, texts[-1] if texts else scenario.title
