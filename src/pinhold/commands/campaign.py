"""`pinhold campaign`: many runs, searches and random scenarios out of one file, one report."""

from __future__ import annotations

import json
import os
import shlex
from argparse import Namespace
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from pinhold import __version__
from pinhold.cluster import NoCluster, campaign, crew, job
from pinhold.cluster.address import address_of
from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.board import BOARD
from pinhold.commands.ending import ended_by_signals
from pinhold.commands.hands import made
from pinhold.commands.pages import write_files
from pinhold.commands.select import read_text
from pinhold.report import campaign as report
from pinhold.report import terminal
from pinhold.scenario.runfile import RunFileError, read_run

EXIT_HELD, EXIT_FAILED, EXIT_UNKNOWN, EXIT_BROKEN = 0, 1, 2, 5
SEVERITY = (EXIT_BROKEN, 3, EXIT_FAILED, 4, EXIT_UNKNOWN)
"""Statuses of jobs, the gravest first; the campaign's is that of its gravest job."""


def main(options: Namespace) -> int:
    """Do what is missing, and report everything."""
    try:
        wanted = campaign.read(read_text(options.file, "campaign"), Path(options.file))
    except campaign.BadCampaign as error:
        raise UsageError(str(error)) from None
    if options.list:
        terminal.write(shlex.join(("pinhold", *each.command)) for each in wanted.jobs)
        return EXIT_HELD
    directory = made(Path(options.output or f"{Path(options.file).stem}.campaign"))
    try:
        campaign.put(wanted, directory / job.CAMPAIGN)
    except OSError as error:
        raise UsageError(f"{error.filename or directory}: {error.strerror}") from None
    ended: dict[int, dict[str, Any]] = {}
    for number, each in enumerate(wanted.jobs):
        if (told := job.done(directory, each)) is not None:
            ended[number] = told
    missing = [number for number in range(len(wanted.jobs)) if number not in ended]
    if ended and missing:
        terminal.write([f"{len(ended)} of {len(wanted.jobs)} jobs were done before; going on with {directory}"])
    cut: KeyboardInterrupt | None = None
    try:
        with ended_by_signals(), closing(done(options, wanted.jobs, missing, directory)) as results:
            for told in results:
                ended[told["number"]] = told
                BOARD.show("campaign", f"{len(ended)} of {len(wanted.jobs)} jobs: {wanted.jobs[told['number']].name}")
    except NoCluster as reason:
        raise NothingToRun(str(reason)) from None
    except KeyboardInterrupt as end:
        cut = end
    finally:
        BOARD.clear("campaign")
    tell(wanted, directory, ended)
    if cut is not None:
        raise cut
    statuses = {told["status"] for told in ended.values()}
    return next((status for status in SEVERITY if status in statuses), EXIT_HELD)


def done(
    options: Namespace, jobs: Sequence[campaign.Job], missing: list[int], directory: Path
) -> Generator[dict[str, Any], None, None]:
    """What the missing jobs come to, as they end."""
    memory, where = available(), str(directory.absolute())
    if not missing:
        return
    with ExitStack() as stack:
        if not (options.workers or options.cluster):
            count = options.jobs or len(os.sched_getaffinity(0))
            yield from crew.side_by_side(lambda number: job.do(where, number), jobs, missing, count, memory, job.stop)
            return
        from pinhold.cluster.dask import connected, started

        if options.workers:
            workers = stack.enter_context(started(options.workers, memory=memory // options.workers))
        else:
            if any(jobs[number].live for number in missing):
                raise UsageError("live is this machine, and --cluster has several: leave it out, or run it here")
            workers = stack.enter_context(connected(address_of(options.cluster, options.certificates)))
        calls = [(where, number) for number in missing]
        yield from workers.each(job.do, calls, [jobs[number].memory for number in missing])


def available() -> int:
    """MiB of memory that nobody needs."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("MemAvailable:")) // 1024


def came_to(directory: Path, each: campaign.Job) -> str:
    """What the run file of a job says of it; nothing where it wrote none."""
    path = job.folder_of(directory, each) / campaign.RUN_FILE
    try:
        with path.open(encoding="utf-8") as file:
            return report.came_to(read_run(file))
    except (OSError, RunFileError):
        return ""


def tell(wanted: campaign.Campaign, directory: Path, ended: dict[int, dict[str, Any]]) -> None:
    """The table, and the files of the report."""
    jobs = []
    for number, each in enumerate(wanted.jobs):
        told = ended.get(number)
        word = job.WORDS[told["status"]] if told else report.MISSING
        folder = str(job.folder_of(directory, each))
        command = shlex.join(("pinhold", *(word.replace("{out}", folder) for word in each.command)))
        seconds, said = (told["seconds"], told["said"]) if told else (0.0, "")
        jobs.append(
            report.Told(
                each.kind, each.row, each.column, command, word, seconds, said, each.name, came_to(directory, each)
            )
        )
    terminal.write(report.table(jobs))
    files = {
        "report.json": json.dumps(report.record(wanted.title, __version__, jobs), indent=1),
        "junit.xml": "\n".join(report.junit(wanted.title, jobs)),
    }
    page = ""
    try:
        from pinhold.pictures.campaigns import campaign_chart
        from pinhold.pictures.chartpage import chart_page

        files["index.html"] = chart_page(campaign_chart(wanted.title, jobs))
        page = f", {directory / 'index.html'}"
    except ImportError:
        page = "; a page needs jinja2: pip install 'pinhold[report]'"
    write_files(directory, files.items())
    held = sum(each.word == "held" for each in jobs)
    terminal.write([f"{held} of {len(jobs)} held: {directory / 'junit.xml'}{page}"])
