"""The state after one step: page-table entries at the left, frames in the middle, pins at the right, and arrows."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from pinhold.pictures.layout import KINDS, Layout
from pinhold.pictures.slices import COLOURS
from pinhold.pictures.still import tag
from pinhold.pictures.story import Elsewhere, Story, Strand
from pinhold.pictures.words import byte_word
from pinhold.scenario.observation import PageView

TOP, HOLDER, FRAME, WIDTH = 34, 24, 40, 400
"""Pixels: the first line, from holder to holder, from frame to frame."""
OFF = {Elsewhere.NOWHERE: "not mapped", Elsewhere.SWAP: "in swap", Elsewhere.UNSEEN: "not shown"}


def memory(layout: Layout, row: int, label: str) -> str:
    """As SVG; label: the same in words, for a screen reader."""
    story = layout.story
    here = [k for k in layout.shown if story.strands[k].at[row] is not None]
    pages = [k for k in here if not story.strands[k].is_pin]
    pins = [k for k in here if story.strands[k].is_pin]
    frames = [c for c in layout.columns if isinstance(c, int) and any(story.strands[k].at[row] == c for k in here)]
    at = {column: TOP + FRAME * number for number, column in enumerate(frames)}
    height = max(TOP + FRAME * len(frames), TOP + HOLDER * max(len(pages), len(pins), 1)) + 4
    body = tag("text", "page table", class_="mh", x=4, y=14)
    body += tag("text", "page frame", class_="mh", x=204, y=14, text_anchor="middle")
    if pins:
        body += tag("text", "device (pin)", class_="mh", x=WIDTH - 4, y=14, text_anchor="end")
    body += "".join(_frame(story, column, at[column], row, here) for column in frames)
    apart = {k for pair in story.parted_at[row] for k in pair} if not story.may_part else set()
    for holders, draw in ((pages, _entry), (pins, _pin)):
        for number, k in enumerate(holders):
            place = story.strands[k].at[row]
            target = at[place] if isinstance(place, int) else None
            mark = " changed" if k in story.rows[row].changed else ""
            body += draw(story.strands[k], row, TOP + HOLDER * number, target, mark)
            if target is not None:
                body += _arrow(TOP + HOLDER * number, target, story.strands[k].is_pin, k in apart)
    return tag("svg", body, class_="mem", viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=label)


def _frame(story: Story, column: int, y: int, row: int, here: Sequence[int]) -> str:
    band = story.bands[column]
    views = (story.strands[k].views[row] for k in here if story.strands[k].at[row] == column)
    view = next((v for v in views if isinstance(v, PageView)), None)
    body = tag("rect", class_=f"frame b{column % COLOURS}", x=124, y=y - 12, width=160, height=34, rx=3)
    body += tag("text", escape(band.label), class_="mf", x=131, y=y + 2)
    body += tag("text", byte_word(band.bytes[row]), class_="mb", x=277, y=y + 2, text_anchor="end")
    return body + tag("text", escape(_facts(view, band.kind)), class_="mk", x=131, y=y + 16)


def _facts(view: PageView | None, kind: str) -> str:
    facts = [KINDS.get(view.kind if view and view.kind else kind, "")]
    if view is not None and view.exclusive is not None and view.kind == "anon":
        facts.append("exclusive" if view.exclusive else "shared")
    if view is not None and view.mapcount and view.kind != "zero":
        facts.append(f"mapped {view.mapcount}\N{MULTIPLICATION SIGN}")
    return " \N{MIDDLE DOT} ".join(filter(None, facts))


def _entry(strand: Strand, row: int, y: int, target: int | None, mark: str) -> str:
    body = tag("rect", class_=f"entry{mark}", x=4, y=y - 12, width=76, height=20)
    body += tag("text", escape(strand.label[:10]), class_="mf", x=10, y=y + 2)
    if target is None:
        place = strand.at[row]
        words = OFF[place] if isinstance(place, Elsewhere) else ""
        return body + tag("text", words, class_="mk", x=86, y=y + 2)
    view = strand.views[row]
    rights = "" if not isinstance(view, PageView) or view.writable is None else "rw" if view.writable else "r"
    return body + tag("text", rights, class_="mk", x=84, y=y - 6)


def _pin(strand: Strand, row: int, y: int, target: int | None, mark: str) -> str:
    body = tag("rect", class_=f"pinbox{mark}", x=326, y=y - 12, width=70, height=20, rx=2)
    return body + tag("text", escape(strand.label.removeprefix("pin ")[:9]), class_="mf", x=333, y=y + 2)


def _arrow(y: int, target: int, from_pin: bool, wrong: bool) -> str:
    way = f"M326 {y - 2}L288 {target + 3}" if from_pin else f"M80 {y - 2}L120 {target + 3}"
    return tag("path", class_="arrow wrong" if wrong else "arrow", d=way, marker_end="url(#arrow)")
