"""`pinhold device`: what a device sees of memory that its owner has written, for people, on one screen."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass

from pinhold.commands import NothingToRun
from pinhold.commands.given import deadline
from pinhold.commands.judged import shown
from pinhold.commands.matrix import run_matrix
from pinhold.commands.names import called
from pinhold.commands.names import targets as targets_of
from pinhold.commands.pages import page_at
from pinhold.commands.select import Selected
from pinhold.pictures.chart import Cell, Chart, Column, Row
from pinhold.report.results import CaseResult, TargetRun
from pinhold.scenario.parse import parse

DEFAULT = ("vm:6.1", "vm:6.12")

KINDS = (
    ("zero page", "map P x zeropage", "read P x"),
    ("memfd", "map P x memfd private", "read P x"),
    ("file", "map P x tmpfile private", "read P x"),
    ("huge zero page", "map P x hugezero", "read P x"),
    ("hugetlb 2 MiB", "map P x memfd_hugetlb 2M private", "read P x"),
    ("own memory", "map P x anon", "write P x 0x01"),
    ("shared with a child", "map P x anon", "write P x 0x01\nfork P C"),
)
"""Kinds of private memory: a name, how it is mapped, and what happens before the device gets it."""

QUESTION = (
    "A process maps private memory read-only for a device (VFIO), then writes 0xff to it.",
    "The device reads by its own DMA engine: is it still the memory that the process sees?",
)

SCENARIO = """\
scenario {kind}
{mapping}
{before}
pin P x as p longterm via vfio
device read p
write P x 0xff
expect p sees P x
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """Bytes of the first page: what the device read at first, and what process and device read after the write."""

    first: int | None
    process: int | None
    device: int | None

    @property
    def stale(self) -> bool:
        return self.process != self.device

    @property
    def word(self) -> str:
        return "STALE" if self.stale else "the same"


def main(options: Namespace) -> int:
    """Show the table; what differs is what it is for, so 0 unless nothing ran, something broke, or a kernel loops."""
    from pinhold.lab.errors import LabError
    from pinhold.lab.target import VmTarget

    given = list(dict.fromkeys(options.on or DEFAULT))
    names = targets_of(given)
    for name in names:
        if not name.startswith("vm:") or name == "vm:":
            raise NothingToRun(f"the device is QEMU's: {name} has none; give --on vm:REL")
    limit = deadline(options, names)
    try:
        targets = [VmTarget(name.removeprefix("vm:"), device=True, deadline=limit) for name in names]
    except LabError as reason:
        raise NothingToRun(str(reason)) from None
    for target, name in zip(targets, called(given), strict=True):
        target.name = name
    runs = []
    with page_at(options.html) as page:
        for outcome in run_matrix(targets, tests(), options.jobs):
            if isinstance(outcome, NothingToRun):
                raise outcome
            runs.append(outcome)
        for line in lines(runs):
            print(line)
        page.draw(runs, True, chart(runs))
    return shown(runs)


def tests() -> list[Selected]:
    """One scenario a kind of memory."""
    made = []
    for number, (kind, mapping, before) in enumerate(KINDS, 1):
        scenario = parse(SCENARIO.format(kind=kind, mapping=mapping, before=before))
        made.append(Selected(number, f"device/{number}", scenario, kind))
    return made


def seen(result: CaseResult) -> Seen:
    """From the observations of the run."""
    device = [
        view.byte for o in result.result.observations for view in o.pins if view.page == 0 and view.byte is not None
    ]
    process = [v.byte for o in result.result.observations for v in o.pages if v.proc == "P" and v.page == 0]
    return Seen(
        device[0] if device else None, process[-1] if process else None, device[-1] if len(device) > 1 else None
    )


def lines(runs: Sequence[TargetRun]) -> list[str]:
    """The table."""
    text = [
        *QUESTION,
        "",
        "memory                " + "".join(f"{run.info.name + ' (' + run.kernel + ')':34}" for run in runs).rstrip(),
        "                      " + "".join(f"{'process':10}{'device':24}" for _ in runs).rstrip(),
    ]
    for results in zip(*(run.results for run in runs), strict=True):
        text.append(f"{results[0].text:22}" + "".join(_cell(result) for result in results).rstrip())
    return text


def _cell(result: CaseResult) -> str:
    found = seen(result)
    if found.process is None or found.device is None:
        return f"{result.verdict.kind}: {(result.verdict.reason or '')[:22]}".ljust(34)
    return f"0x{found.process:02x}      0x{found.device:02x} {found.word:19}"


def chart(runs: Sequence[TargetRun]) -> Chart:
    """The table, for a page."""
    columns = [
        Column(side, f"{run.info.name} ({run.kernel})")
        for run in runs
        for side in ("the process sees", "the device reads")
    ]
    rows = [
        Row(results[0].text, [cell for result in results for cell in _cells(result)])
        for results in zip(*(run.results for run in runs), strict=True)
    ]
    return Chart("What the device reads", " ".join(QUESTION), "memory", columns, rows)


def _cells(result: CaseResult) -> tuple[Cell, Cell]:
    found = seen(result)
    if found.process is None or found.device is None:
        return Cell(result.verdict.kind, "faint", note=result.verdict.reason or ""), Cell("not seen", "faint")
    tone = "bad" if found.stale else "good"
    return Cell(f"0x{found.process:02x}"), Cell(f"0x{found.device:02x} {found.word}", tone)
