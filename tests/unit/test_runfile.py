"""The run file: what is written is read again, cut off or not, and for ever."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinhold.scenario.observation import LEVELS, MIXED, PAGE_KINDS, PAGE_STATES, Observation, PageView, PinView
from pinhold.scenario.parse import parse
from pinhold.scenario.printer import format_scenario
from pinhold.scenario.ran import Decision, Started, TargetInfo
from pinhold.scenario.runfile import (
    RecordedStep,
    RunFile,
    RunFileError,
    RunWriter,
    config_hash,
    read_run,
    scenario_hash,
)
from pinhold.scenario.verdict import KINDS, Verdict

GOLDEN = Path(__file__).parent.parent / "golden" / "run-schema-1.jsonl"

MODEL = TargetInfo("before", "6.1", "6.1", what="model:6.1")
NO_GUP_TEST = {"gup_test": "no /sys/kernel/debug/gup_test"}
LIVE = TargetInfo("live", "6.18.44", "6.18", {"THP": "always"}, NO_GUP_TEST, fixes={"lazyfree_thp": "split"})
SCENARIO = parse('scenario R/O longterm GUP pin ... with \u201cmemfd\u201d\nmap P x memfd\npin P x as p longterm\n'
                 'write P x 0xff\nexpect p sees P x "Longterm R/O pin is reliable"')  # fmt: skip
STEPS = (
    RecordedStep(0, "map P x memfd", Observation(0, (PageView("P", "x", 0, "none"),))),
    RecordedStep(
        1,
        "pin P x as p longterm",
        Observation(0, (PageView("P", "x", 0, "present", 0, "file", False, 1, 0),), (PinView("p", 0, 0),)),
        "model",
        None,
        (Decision("gup_must_unshare.no", "gup_must_unshare", "gup_unshares", "84209e87c696", "shared"),),
    ),
    RecordedStep(2, "write P x 0xff", Observation(14)),
    RecordedStep(
        3,
        'expect p sees P x "Longterm R/O pin is reliable"',
        Observation(None, (PageView("P", "x", 0, byte=MIXED),), (PinView("p", 0, 0, 0),)),
        check="violated",
    ),
)
VIOLATED = Verdict("violated", "Longterm R/O pin is reliable", "the pin p holds 0x00 where P x[0] is 0xff", 3)


def _written() -> str:
    """The run that the golden file holds."""
    stream = io.StringIO()
    writer = RunWriter(stream, "0.1.0", seed=7)
    writer.target(MODEL)
    run = writer.begin("before", "seed/152", SCENARIO)
    for step in STEPS:
        writer.step(run, step)
    writer.end(run, VIOLATED, 0.0123456789, {"p": "model"})
    writer.target(LIVE)
    other = writer.begin("live", "seed/152", SCENARIO)
    writer.end(other, Verdict("skipped", None, "needs a read-only long-term pin"), 0.5, {})
    writer.close()
    return stream.getvalue()


def _read(text: str) -> RunFile:
    return read_run(io.StringIO(text))


def test_what_is_written_is_read() -> None:
    """Every field of targets, runs, steps, observations, decisions and verdicts comes back."""
    file = _read(_written())
    assert (file.schema, file.pinhold, file.seed, file.complete) == (1, "0.1.0", 7, True)
    assert file.targets == (MODEL, LIVE)
    first, second = file.runs
    assert (first.target, first.name, first.text) == ("before", "seed/152", format_scenario(SCENARIO))
    assert first.steps == STEPS
    assert (first.verdict, first.seconds, first.mechanisms) == (VIOLATED, 0.012346, {"p": "model"})
    assert (second.target, second.steps) == ("live", ())
    assert second.verdict == Verdict("skipped", None, "needs a read-only long-term pin")
    assert parse(first.text) == SCENARIO
    assert first.hash == scenario_hash(first.text)


def test_the_golden_file_of_schema_1_stays_readable() -> None:
    """The file that is kept from the first day of the schema reads as what was written then."""
    with GOLDEN.open(encoding="utf-8") as lines:
        assert read_run(lines) == _read(_written())


def test_the_writer_still_writes_schema_1() -> None:
    """A change of what is written is a change of the golden file, and needs a new schema if readers would fail."""
    assert _written() == GOLDEN.read_text(encoding="utf-8")


def test_every_line_is_flushed() -> None:
    """A run that is cut off loses at most the line at hand."""

    class Watched(io.StringIO):
        flushed = ""

        def flush(self) -> None:
            self.flushed = self.getvalue()

    stream = Watched()
    writer = RunWriter(stream, "0.1.0")
    writer.begin("before", "seed/152", SCENARIO)
    assert stream.flushed == stream.getvalue()
    assert stream.flushed.count("\n") == 2


def test_a_file_cut_off_anywhere_is_read_up_to_there() -> None:
    """Whatever the place, the whole lines before it are read and the file is known to be incomplete."""
    whole = _written()
    ends = [i for i, char in enumerate(whole) if char == "\n"]
    for cut in range(ends[0], len(whole) - 2):
        file = _read(whole[:cut])
        lines = [json.loads(line)["line"] for line in whole.splitlines()[: sum(end <= cut for end in ends)]]
        found = ["header", *["target"] * len(file.targets), *["scenario"] * len(file.runs)]
        found += [*["step"] * sum(len(run.steps) for run in file.runs)]
        found += ["verdict" for run in file.runs if run.verdict is not None]
        assert sorted(found) == sorted(lines)
        assert not file.complete
    assert _read(whole.rstrip("\n")).complete


def test_a_run_without_its_verdict_has_none() -> None:
    """What the file does not tell is not made up."""
    lines = _written().splitlines(keepends=True)
    (run,) = _read("".join(lines[:5])).runs
    assert (run.verdict, run.seconds, len(run.steps)) == (None, None, 2)


def test_a_newer_schema_is_refused_by_name() -> None:
    """The reader says which schema, who wrote it and what to do, and reads nothing of it."""
    with pytest.raises(RunFileError) as caught:
        _read('{"line":"header","schema":2,"pinhold":"3.4.5","seed":null}\n{"line":"unheard of"}\n')
    assert str(caught.value) == (
        "this run file has schema 2, written by pinhold 3.4.5; this version reads schemas up to 1: "
        "read it with that version or a later one"
    )


def test_what_the_reader_does_not_know_is_passed_over() -> None:
    """Within a schema, lines and fields may be added."""
    lines = _written().splitlines(keepends=True)
    richer = [lines[0], '{"line":"weather","rain":true}\n', lines[1].replace("{", '{"more":[1],', 1), *lines[2:]]
    assert _read("".join(richer)) == _read(_written())


HEADER = '{"line":"header","schema":1,"pinhold":"0.1.0","seed":null}\n'
SCENARIO_LINE = '{"line":"scenario","run":0,"target":"a","name":"b","text":"c","hash":"d"}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no run file: it has no header line"),
        ("hello", "no run file: it has no header line"),
        ("hello\nworld\n", "line 1 of the run file is not JSON"),
        ("[1]\n", "line 1 of the run file is no JSON object"),
        ('{"line":"end"}\n', "line 1 of the run file: expected a header"),
        (HEADER + HEADER, "line 2 of the run file: expected no second header"),
        (HEADER + "torn\n" + SCENARIO_LINE, "line 2 of the run file is not JSON"),
        (HEADER + "[" * 100000 + "\n" + SCENARIO_LINE, "line 2 of the run file is not JSON"),
        ('{"line":"header","schema":"1"}\n', "line 1 of the run file: broken header line ('1' is no number)"),
        ('{"line":"header"}\n', "line 1 of the run file: broken header line ('schema' is missing)"),
        (HEADER + '{"line":"target","name":"a"}\n', "line 2 of the run file: broken target line "
         "('release' is missing)"),
        (HEADER + SCENARIO_LINE + SCENARIO_LINE, "line 3 of the run file: broken scenario line (run 0 began before)"),
        (HEADER + '{"line":"step","run":5,"index":0,"step":"drain"}\n',
         "line 2 of the run file: broken step line (5 is missing)"),
        (HEADER + SCENARIO_LINE + '{"line":"step","run":0,"index":0,"step":"drain","observation":{"pages":[{"proc":'
         '"P","region":"x","page":0,"frame":"f"}]}}\n',
         "line 3 of the run file: broken step line (frame is str)"),
        (HEADER + SCENARIO_LINE + '{"line":"verdict","run":0,"verdict":{"kind":"fine"},"seconds":1}\n',
         "line 3 of the run file: broken verdict line (verdict fine)"),
        (HEADER + SCENARIO_LINE + '{"line":"verdict","run":0,"verdict":3,"seconds":1}\n',
         "line 3 of the run file: broken verdict line ('int' object is not subscriptable)"),
    ],
)  # fmt: skip
def test_what_is_no_run_file_is_told(text: str, message: str) -> None:
    """Each error names the line and what is wrong with it."""
    with pytest.raises(RunFileError) as caught:
        _read(text)
    assert str(caught.value) == message


def test_the_hash_of_a_configuration_does_not_depend_on_order() -> None:
    """Equal configurations have equal hashes, others have others."""
    assert config_hash({"a": "1", "b": "2"}) == config_hash({"b": "2", "a": "1"})
    assert config_hash({"a": "1"}) != config_hash({"a": "2"})


_NUMBERS = st.none() | st.integers(0, 1 << 40)
_MAYBE = st.none() | st.booleans()
_VIEWS = st.builds(
    PageView, st.text(max_size=5), st.text(max_size=5), st.integers(0, 1 << 19),
    st.none() | st.sampled_from(PAGE_STATES), _NUMBERS, st.none() | st.sampled_from(PAGE_KINDS),
    _MAYBE, _NUMBERS, st.none() | st.integers(-1, 255), _MAYBE, st.none() | st.sampled_from(LEVELS),
    _MAYBE, _MAYBE, _MAYBE, _MAYBE,
)  # fmt: skip
_WORDS = st.none() | st.text(max_size=5)
_PINS = st.builds(
    PinView, st.text(max_size=5), st.integers(0, 1 << 19), _NUMBERS, st.none() | st.integers(-1, 255),
    _WORDS, _WORDS, _WORDS,
)  # fmt: skip
_OBSERVATIONS = st.builds(
    Observation, _NUMBERS, st.lists(_VIEWS, max_size=3).map(tuple), st.lists(_PINS, max_size=2).map(tuple)
)
_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=10)


@given(
    st.lists(st.builds(RecordedStep, st.integers(0, 400), _TEXT, st.none() | _OBSERVATIONS, st.none() | _TEXT)),
    st.builds(Verdict, st.sampled_from(KINDS), st.none() | _TEXT, st.none() | _TEXT, st.none() | st.integers(0, 9)),
)
def test_anything_that_a_run_can_hold_round_trips(steps: list[RecordedStep], verdict: Verdict) -> None:
    """Any observation and any text, line ends and quotes in it too, is read as it was written."""
    stream = io.StringIO()
    writer = RunWriter(stream, "0.1.0")
    run = writer.begin("t", "n", SCENARIO)
    for step in steps:
        writer.step(run, step)
    writer.end(run, verdict, 1.0, {})
    assert all(json.loads(line) for line in stream.getvalue().split("\n")[:-1])
    (read,) = _read(stream.getvalue()).runs
    assert read.steps == tuple(steps)
    assert read.verdict == verdict


def test_what_moves_while_a_kernel_runs_is_not_in_the_hash() -> None:
    """How much of a pool is free, and of swap; how large a pool is, is."""
    config = {"SWAP": "y", "hugetlb_2M": "16 free of 16", "swap_free_kib": "400", "swap_kib": "1024"}
    later = config | {"hugetlb_2M": "3 free of 16 (2 more are reserved)", "swap_free_kib": "0"}
    assert config_hash(config) == config_hash(later)
    assert config_hash(config) != config_hash(config | {"hugetlb_2M": "16 free of 17"})
    assert config_hash(config) != config_hash(config | {"hugetlb_2M": "none"})
    assert config_hash(config) != config_hash(config | {"swap_kib": "0"})


def test_how_a_run_was_begun_is_read_back() -> None:
    """When, where, by which command and with how much memory; files of older versions do not say it."""
    begun = Started("2026-01-02T03:04:05Z", "host", ("pinhold", "run", "seed/1"), ("--swap", "zram"), 2048, 1024)
    stream = io.StringIO()
    RunWriter(stream, "0.2.0", started=begun).close()
    assert _read(stream.getvalue()).started == begun
    assert _read(_written()).started is None
    assert _read('{"line":"header","schema":1,"started":{"time":"t","host":"h"}}\n').started == Started("t", "h")
    with pytest.raises(RunFileError, match="broken header line"):
        _read('{"line":"header","schema":1,"started":{"time":1,"host":"h"}}\n')
