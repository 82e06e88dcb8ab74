"""Charts: rules by releases, states by depth; each as a still image and as a page whose table is the picture."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.mm.releases import releases, row
from pinhold.mm.rules import RULES
from pinhold.pictures.chart import Cell, Chart, Column, Row
from pinhold.pictures.chartpage import chart_page
from pinhold.pictures.chartstill import chart_still
from pinhold.pictures.depths import Levels, depths
from pinhold.pictures.reach import Reached, reach
from pinhold.pictures.staircase import Switched, staircase

HOSTILE = '<script>alert("1")</script>&'
SVG = "{http://www.w3.org/2000/svg}"


def words(svg: str) -> list[str]:
    """All texts of an image."""
    return [text.text or "" for text in ET.fromstring(svg).iter(f"{SVG}text")]


def boxes(svg: str) -> list[tuple[float, float]]:
    """Where each text of an image begins, and its middle line."""
    return [(float(text.get("x", "")), float(text.get("y", ""))) for text in ET.fromstring(svg).iter(f"{SVG}text")]


def test_a_rules_first_change_orders_the_stairs() -> None:
    """Those that change in the earlier release stand above; what never changes is at the end."""
    rules = [
        Switched("never", ("a", "a", "a"), ("", "", "")),
        Switched("late", ("a", "a", "b"), ("", "", "222222222222")),
        Switched("early", ("a", "b", "b"), ("", "111111111111", "111111111111")),
    ]
    chart = staircase(("5.10", "6.1", "6.2"), rules)
    assert [line.name for line in chart.rows] == ["early", "late", "never"]
    assert [cell.new for cell in chart.rows[0].cells] == [False, True, False]
    assert chart.rows[0].cells[1].note == "111111111111"
    assert chart.rows[0].cells[2].spoken == "b, as before"


def test_rules_draws_every_rule_of_every_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bar for each change that the specification has, no more; the command says where it went."""
    path = tmp_path / "rules.html"
    assert main(["rules", "--html", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    page = path.read_text()
    rows = [row(release) for release in releases()]
    changes = sum(a[rule.name] != b[rule.name] for rule in RULES for a, b in pairwise(rows))
    assert len(re.findall(r'<td class=" new"', page)) == changes
    assert all(f'<th scope="row">{rule.name}</th>' in page for rule in RULES)
    assert main(["rules", "--svg", str(tmp_path / "rules.svg")]) == 0
    assert {rule.name for rule in RULES} <= set(words((tmp_path / "rules.svg").read_text()))


def test_a_list_and_a_chart_at_once_is_a_mistake(tmp_path: Path) -> None:
    """Usage, told in a sentence."""
    assert main(["rules", "--svg", str(tmp_path / "a.svg"), "list"]) == 3
    assert main(["rules", "--svg", str(tmp_path / "a.svg"), "--html", str(tmp_path / "a.html")]) == 3


def test_the_depth_of_what_was_found_is_marked_and_named() -> None:
    """In the table and in the image, by words and a sign."""
    chart = depths("a scope", [Levels("old", (1, 4, 2), "it is bad"), Levels("new", (1, 4, 2, 1))])
    assert [line.cells[0].text for line in chart.rows] == ["1", "4", "\N{BALLOT X} 2: it is bad", ""]
    assert [line.cells[1].share for line in chart.rows] == [0.25, 1, 0.5, 0.25]
    assert "exhausted: nothing bad" in chart.columns[1].note and "first bad one" in chart.columns[0].note
    assert "\N{BALLOT X} 2: it is bad" in words(chart_still(chart))
    limited = depths("a scope", [Levels("old", (1,), limit="10 s are over")])
    assert "10 s are over" in limited.columns[0].note


def test_ask_draws_what_each_release_promises(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stale on 6.1, reliable since 6.2, with a bar there; what is charged stands below."""
    page, image = tmp_path / "ask.html", tmp_path / "ask.svg"
    on = ("--on", "model:6.1", "--on", "model:6.2")
    assert main(["ask", "FOLL_LONGTERM", *on, "--html", str(page)]) == 0
    assert main(["ask", "FOLL_LONGTERM", *on, "--svg", str(image)]) == 0
    assert capsys.readouterr().out == f"{page}\n{image}\n"
    told = page.read_text()
    line = told[told.index('<th scope="row">only read: shared zeropage</th>') :].partition("</tr>")[0]
    assert re.sub("<[^>]*>", " ", line).split()[-4:] == ["\N{BALLOT X}", "stale", "\N{CHECK MARK}", "reliable"]
    assert '<td class="good new">' in line
    assert "locked memory, in pages of 4 KiB: one 4 KiB page of a THP" in told
    assert words(image.read_text()).count("\N{BALLOT X} stale") == 7


def test_an_interface_is_drawn_use_by_use(tmp_path: Path) -> None:
    """VFIO maps to read, and to write, too."""
    path = tmp_path / "vfio.svg"
    assert main(["ask", "vfio", "--on", "model:6.1", "--svg", str(path)]) == 0
    headings = [word for word in words(path.read_text()) if word.endswith(": private anonymous, THP")]
    assert len(headings) == 2


def test_what_was_never_reached_is_told_from_what_cannot_be() -> None:
    """Both from what was; the first rows are shares of what can be."""
    here = Reached("live", "", {"steps": {"map": 9}}, {"steps": ["map", "pin"]})
    there = Reached("vm:6.1", "", {"steps": {"map": 99, "ksm": 1}}, {"steps": ["map", "pin", "ksm"]})
    chart = reach("what was reached", [here, there])
    table = {line.name: [cell.text for cell in line.cells] for line in chart.rows if line.group == "steps"}
    assert table == {
        "map": ["9", "99"],
        "pin": ["\N{WHITE CIRCLE} never", "\N{WHITE CIRCLE} never"],
        "ksm": ["-", "1"],
    }
    assert [(cell.text, cell.share) for cell in chart.rows[0].cells] == [("1 of 2", 0.5), ("2 of 3", 2 / 3)]


def test_every_value_is_escaped() -> None:
    """In both; and a page has no script that the policy would let run."""
    cell = Cell(HOSTILE, "bad", note=HOSTILE, spoken=HOSTILE, share=1.0)
    chart = Chart(HOSTILE, HOSTILE, HOSTILE, [Column(HOSTILE, HOSTILE)], [Row(HOSTILE, [cell], HOSTILE, HOSTILE)])
    page, image = chart_page(chart), chart_still(chart)
    assert "<script" not in page and "<script" not in image
    assert "script-src" not in page and "default-src &#39;none&#39;" in page
    assert HOSTILE in words(image)


def test_texts_of_a_still_do_not_run_into_each_other() -> None:
    """Each begins where the one at its left has ended, by the width of the widest letters."""
    rules = [Switched(f"rule_{k}", ("a" * k, "b" * 20, "c"), ("", "1" * 12, "2" * 12)) for k in range(1, 20)]
    image = chart_still(staircase(("5.10", "6.1", "6.2"), rules))
    lines: dict[float, list[tuple[float, str]]] = {}
    for (x, y), said in zip(boxes(image), words(image), strict=True):
        lines.setdefault(y, []).append((x, said))
    for line in lines.values():
        for (x, said), (following, _) in pairwise(sorted(line)):
            assert x + 6 * len(said) <= following, said
