"""A campaign as a chart: what was done by where it was done, and a word for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pinhold.pictures import chart

HEADINGS = {"run": "tests", "explore": "searches", "conform": "random scenarios"}
TONES = {"held": "good", "failed": "bad", "unknown": "part", "not done": "faint"}


class Job(Protocol):
    """What is shown of a job."""

    @property
    def kind(self) -> str: ...
    @property
    def row(self) -> str: ...
    @property
    def column(self) -> str: ...
    @property
    def command(self) -> str: ...
    @property
    def word(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def failed(self) -> bool: ...
    @property
    def last(self) -> str: ...
    @property
    def folder(self) -> str: ...


def campaign_chart(title: str, jobs: Sequence[Job]) -> chart.Chart:
    columns = list(dict.fromkeys(job.column for job in jobs))
    there = {(job.kind, job.row, job.column): job for job in jobs}
    rows = []
    for kind, row in dict.fromkeys((job.kind, job.row) for job in jobs):
        cells = [_cell(there.get((kind, row, column))) for column in columns]
        rows.append(chart.Row(row, cells, group=HEADINGS[kind]))
    held = sum(job.word == "held" for job in jobs)
    about = f"{held} of {len(jobs)} held. A cell is one command; its time is beside it."
    notes = [f"{job.row}, {job.column}: {job.last} ({job.command}; {job.folder})" for job in jobs if job.failed]
    return chart.Chart(title, about, "what", [chart.Column(name) for name in columns], rows, notes)


def _cell(job: Job | None) -> chart.Cell:
    if job is None:
        return chart.Cell("", "faint")
    return chart.Cell(job.word, TONES.get(job.word, "bad"), note=f"{job.seconds:,.0f} s" if job.seconds else "")
