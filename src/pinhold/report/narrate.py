"""One step in words: who maps which frame, what each pin holds, which rule decided."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from pinhold.report.results import one_line
from pinhold.scenario.observation import MIXED, PageView, PinView
from pinhold.targets.runner import StepRecord

_KINDS = {
    "anon": "anonymous",
    "file": "page cache",
    "zero": "the zero page",
    "hugetlb": "hugetlb",
    "anon hugetlb": "anonymous hugetlb",
    "file hugetlb": "hugetlb page cache",
    "ksm": "KSM page",
}


def _byte(byte: int | None) -> str:
    return "mixed bytes" if byte == MIXED else f"0x{byte:02x}"


def _frame(frame: int | None) -> str:
    return "a frame that cannot be seen" if frame is None else f"f{frame}"


def _kind(view: PageView) -> Iterator[str]:
    kind = view.kind
    if kind == "hugetlb" and view.anon is not None:
        kind = f"{'anon' if view.anon else 'file'} {kind}"
    if kind is not None:
        yield _KINDS.get(kind, kind)


def entry_words(view: PageView) -> Iterator[str]:
    """What the entry is that maps a page, as far as it is known: "by a writable, dirty PMD"."""
    told: list[str] = []
    if view.writable is not None:
        told.append("writable" if view.writable else "read-only")
    if view.dirty is not None:
        told.append("dirty" if view.dirty else "clean")
    marks = [word for word, is_so in (("soft-dirty", view.soft_dirty), ("uffd-wp", view.uffd_wp)) if is_so]
    if view.level is not None or told or marks:
        entry = "entry" if view.level is None else view.level.upper()
        yield f"by a {' '.join([', '.join([*told, *marks]), entry]).strip()}"


def page_words(view: PageView) -> str:
    """What one page of a process is: "P x[0] maps f1 by a writable PTE, anonymous, exclusive, reads 0xff"."""
    where = f"{view.proc} {view.region}[{view.page}]"
    if view.state is None:
        return f"{where} cannot be seen"
    if view.state == "none":
        return f"{where} maps nothing"
    if view.state == "swapped":
        return f"{where} is swapped out{', exclusive' if view.exclusive else ''}"
    facts = [" ".join([f"{where} maps {_frame(view.frame)}", *entry_words(view)]), *_kind(view)]
    if view.exclusive is not None and view.kind not in ("zero", "file"):
        facts.append("exclusive" if view.exclusive else "not exclusive")
    if view.mapcount is not None and view.kind != "zero":
        facts.append({1: "mapped once", 2: "mapped twice"}.get(view.mapcount, f"mapped {view.mapcount} times"))
    if view.byte is not None:
        facts.append(f"reads {_byte(view.byte)}")
    return ", ".join(facts)


def pin_words(view: PinView) -> str:
    """What one page of a pin, or of a copy, is: "p[0] holds f0 of P x[0] (FOLL_PIN), sees 0x00"."""
    held = "shows no frame" if view.frame is None else f"holds {_frame(view.frame)}"
    if view.range is not None:
        held += f" of {view.owner} {view.range}"
    if view.flags is not None:
        held += f" ({view.flags})"
    words = f"{view.pin}[{view.page}] {held}"
    return words if view.byte is None else f"{words}, sees {_byte(view.byte)}"


def view_lines(record: StepRecord) -> Iterator[str]:
    """Everything that was observed after the step."""
    if record.observation is None:
        return
    yield from map(page_words, record.observation.pages)
    yield from map(pin_words, record.observation.pins)


def outcome_lines(record: StepRecord) -> Iterator[str]:
    """How the step ended, and what decided."""
    if record.check is not None:
        yield f"this expectation: {record.check}"
    if record.outcome is None:
        return
    if record.outcome.errno:
        number = record.outcome.errno
        yield f"failed with {errno.errorcode.get(number, number)} ({os.strerror(number)})"
    if record.outcome.note:
        yield one_line(record.outcome.note)
    for decision in record.outcome.decisions:
        by = f", commit {decision.commit}" if decision.commit else ""
        rule = f" [rule {decision.rule}={decision.value}{by}]" if decision.rule else ""
        yield f"{decision.function}: {one_line(decision.sentence)}{rule}"
    for promise in record.outcome.violated:
        yield f"VIOLATED: {one_line(promise)}"
