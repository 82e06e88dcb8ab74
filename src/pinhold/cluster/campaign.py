"""A campaign: many runs, searches and random scenarios as one list of jobs, out of one TOML file.

A job is a command of pinhold with a folder of its own.  What it came to is put down there when it has ended, so a
campaign that is begun again does what is missing.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

RUN, EXPLORE, CONFORM = "run", "explore", "conform"

SHAPES: Mapping[str, Mapping[str, str]] = {
    RUN: {"tests": "texts", "on": "texts", "without": "texts", "counts": "switch"},
    EXPLORE: {"scopes": "texts", "rules": "texts", "file": "text", "time": "number", "memory": "number"},
    CONFORM: {"on": "texts", "seeds": "numbers", "steps": "number", "profiles": "texts", "counts": "switch"},
}
"""Kind of a table -> its words and what each is."""

TABLES = ", ".join(f"[[{kind}]]" for kind in SHAPES)

NEEDED: Mapping[str, Sequence[str]] = {RUN: ("tests", "on"), EXPLORE: ("scopes",), CONFORM: ("on", "seeds")}

ARE = {
    "text": "a text",
    "texts": "a list of texts",
    "number": "a number from 1 on",
    "numbers": "a list of numbers from 1 on",
    "switch": "true or false",
}

GUEST_MEBIBYTES, SEARCH_MEBIBYTES, LEAST_MEBIBYTES = 2048, 2048, 512
"""Memory that a job takes: one with a guest, a search that says no other, any."""

JOBS_MAX = 10_000

RUN_FILE = "run.json"


class BadCampaign(ValueError):
    """A file that says no campaign; the message names what is wrong."""


@dataclass(frozen=True)
class Job:
    """kind: of SHAPES; row, column: where it stands in the report; command: words behind `pinhold`, in which {out} is
    the job's folder; memory: MiB; live: whether it is of the kernel that runs here."""

    kind: str
    row: str
    column: str
    command: tuple[str, ...]
    memory: int = LEAST_MEBIBYTES
    live: bool = False

    @property
    def name(self) -> str:
        """Of its folder: told by what it does."""
        words = re.sub(r"[^A-Za-z0-9.]+", "-", f"{self.kind} {self.row} {self.column}").strip("-")
        return f"{words[:80]}-{hashlib.sha256(json.dumps(self.command).encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Campaign:
    title: str
    jobs: tuple[Job, ...] = field(default=())


def read(text: str, path: Path) -> Campaign:
    """path: of the file that says so, for messages, and for a title where it gives none.  Raises BadCampaign."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadCampaign(f"{path}: {error}") from None
    title = table.pop("title", path.stem)
    if not isinstance(title, str):
        raise BadCampaign(f"{path}: 'title' is a text")
    jobs: list[Job] = []
    for kind, tables in table.items():
        if kind not in SHAPES:
            raise BadCampaign(f"{path}: no campaign has '{kind}'; known: title, {TABLES}")
        if not (isinstance(tables, list) and all(isinstance(one, dict) for one in tables)):
            raise BadCampaign(f"{path}: write [[{kind}]], with two brackets: there may be several")
        for one in tables:
            check(path, kind, one)
            jobs += MAKE[kind](one)
    if not jobs:
        raise BadCampaign(f"{path}: there is nothing to do; a campaign has {TABLES}")
    if len(jobs) > JOBS_MAX:
        raise BadCampaign(f"{path}: {len(jobs):,} jobs are more than {JOBS_MAX:,}")
    return Campaign(title, tuple(dict.fromkeys(jobs)))


def check(path: Path, kind: str, table: Mapping[str, Any]) -> None:
    for word, given in table.items():
        if word not in SHAPES[kind]:
            raise BadCampaign(f"{path}: no [[{kind}]] has '{word}'; known: {', '.join(SHAPES[kind])}")
        if not fits(SHAPES[kind][word], given):
            raise BadCampaign(f"{path}: [[{kind}]]: '{word}' is {ARE[SHAPES[kind][word]]}")
    for word in NEEDED[kind]:
        if not table.get(word):
            raise BadCampaign(f"{path}: a [[{kind}]] needs '{word}', {ARE[SHAPES[kind][word]]}")


def fits(shape: str, given: Any) -> bool:
    if shape.endswith("s"):
        return isinstance(given, list) and all(fits(shape[:-1], one) for one in given)
    if shape == "number":
        return type(given) is int and given > 0
    return isinstance(given, bool) if shape == "switch" else isinstance(given, str) and not given.startswith("-")


def runs(table: Mapping[str, Any]) -> Iterator[Job]:
    """Each test or suite on each target."""
    rest = [word for what in table.get("without", ()) for word in ("--without", what)]
    rest += ["--counts"] if table.get("counts") else []
    for test, target in product(table["tests"], table["on"]):
        command = ("run", test, "--on", target, *rest, "--jobs", "1", "--format", "json", "-o", f"{{out}}/{RUN_FILE}")
        yield Job(RUN, test, target, command, **resources(target))


def searches(table: Mapping[str, Any]) -> Iterator[Job]:
    """Each scope under each release's rules; its own, where none are named."""
    memory = table.get("memory", SEARCH_MEBIBYTES)
    rest = ["--memory", str(memory), *(("--time", str(table["time"])) if "time" in table else ())]
    rest += ["--file", table["file"]] if "file" in table else []
    for scope, rules in product(table["scopes"], table.get("rules", [""])):
        under = ("--rules", rules) if rules else ()
        command = ("explore", scope, *under, *rest, "--jobs", "1", "--format", "json", "-o", f"{{out}}/{RUN_FILE}")
        yield Job(EXPLORE, scope, f"rules of {rules}" if rules else "its own rules", command, memory)


def scenarios(table: Mapping[str, Any]) -> Iterator[Job]:
    """Random scenarios of each seed on each kernel."""
    rest = ["--steps", str(table.get("steps", 1000))]
    rest += [word for profile in table.get("profiles", ()) for word in ("--profile", profile)]
    rest += ["--counts"] if table.get("counts") else []
    for seed, target in product(table["seeds"], table["on"]):
        command = ("conform", "--on", target, "--seed", str(seed), *rest, "--jobs", "1", "-o", "{out}/differences")
        yield Job(CONFORM, f"seed {seed}", target, command, **resources(target))


def resources(target: str) -> dict[str, Any]:
    """What a job on that target takes."""
    what = target.rpartition("=")[2] if not target.startswith("model:") else target
    if what.startswith("vm:"):
        return {"memory": GUEST_MEBIBYTES}
    return {"live": what == "live"}


MAKE = {RUN: runs, EXPLORE: searches, CONFORM: scenarios}


def put(campaign: Campaign, path: Path) -> None:
    """Write it where whoever does a job reads it."""
    path.write_text(json.dumps(asdict(campaign)), encoding="utf-8")


def put_back(path: Path) -> Campaign:
    """The one that was written there."""
    table = json.loads(path.read_text(encoding="utf-8"))
    jobs = tuple(Job(**{**job, "command": tuple(job["command"])}) for job in table["jobs"])
    return Campaign(table["title"], jobs)
