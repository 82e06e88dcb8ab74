"""One test as one HTML file: the tracks of its targets, each step with its state and what decided it.

No network, complete without script; every text is escaped by the templates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from pinhold.pictures.layout import Layout, legend
from pinhold.pictures.memory import memory
from pinhold.pictures.searchpage import search_part, search_style
from pinhold.pictures.sheet import render
from pinhold.pictures.slices import Slicer
from pinhold.pictures.story import Story, story
from pinhold.pictures.tracks import Tracks
from pinhold.pictures.words import (
    Divergence,
    changes,
    divergence,
    merged,
    outcome,
    place_word,
    ran,
    sentence,
    step_words,
    title_of,
    turn_words,
    turns,
    wrong_at,
)
from pinhold.scenario.ran import Decision, TargetInfo
from pinhold.scenario.runfile import RecordedRun, RunFile

MOST = 400
"""Rows of a page: more open slowly and are read by nobody.  Where no steps are named, those around what went wrong."""
SQUEEZED, STRETCHED = 0.72, 1.15
"""How narrow and how wide tracks may get, so that marks do not touch, and lines are still seen to belong together."""
WIDE = 750
"""Pixels of tracks beside which there is less room for words."""
SIGNS = {"VIOLATED": ("bad", "\N{BALLOT X}"), "held": ("good", "\N{CHECK MARK}")}
BROKEN = ("broken", "!")


@dataclass(frozen=True, slots=True)
class Side:
    """One target's tracks, or those of several that did the same."""

    story: Story
    layout: Layout
    slicer: Slicer
    wrong: int | None

    @property
    def target(self) -> str:
        return self.story.run.target


def page(file: RunFile, name: str, steps: tuple[int, int] | None = None, back: str | None = None) -> str:
    """The test `name` of the run file.  steps: first and last that are shown, from 1; back: a link to all tests.

    Raises ParseError, and ImportError where jinja2 is missing.
    """
    stories = [story(run) for run in file.runs if run.name == name]
    drawn = merged(stories)
    sides = [_side(one) for one in drawn if ran(one)]
    rows = max((len(side.story.rows) for side in sides), default=0)
    first, last = _window(rows, [side.wrong for side in sides], steps)
    apart = divergence([one for one in stories if ran(one)])
    accounts = [_account(one) for one in drawn]
    searches = [search_part(search) for search in file.searches if search.run == name]
    run = stories[0].run
    values = {
        "version": file.pinhold,
        "title": title_of(stories[0], name),
        "name": name,
        "hash": run.hash[:16],
        "text": run.text,
        "back": back,
        "cut": not file.complete,
        "part": {"steps": rows, "first": first, "last": last} if (first, last) != (1, rows) and rows else None,
        "accounts": accounts,
        "wrong": _wrong(sides, first, last),
        "legend": legend(side.layout for side in sides),
        "sides": [{"target": side.target, "heads": _markup(side.slicer.heads())} for side in sides],
        "rows": [_row(sides, number - 1, apart) for number in range(first, last + 1)] if rows else [],
        "searches": searches,
        "targets": [_target(info, [r for r in file.runs if r.name == name]) for info in file.targets],
    }
    style = _columns(sides)
    return render("timeline", f"{style}\n{search_style()}" if searches else style, values)


def _side(one: Story) -> Side:
    layout = Layout(one)
    return Side(one, layout, Slicer(Tracks(layout)), wrong_at(one))


