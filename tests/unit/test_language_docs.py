"""The manuals of the language and of the run file say what the code does."""

import io
import json
import re
from dataclasses import fields
from pathlib import Path

from pinhold.scenario import bounds
from pinhold.scenario.advice import ADVICE
from pinhold.scenario.kinds import HUGETLB_SIZES, KINDS
from pinhold.scenario.observation import FOLL_FLAGS, LEVELS, PAGE_KINDS, PAGE_STATES, Observation, PageView, PinView
from pinhold.scenario.ran import Decision, Search, Started
from pinhold.scenario.runfile import RecordedStep, RunWriter, read_run
from pinhold.scenario.small import BOUNDS, DEFAULTS, OFF, SWITCHES
from pinhold.scenario.small_line import SMALL
from pinhold.scenario.steps import actions
from pinhold.scenario.steps.table import forms, startable_verbs
from pinhold.scenario.verdict import KINDS as VERDICTS
from pinhold.scenario.verdict import Verdict

DOCS = Path(__file__).parent.parent.parent / "docs"
LANGUAGE = (DOCS / "language.md").read_text(encoding="utf-8")
RUN_FILE = (DOCS / "run-file.md").read_text(encoding="utf-8")


def test_the_manual_lists_the_forms_of_the_grammar() -> None:
    """Every form of the grammar table is in the manual as it prints itself, and no other is."""
    (block,) = [b for b in re.findall(r"```\n(.*?)```", LANGUAGE, re.DOTALL) if b.startswith("map ")]
    assert sorted(block.splitlines()) == sorted(form.usage for _, form in forms())


def test_the_manual_lists_the_bounds_of_a_small_machine() -> None:
    """Each word of the small line, with its least and most and what it is where nothing is said, is in a table."""
    rows = re.findall(r"^\| `(\w+)` \| (\d+) to (\d+) \| (\S+) \|", LANGUAGE, re.MULTILINE)
    said = {name: ((int(least), int(most)), default) for name, least, most, default in rows}
    bounds_of = BOUNDS | dict.fromkeys(SWITCHES, (0, 1))
    assert said.keys() == bounds_of.keys() == {option.words[0] for option in SMALL.options}
    for name, (both, default) in said.items():
        assert both == bounds_of[name], name
        assert default == str(OFF[name] if DEFAULTS[name] is None else DEFAULTS[name]), name


def test_the_manual_lists_the_words() -> None:
    """Kinds, sizes and advices are those of the steps."""
    rows = dict(re.findall(r"^\| `([A-Z]+)` \| (.*) \|$", LANGUAGE, re.MULTILINE))
    assert tuple(re.findall(r"`(\w+)(?: SIZE)?`", rows["KIND"])) == tuple(KINDS)
    assert tuple(re.findall(r"`(\w+)`", rows["SIZE"])) == HUGETLB_SIZES
    assert tuple(re.findall(r"`(\w+)`", rows["ADVICE"])) == tuple(ADVICE)


def test_the_manual_says_what_can_be_started() -> None:
    """The steps that a task can begin, by the words that they begin with."""
    (said,) = re.findall(r"What can be started: ([^.]*)\.", LANGUAGE)
    assert re.findall(r"`([^`]+)`", said) == list(startable_verbs())


def test_the_manual_says_which_errnos_break_a_promise() -> None:
    """Errno by errno the steps that declare it, by the words that they begin with."""
    declared: dict[str, set[str]] = {}
    for action in actions():
        for errno in action.meets.promise:
            declared.setdefault(errno, set()).add(action.forms[0].verbs)
    rows = re.findall(r"^\| (E[A-Z]+) \| (.*) \|$", LANGUAGE, re.MULTILINE)
    assert {errno: set(re.findall(r"`([^`]+)`", row)) for errno, row in rows} == declared


def test_the_manual_gives_the_bounds() -> None:
    """The numbers in the manual are the bounds of the parser."""
    said = " ".join(LANGUAGE.split())
    for sentence in (
        f"at most {bounds.MAX_TEXT} bytes",
        f"1 to {bounds.MAX_TITLE} characters",
        f"Every other statement is a step; at most {bounds.MAX_STEPS}",
        f"at most {bounds.MAX_PROCESSES} processes, {bounds.MAX_REGIONS} regions, {bounds.MAX_PINS} pins, "
        f"{bounds.MAX_PAGES} pages (2 GiB) in a region, {bounds.MAX_TOTAL_PAGES} pages in all regions together, and "
        f"{bounds.MAX_WATCHED} pages added by `watch`",
        f"at most {bounds.MAX_NAME}; not `errno`, `sees` or `sound`",
        f"base pages, 0 to {bounds.MAX_MEMLOCK}",
        f"At most {bounds.MAX_TASKS} tasks",
    ):
        assert sentence in said


def _documented(heading: str) -> set[str]:
    """The fields in the first table below that heading."""
    section = RUN_FILE.split(f"## `{heading}`", 1)[1].split("\n## ", 1)[0]
    table = next(part for part in section.split("\n\n") if part.startswith("|"))
    return set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines()[2:])))


def test_the_manual_lists_the_fields_of_each_line() -> None:
    """What the golden file of the schema has on its lines, and what has come to headers and steps since and searches
    have, is what the manual lists, no more and no less."""
    golden = (Path(__file__).parent.parent / "golden" / "run-schema-1.jsonl").read_text(encoding="utf-8")
    written: dict[str, set[str]] = {}
    for line in golden.splitlines():
        record = json.loads(line)
        written.setdefault(record.pop("line"), set()).update(record)
    assert set(written) == {"header", "target", "scenario", "step", "verdict", "end"}
    stream = io.StringIO()
    RunWriter(stream, "1", started=Started("2026-12-01T00:00:00Z", "here"))
    written["header"] |= set(json.loads(stream.getvalue())) - {"line"}
    written["step"] |= {field.name for field in fields(RecordedStep)}
    written["search"] = {field.name for field in fields(Search)}
    for kind, names in written.items():
        assert names == _documented(kind), kind


def test_the_manual_lists_the_fields_of_an_observation() -> None:
    """Fields and values of a run's beginning, of pages, pins, decisions and verdicts are in the manual."""
    words = set(re.findall(r"`(\w+)`", RUN_FILE))
    for view in (Started, Observation, PageView, PinView, Decision, Verdict):
        assert {f.name for f in fields(view)} <= words, view
    assert {*PAGE_STATES, *PAGE_KINDS, *LEVELS, *FOLL_FLAGS, *VERDICTS} <= words


def test_runs_may_be_mixed_as_the_manual_says() -> None:
    """Steps of two scenarios may alternate: each line names its run."""
    from pinhold.scenario.parse import parse

    stream = io.StringIO()
    writer = RunWriter(stream, "0.1.0")
    scenario = parse("scenario t\ndrain\ndrain")
    one, other = writer.begin("a", "t", scenario), writer.begin("b", "t", scenario)
    for index in range(2):
        writer.step(one, RecordedStep(index, "drain", note="one"))
        writer.step(other, RecordedStep(index, "drain", note="other"))
    writer.end(other, Verdict("held"), 0, {})
    left, right = read_run(io.StringIO(stream.getvalue())).runs
    assert [s.note for s in left.steps] == ["one", "one"]
    assert [s.note for s in right.steps] == ["other", "other"]
    assert (left.verdict, right.verdict) == (None, Verdict("held"))
