"""Meaning is never in a colour alone: without colours, and on paper, what means different things looks different.

Each pair of marks is measured in the pixels of a grey page; and where a style sheet leaves the two nothing but their
colours, the same measure says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grey import FINE, Grey, Shape, apart
from pinhold.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

Measure = Callable[["Mark", str, str], Shape]
ENOUGH = 0.18
"""A round mark and a square one of the same size are 0.21 apart."""
MEDIA = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "print": {"color_scheme": "dark", "media": "print"},
}


@dataclass(frozen=True, slots=True)
class Mark:
    """drawn: selectors of what it is drawn by, on a page of that name; edge: it is known by its left edge."""

    page: str
    drawn: tuple[str, ...]
    edge: bool = False


@dataclass(frozen=True, slots=True)
class Two:
    """Marks that mean different things.  colours: a style sheet that leaves them their colours alone."""

    one: Mark
    other: Mark
    colours: str


BAR = Mark("parted", (".joined",))
TICK, CROSS, BROKEN = (Mark("matrix", (f".grid i.{kind}",)) for kind in ("held", "violated", "error"))
GOOD, BAD = (Mark("parted", (f".verdicts li.{look}",), edge=True) for look in ("good", "bad"))
PAGE = Mark("parted", (".marker:not(.minor) rect[rx='9']",))
DISC = (".disc circle", ".disc path")

PAIRS = {
    "the mark of a pin and of a page": Two(
        Mark("parted", (".marker rect[rx='2']",)), PAGE, ".marker rect { rx: 9px; }"
    ),
    "the line of a pin and of a page": Two(
        Mark("parted", ("#step-7 .line.pin", "#step-7 .line.pin + .core")),
        Mark("parted", ("#step-7 .line:not(.pin):not(.minor)",)),
        ".line { stroke-width: 4px !important; } .line.pin { stroke: #b00020; } .core { stroke: none; }",
    ),
    "what is asked about and what is beside it": Two(
        PAGE,
        Mark("parted", (".marker.minor rect",)),
        ".marker.minor rect { fill: #1d4f91; stroke: var(--ground); }",
    ),
    "the link of what parted and of what is together": Two(
        Mark("parted", ("line.apart",)), BAR, "line.apart { stroke-dasharray: none; stroke-width: 6px; }"
    ),
    "parted as it may not and as it may": Two(
        Mark("parted", DISC),
        Mark("may", DISC),
        ".disc.allowed circle { fill: #1d4f91; stroke: none; } .disc path { stroke: none; }",
    ),
    "a leak and what is together": Two(
        Mark("leak", ("line.leak", "svg.leak path")),
        Mark("leak", (".joined",)),
        "svg.leak path { fill: none; } line.leak { stroke-width: 6px; }",
    ),
    "the account of what is violated and of what held": Two(
        BAD, GOOD, ".verdicts li.bad { border-left-style: solid; }"
    ),
    "the account of what broke and of what held": Two(
        Mark("broken", (".verdicts li.broken",), edge=True), GOOD, ".verdicts li.broken { border-style: solid; }"
    ),
    "violated and held at a glance": Two(
        CROSS, TICK, ".grid i { color: transparent !important; } .grid i.held { background: #17603a; }"
    ),
    "violated and broken at a glance": Two(
        CROSS, BROKEN, ".grid i { color: transparent !important; } .grid i.error { border: 0; background: #1a1a1a; }"
    ),
    "targets that differ and that do not": Two(
        Mark("matrix", (".grid td.differ",), edge=True),
        Mark("matrix", (".grid td:not(.differ)",), edge=True),
        ".grid td.differ { outline: none; background: #fdecee; }",
    ),
    "a release that changes a rule and one that does not": Two(
        Mark("rules", (".chart td.new",), edge=True),
        Mark("rules", (".chart tbody tr:last-child td:nth-child(5)",), edge=True),
        ".chart td.new { border-left: 1px solid #dbe9f9; color: transparent; }",
    ),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By name; one verdict of the matrix is an error of the tool."""
    folder = tmp_path_factory.mktemp("grey")
    run, both = folder / "run.json", ("--on", "model:6.1", "--on", "model:6.2")
    main(["run", "seed/145-162", *both, "--format", "json", "-o", str(run)])
    lines = [json.loads(line) for line in run.read_text().splitlines()]
    of = {(line["name"], line["target"]): line["run"] for line in lines if line["line"] == "scenario"}
    broken = of["seed/152", "model:6.2"]
    for line in lines:
        if (line["line"], line.get("run")) == ("verdict", broken):
            line["verdict"] = {"kind": "error", "reason": "left behind by the scenario: pages pinned"}
    run.write_text("".join(json.dumps(line) + "\n" for line in lines))
    tests = folder / "out" / "tests"
    made = {
        "matrix": folder / "out" / "index.html",
        "parted": tests / "seed-151.html",
        "broken": tests / "seed-152.html",
    }
    assert main(["report", str(run), "-o", str(folder / "out")]) == 0
    for name, test in (("leak", "seed/72"), ("may", "pins/23")):
        made[name] = folder / f"{name}.html"
        assert main(["show", test, "--on", "model:6.2", "--html", str(made[name])]) == 0
    made["rules"] = folder / "rules.html"
    assert main(["rules", "--html", str(made["rules"])]) == 0
    return made


@pytest.fixture(scope="module")
def shape(pages: dict[str, Path], browser: Any) -> Iterator[Measure]:
    """Of a mark, as a medium shows it, and with a style sheet on top of the page's own."""
    context = browser.new_context(device_scale_factor=FINE, bypass_csp=True, viewport={"width": 1280, "height": 120})
    reader, opened = context.new_page(), {}

    def measured(mark: Mark, planted: str, medium: str) -> Shape:
        if (mark.page, medium) not in opened:
            opened[mark.page, medium] = page = context.new_page()
            page.emulate_media(**MEDIA[medium])
            page.goto(pages[mark.page].as_uri())
        return Grey(opened[mark.page, medium], reader, planted).shape(mark.drawn, mark.edge)

    yield measured
    context.close()


@pytest.mark.parametrize("media", MEDIA)
@pytest.mark.parametrize("pair", PAIRS)
def test_without_colour_two_marks_look_different(pair: str, media: str, shape: Measure) -> None:
    """By what stands out from the ground, on a light and a dark screen and on paper."""
    two = PAIRS[pair]
    one, other = (shape(mark, "", media) for mark in (two.one, two.other))
    assert one, "it cannot be seen"
    assert apart(one, other) > ENOUGH


@pytest.mark.parametrize("pair", PAIRS)
def test_two_marks_that_differ_by_colour_alone_are_found(pair: str, shape: Measure) -> None:
    """Where a style sheet takes the rest from them."""
    two = PAIRS[pair]
    one, other = (shape(mark, two.colours, "light") for mark in (two.one, two.other))
    assert apart(one, other) < ENOUGH