def _window(rows: int, wrong: Sequence[int | None], steps: tuple[int, int] | None) -> tuple[int, int]:
    """The rows that are shown, from 1."""
    if steps is not None:
        first = min(max(steps[0], 1), max(rows, 1))
        return first, min(max(steps[1], first), rows, first + MOST - 1)
    if rows <= MOST:
        return 1, rows
    middle = next((row for row in wrong if row is not None), rows - 1)
    first = max(1, min(middle + 1 - MOST // 2, rows - MOST + 1))
    return first, first + MOST - 1


def _account(one: Story) -> dict[str, Any]:
    word, why = outcome(one)
    look, sign = SIGNS.get(word, BROKEN if word in ("error", "crashed") else ("other", "\N{BULLET}"))
    row = one.parting if one.parting is not None else wrong_at(one)
    return {
        "target": one.run.target,
        "word": word,
        "why": why,
        "look": look,
        "sign": sign,
        "sentence": sentence(one),
        "step": None if row is None else row + 1,
        "drawn": ran(one),
    }


def _wrong(sides: Sequence[Side], first: int, last: int) -> dict[str, Any] | None:
    """The button that goes where it went wrong."""
    for side in sides:
        row = side.wrong
        if row is not None and first <= row + 1 <= last:
            parted = row == side.story.parting
            return {"step": row + 1, "words": "\N{NOT EQUAL TO} where they part" if parted else "\N{BALLOT X} the leak"}
    return None


def _row(sides: Sequence[Side], row: int, apart: Divergence | None) -> dict[str, Any]:
    here = [side for side in sides if row < len(side.story.rows)]
    said = here[0].story.rows[row]
    tasks = list(dict.fromkeys(r.task for r in here[0].story.rows if r.task))
    cells = [_cell(side, row) for side in sides]
    return {
        "number": row + 1,
        "words": step_words(said),
        "does": step_words(said).removeprefix(f"{said.task} "),  # the label says whose step it is
        "turns": turns([side.story for side in here], row),
        "stand": [
            (side.target, turn_words(turn), turn.operation)
            for side in here
            for turn in side.story.rows[row].recorded.turns
        ],
        "task": said.task,
        "task_number": tasks.index(said.task) % 4 if said.task else 0,
        "flags": list(_flags(here, row)),
        "apart": apart.sides if apart is not None and apart.row == row else None,
        "why": _why(here, row),
        "memory": [(side.target, _markup(memory(side.layout, row, _state(side.story, row)))) for side in here],
        "cells": cells,
        "bare": not any(cell[1] for cell in cells),
    }


def _flags(here: Sequence[Side], row: int) -> Iterator[str]:
    for side in here:
        if side.wrong != row:
            continue
        leak = side.slicer.tracks.leak
        if leak is None:
            yield f"\N{NOT EQUAL TO} {side.target}: here pin and page part"
        else:
            yield f"\N{BALLOT X} {side.target}: {side.story.strands[leak.reader].label} reads what is written here"


def _cell(side: Side, row: int) -> tuple[str, Any, str]:
    if row >= len(side.story.rows):
        return side.target, "", "the run had ended before"
    return side.target, _markup(side.slicer.row(row)), "; ".join(changes(side.story, row)) or "nothing changes"


def _why(here: Sequence[Side], row: int) -> list[tuple[str, list[tuple[Decision, int]], str]]:
    """What decided, per target, each with how often; once for all where all say the same."""
    said = []
    for side in here:
        recorded = side.story.rows[row].recorded
        said.append((side.target, [(decision, decision.count) for decision in recorded.decisions], recorded.note or ""))
    if len(said) > 1 and all(one[1:] == said[0][1:] for one in said):
        said = [("", *said[0][1:])]
    return [one for one in said if one[1] or one[2]]


def _state(one: Story, row: int) -> str:
    there = (strand for strand in one.strands if strand.at[row] is not None)
    said = (f"{x.label} {'holds' if x.is_pin else 'maps'} {place_word(one, x.at[row])}" for x in there)
    return "; ".join(said) or "nothing is mapped"


def _columns(sides: Sequence[Side]) -> str:
    """Of the grid: the step's text, then as much for each target as its tracks need; on a phone the tracks alone, which
    scroll by themselves where they are wider."""
    least = [max(150, round(side.slicer.tracks.width * SQUEEZED)) for side in sides]
    each = " ".join(
        f"minmax({w}px, {max(150, round(side.slicer.tracks.width * STRETCHED))}px)"
        for w, side in zip(least, sides, strict=True)
    )
    narrow = 560 + 170 * max(len(sides) - 2, 0)
    words = 17 if sum(least) < WIDE else 14
    return (
        f".row {{ grid-template-columns: minmax({words}rem, 30rem) {each}; }}\n"
        f"@media (max-width: {narrow}px) {{ .row {{ grid-template-columns: {each}; }} "
        f".tracks {{ overflow-x: auto; }} .tracks > * {{ min-width: {sum(least) + 14 * len(least)}px; }} }}"
    )


def _target(info: TargetInfo, runs: Sequence[RecordedRun]) -> Mapping[str, str]:
    mechanisms: dict[str, str] = {}
    for run in runs:
        if run.target == info.name:
            mechanisms.update(run.mechanisms)
    return {
        "name": info.name,
        "release": info.release,
        "rules": info.rules,
        "settings": ", ".join(f"{name}={value}" for name, value in info.config.items()),
        "mechanisms": ", ".join(f"{pin}: {by}" for pin, by in mechanisms.items()),
    }


def _markup(svg: str) -> Markup:
    """Our own pictures, whose texts are escaped where they are drawn."""
    return Markup(svg)
