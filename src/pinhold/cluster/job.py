"""One job of a campaign: a command of pinhold, run to its end, and what it came to put down beside what it wrote."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pinhold import __version__
from pinhold.cluster.campaign import Job, put_back

CAMPAIGN, DONE, SAID = "campaign.json", "done.json", "said.txt"

BROKE = "broke"

WORDS: Mapping[int, str] = {
    0: "held",
    1: "failed",
    2: "unknown",
    3: "not understood",
    4: "could not run",
    5: BROKE,
}
"""What an exit status of pinhold says."""

TRIES = 3
"""How often a job is begun that breaks: a guest may die of a busy machine."""

KEPT = 20_000
"""Characters of what a command said."""


def folder_of(directory: Path, job: Job) -> Path:
    return directory / job.name


def done(directory: Path, job: Job) -> dict[str, Any] | None:
    """What it came to, if it has ended under this version; one that could not run is to be tried again."""
    try:
        told: dict[str, Any] = json.loads((folder_of(directory, job) / DONE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = told.get("version") == __version__ and told.get("command") == list(job.command)
    return told if same and told.get("status") in (0, 1, 2) else None


def do(directory: str, number: int) -> dict[str, Any]:
    """Do a job of the campaign in that directory, if it is not done."""
    job = put_back(Path(directory) / CAMPAIGN).jobs[number]
    if (told := done(Path(directory), job)) is not None:
        return {**told, "number": number}
    folder = folder_of(Path(directory), job)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [word.replace("{out}", str(folder)) for word in job.command]
    start = time.monotonic()
    for tried in range(1, TRIES + 1):  # noqa: B007 # it is told
        status, said = ran([sys.executable, "-I", "-m", "pinhold", *command])
        if WORDS.get(status, BROKE) != BROKE:
            break
    (folder / SAID).write_text(said, encoding="utf-8")
    told = {
        "version": __version__,
        "command": list(job.command),
        "status": status if status in WORDS else 5,
        "seconds": round(time.monotonic() - start, 1),
        "tries": tried,
        "said": said[-KEPT:],
    }
    part = folder / f"{DONE}.part"
    part.write_text(json.dumps(told), encoding="utf-8")
    part.replace(folder / DONE)
    return {**told, "number": number}


AT_WORK: set[subprocess.Popen[str]] = set()


def ran(command: list[str]) -> tuple[int, str]:
    """Run a command to its end; gives its status and what it said."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        AT_WORK.add(process)
        try:
            said, _ = process.communicate()
        finally:
            AT_WORK.discard(process)
    return process.returncode, said


def stop() -> None:
    """End the commands that are at work in this process, as Ctrl-C does: they leave nothing behind."""
    for process in [*AT_WORK]:
        process.send_signal(signal.SIGINT)
