"""The run file: JSON Lines, streamed, readable when cut off.  Its format is docs/run-file.md.

Explorer, conformance tester, pictures and comparison read nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any, TextIO, TypeVar

from pinhold.scenario.counts import Counts
from pinhold.scenario.observation import Observation, PageView, PinView
from pinhold.scenario.printer import format_scenario
from pinhold.scenario.ran import Decision, Expected, Search, Started, TargetInfo, Turn
from pinhold.scenario.steps import Scenario
from pinhold.scenario.verdict import KINDS, Verdict

SCHEMA = 1
"""The schema that this version writes, and the newest that it reads."""
MAX_LINE = 16 * 1024 * 1024
"""Characters of a line."""


class RunFileError(ValueError):
    """A file that is no run file, or one of a newer schema; the message names the line or the schema."""


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """step: its text; check: "held", "violated", "unknown" for an expectation; observation.errno is the step's.

    mechanism: what made the step's pin; expected: an expectation as data; turns: what tasks came to with it; violated:
    the safety properties that do not hold after it, as sentences.
    """

    index: int
    step: str
    observation: Observation | None = None
    note: str | None = None
    check: str | None = None
    decisions: tuple[Decision, ...] = ()
    mechanism: str | None = None
    expected: Expected | None = None
    turns: tuple[Turn, ...] = ()
    violated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """One scenario on one target; verdict None: the file was cut off before it."""

    target: str
    name: str
    text: str
    hash: str
    steps: tuple[RecordedStep, ...] = ()
    verdict: Verdict | None = None
    seconds: float | None = None
    mechanisms: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunFile:
    """pinhold: the version that wrote it; complete: False where the file was cut off; searches: of the explorer;
    started: None in files of versions that did not say it."""

    schema: int
    pinhold: str
    seed: int | None
    targets: tuple[TargetInfo, ...]
    runs: tuple[RecordedRun, ...]
    complete: bool
    searches: tuple[Search, ...] = ()
    started: Started | None = None


def scenario_hash(text: str) -> str:
    """SHA-256 of a scenario's canonical text, in hex: the same scenario in two run files has the same."""
    return hashlib.sha256(text.encode()).hexdigest()


_FREE = re.compile(r"[0-9]+ free of ([0-9]+).*")
_MOVES = "swap_free_kib"


def lasting(config: Mapping[str, str]) -> dict[str, str]:
    """A kernel's configuration without what moves while it runs: of a pool its size, and not what of it is free."""
    return {name: _FREE.sub(r"\1", value) for name, value in config.items() if name != _MOVES}


def config_hash(config: Mapping[str, str]) -> str:
    """SHA-256 of what lasts of a kernel's configuration, in hex; the order of its names does not matter."""
    return hashlib.sha256(json.dumps(lasting(config), sort_keys=True).encode()).hexdigest()


class RunWriter:
    """Writes a run file line by line to `stream`; each line is flushed, so a crash loses at most one."""

    def __init__(self, stream: TextIO, pinhold: str, seed: int | None = None, started: Started | None = None) -> None:
        self._stream = stream
        self._runs = 0
        begun = {} if started is None else {"started": _plain(started)}
        self._line("header", {"schema": SCHEMA, "pinhold": pinhold, "seed": seed, **begun})

    def target(self, target: TargetInfo) -> None:
        """Say what runs, once per target and before its first scenario."""
        plain = _plain(target)
        if target.target == target.name:
            del plain["what"]
        if not target.fixes:
            del plain["fixes"]
        self._line("target", {**plain, "config_hash": config_hash(target.config)})

    def begin(self, target: str, name: str, scenario: Scenario) -> int:
        """Start one scenario (name: "seed/151" or the file's name); gives the run's number for step() and end()."""
        text = format_scenario(scenario)
        run, self._runs = self._runs, self._runs + 1
        content = {"run": run, "target": target, "name": name, "text": text, "hash": scenario_hash(text)}
        self._line("scenario", content)
        return run

    def step(self, run: int, step: RecordedStep) -> None:
        """Add one step of that run, in order."""
        self._line("step", {"run": run, **_plain(step)})

    def end(self, run: int, verdict: Verdict, seconds: float, mechanisms: Mapping[str, str]) -> None:
        """Add the verdict of that run; mechanisms: pin name to the mechanism used."""
        content = {"verdict": _plain(verdict), "seconds": round(seconds, 6), "mechanisms": dict(mechanisms)}
        self._line("verdict", {"run": run, **content})

    def search(self, search: Search) -> None:
        """Add what a search came to."""
        plain = _plain(search)
        if not search.patches:
            del plain["patches"]
        self._line("search", plain)

    def close(self) -> None:
        """Mark the file complete.  Does not close the stream."""
        self._line("end", {"runs": self._runs})

    def _line(self, line: str, content: Mapping[str, Any]) -> None:
        self._stream.write(json.dumps({"line": line, **content}, ensure_ascii=False, separators=(",", ":")) + "\n")
        self._stream.flush()


def read_run(lines: Iterable[str]) -> RunFile:
    """Read a run file, given line by line with the line ends.

    A last line that was cut off is dropped.  Raises RunFileError for a newer schema and for anything else that is
    wrong.
    """
    reader = _Reader()
    torn: int | None = None
    for number, line in enumerate(lines, 1):
        if torn is not None:
            raise RunFileError(f"line {torn} of the run file is not JSON")
        record = _json(line, number)
        if record is None:
            torn = number
        else:
            reader.take(record, number)
    return reader.file()


def _json(line: str, number: int) -> dict[str, Any] | None:
    """The record of a line; None where it is cut off or no JSON."""
    if len(line) > MAX_LINE:
        raise RunFileError(f"line {number} of the run file is longer than {MAX_LINE} characters")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        raise RunFileError(f"line {number} of the run file is no JSON object")
    return record


class _Reader:
    """What the lines read so far say."""

    def __init__(self) -> None:
        self._header: dict[str, Any] | None = None
        self._targets: list[TargetInfo] = []
        self._runs: dict[int, RecordedRun] = {}
        self._steps: dict[int, list[RecordedStep]] = {}
        self._searches: list[Search] = []
        self._complete = False

    def take(self, record: dict[str, Any], number: int) -> None:
        """Take one record.  Kinds of lines that this version does not know are passed over."""
        kind = record.get("line")
        if (self._header is None) != (kind == "header"):
            raise RunFileError(
                f"line {number} of the run file: expected {'a' if kind != 'header' else 'no second'} header"
            )
        takers: dict[Any, Callable[[dict[str, Any]], None]] = {
            "header": self._take_header,
            "target": self._take_target,
            "scenario": self._take_scenario,
            "step": self._take_step,
            "verdict": self._take_verdict,
            "search": self._take_search,
            "end": self._take_end,
        }
        taker = takers.get(kind) if isinstance(kind, str) else None
        if taker is None:
            return
        try:
            taker(record)
        except RunFileError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as wrong:
            raise RunFileError(f"line {number} of the run file: broken {kind} line ({_what(wrong)})") from None

    def file(self) -> RunFile:
        if self._header is None:
            raise RunFileError("no run file: it has no header line")
        runs = [replace(run, steps=tuple(self._steps[number])) for number, run in self._runs.items()]
        h = self._header
        return RunFile(
            h["schema"],
            h["pinhold"],
            h["seed"],
            tuple(self._targets),
            tuple(runs),
            self._complete,
            tuple(self._searches),
            h["started"],
        )

    def _take_header(self, record: dict[str, Any]) -> None:
        schema, pinhold = _int(record["schema"]), _str(record.get("pinhold", "unknown"))
        if schema > SCHEMA:
            raise RunFileError(
                f"this run file has schema {schema}, written by pinhold {pinhold}; this version reads schemas up to "
                f"{SCHEMA}: read it with that version or a later one"
            )
        if schema < 1:
            raise ValueError("schema")
        self._header = {
            "schema": schema,
            "pinhold": pinhold,
            "seed": _optional(_int, record.get("seed")),
            "started": _optional(_started, record.get("started")),
        }

    def _take_target(self, record: dict[str, Any]) -> None:
        self._targets.append(
            TargetInfo(
                _str(record["name"]),
                _str(record["release"]),
                _str(record["rules"]),
                _strings(record.get("config", {})),
                _strings(record.get("mechanisms", {})),
                _optional(_str, record.get("what")) or "",
                _strings(record.get("fixes", {})),
            )
        )

    def _take_scenario(self, record: dict[str, Any]) -> None:
        run = _int(record["run"])
        if run in self._runs:
            raise ValueError(f"run {run} began before")
        self._steps[run] = []
        self._runs[run] = RecordedRun(
            _str(record["target"]), _str(record["name"]), _str(record["text"]), _str(record["hash"])
        )

    def _take_step(self, record: dict[str, Any]) -> None:
        observation = _optional(_observation, record.get("observation"))
        decisions = tuple(_made(Decision, d) for d in record.get("decisions", ()))
        self._steps[_int(record["run"])].append(
            RecordedStep(
                _int(record["index"]),
                _str(record["step"]),
                observation,
                _optional(_str, record.get("note")),
                _optional(_str, record.get("check")),
                decisions,
                _optional(_str, record.get("mechanism")),
                _optional(_expected, record.get("expected")),
                tuple(_made(Turn, t) for t in record.get("turns", ())),
                _texts(record.get("violated", ())),
            )
        )

    def _take_verdict(self, record: dict[str, Any]) -> None:
        run, v = _int(record["run"]), record["verdict"]
        kind = _str(v["kind"])
        if kind not in KINDS:
            raise ValueError(f"verdict {kind}")
        text, reason = _optional(_str, v.get("text")), _optional(_str, v.get("reason"))
        self._runs[run] = replace(
            self._runs[run],
            verdict=Verdict(kind, text, reason, _optional(_int, v.get("step"))),
            seconds=float(record["seconds"]),
            mechanisms=_strings(record.get("mechanisms", {})),
        )

    def _take_search(self, record: dict[str, Any]) -> None:
        self._searches.append(
            Search(
                _str(record["scope"]),
                _str(record["rules"]),
                _strings(record.get("switched", {})),
                _int(record["states"]),
                _int(record["transitions"]),
                tuple(map(_int, record["levels"])),
                _str(record.get("found", "")),
                _str(record.get("limit", "")),
                tuple((_str(task), _str(does)) for task, does in record.get("path", ())),
                _texts(record.get("passed", ())),
                _texts(record.get("missed", ())),
                _texts(record.get("idle", ())),
                _str(record.get("run", "")),
                _strings(record.get("patches", {})),
                _str(record.get("asked", "")),
                _texts(record.get("unreached", ())),
                tuple((_str(outcome), _int(states)) for outcome, states in record.get("outcomes", ())),
            )
        )

    def _take_end(self, record: dict[str, Any]) -> None:
        self._complete = True


def _plain(value: Any) -> Any:
    """A dataclass as JSON has it: fields that are None, and those that are as usual, are left out."""
    return asdict(value, dict_factory=lambda items: {k: v for k, v in items if v is not None and not _usual(k, v)})


def _usual(name: str, value: Any) -> bool:
    """Whether a reader takes the field to be so where it is absent; pages and pins are always told."""
    if value == ():
        return name not in ("pages", "pins")
    return name in _USUAL and _USUAL[name] == value


_USUAL = {"count": 1, "ended": False, "waited": False, "function": ""}


_Made = TypeVar("_Made")


def _made(cls: Callable[..., _Made], record: Mapping[str, Any]) -> _Made:
    """Of a record whose fields are texts, numbers and truth values."""
    values = {}
    for f in fields(cls):  # type: ignore[arg-type]
        if f.name in record or f.default is MISSING:
            value = record[f.name]
            kind = _PLAIN_TYPES.get(f.name, str)
            if type(value) is not kind:
                raise TypeError(f"{f.name} is {type(value).__name__}")
            values[f.name] = value
    return cls(**values)


_PLAIN_TYPES: dict[str, type] = {"count": int, "ended": bool, "waited": bool}


_VIEW_TYPES: dict[str, type] = {
    "proc": str, "region": str, "pin": str, "page": int, "state": str, "frame": int, "kind": str, "exclusive": bool,
    "mapcount": int, "byte": int, "anon": bool, "level": str, "writable": bool, "dirty": bool, "soft_dirty": bool,
    "uffd_wp": bool, "owner": str, "range": str, "flags": str, "folio": int, "offset": int,
    "swap_exclusive": bool, "order": int, "refcount": int, "pincount": int, "large_mapcount": int,
    "anon_exclusive": bool, "swapcache": bool, "swapbacked": bool, "folio_dirty": bool,
}  # fmt: skip


def _view(cls: Callable[..., _Made], record: Mapping[str, Any]) -> _Made:
    values = {}
    for f in fields(cls):  # type: ignore[arg-type]
        value = record.get(f.name)
        if value is not None and f.name == "counts":
            value = _view(Counts, value)
        elif value is not None and type(value) is not _VIEW_TYPES[f.name]:
            raise TypeError(f"{f.name} is {type(value).__name__}")
        values[f.name] = value
    return cls(**values)


def _observation(record: Mapping[str, Any]) -> Observation:
    pages = tuple(_view(PageView, v) for v in record.get("pages", ()))
    pins = tuple(_view(PinView, v) for v in record.get("pins", ()))
    return Observation(_optional(_int, record.get("errno")), pages, pins)


def _started(record: Mapping[str, Any]) -> Started:
    return Started(
        _str(record["time"]),
        _str(record["host"]),
        _texts(record.get("command", ())),
        _texts(record.get("again", ())),
        _optional(_int, record.get("memory_kib")),
        _optional(_int, record.get("free_kib")),
    )


def _expected(record: Mapping[str, Any]) -> Expected:
    return Expected(
        _str(record["kind"]),
        _texts(record.get("sides", ())),
        _optional(_str, record.get("wanted")),
        _optional(_int, record.get("page")),
        tuple(map(_int, record.get("found", ()))),
    )


def _optional(convert: Callable[[Any], _Made], value: Any) -> _Made | None:
    return None if value is None else convert(value)


def _int(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r:.40} is no number")
    return value


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"{value!r:.40} is no list")
    return tuple(map(_str, value))


def _strings(value: Any) -> dict[str, str]:
    return {_str(k): _str(v) for k, v in value.items()}


def _what(wrong: Exception) -> str:
    return f"{wrong} is missing" if isinstance(wrong, KeyError) else str(wrong)
