"""Pictures of runs: who holds which frame, drawn from a run file; a parting and a leak cannot be missed."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from pinhold.commands.select import select
from pinhold.pictures.layout import Layout
from pinhold.pictures.matrix import matrix
from pinhold.pictures.page import page
from pinhold.pictures.slices import Slicer
from pinhold.pictures.still import still
from pinhold.pictures.story import Elsewhere, Story, story
from pinhold.pictures.text import WIDTH, pictures
from pinhold.pictures.tracks import Line, Marker, Tracks
from pinhold.pictures.words import compared, divergence, leak, merged, sentence, turns
from pinhold.report.jsonreport import RunFileReport
from pinhold.report.results import CaseResult
from pinhold.scenario.parse import parse
from pinhold.scenario.printer import format_scenario
from pinhold.scenario.runfile import RecordedRun, RunFile, read_run
from pinhold.scenario.steps import Scenario
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

RELEASES = ("6.1", "6.2", "7.3")
DOCS = Path(__file__).parents[2] / "docs" / "pictures.md"
RED = re.compile('class="(?:disc apart|leak)"')
"""The marks of a page that are red."""
TWELVE = [f"seed/{number}" for number in range(151, 163)]


def recorded(scenario: Scenario, name: str, release: str, switches: Mapping[str, str] = {}) -> RecordedRun:
    """As a run file has it."""
    target = ModelTarget(release, switches=switches)
    file = io.StringIO()
    report = RunFileReport(file)
    report.begin(0, target.info())
    report.result(0, CaseResult(1, name, name, run_scenario(target, scenario)))
    (run,) = read_run(file.getvalue().splitlines(keepends=True)).runs
    return run


@cache
def of(name: str, release: str) -> Story:
    (test,) = select([name])
    return story(recorded(test.scenario, name, release))


def of_text(text: str, release: str = "6.2", switches: Mapping[str, str] = {}) -> Story:
    return story(recorded(parse(text), "test.pin", release, switches))


def some(suite: str, every: int) -> list[str]:
    """Each so many-th test of a suite."""
    return [test.name for test in select([suite])][::every]


MANY = pytest.mark.parametrize(
    ("suite", "every"),
    [
        ("seed", 15),
        ("stock", 25),
        ("pins", 5),
        *(pytest.param(x, 1, marks=pytest.mark.nightly) for x in ("seed", "stock", "pins")),
    ],
)
"""Some tests of each suite; all of them in the nightly."""


@pytest.mark.parametrize("name", TWELVE)
def test_the_seeds_twelve_part_at_the_write_on_6_1_and_never_on_6_2(name: str) -> None:
    """Pin and page are two lines that ran together and then do not."""
    before, after = of(name, "6.1"), of(name, "6.2")
    assert before.parting is not None
    assert before.rows[before.parting].recorded.step == "write P x 0xff"
    (pair,) = before.parted_at[before.parting]
    assert [before.strands[k].label.partition("[")[0] for k in pair] == ["pin p", "P x"]
    assert after.parting is None
    assert "!=" in pictures([before], name)
    assert "!=" not in pictures([after], name)


@MANY
def test_every_test_fits_a_mail_and_says_what_went_wrong(suite: str, every: int) -> None:
    """On one to three targets it is 78 columns of ASCII; a violated run has a mark, a held one no red one."""
    for name in some(suite, every):
        stories = [story(recorded(select([name])[0].scenario, name, release)) for release in RELEASES]
        for many in (1, 2, 3):
            text = pictures(stories[:many], name)
            assert text.isascii()
            assert max(map(len, text.splitlines())) <= WIDTH, name
        for one in stories:
            assert one.run.verdict is not None
            marked(one, one.run.verdict.kind)


def marked(one: Story, verdict: str) -> None:
    """Each verdict can be seen in the text, in the image and in the page."""
    text, image = pictures([one], one.run.name), still([one], one.run.name)
    slicer = Slicer(Tracks(Layout(one)))
    page_marks = [mark for row in one.rows for mark in RED.findall(slicer.row(row.index))]
    if verdict == "violated":
        assert page_marks, one.run.name
        assert one.parting is not None or leak(one) is not None, one.run.name
        assert "^" in text and "#b00020" in image, one.run.name
    if verdict == "held":
        tracks = text.partition("A column")[0]
        assert "!=" not in tracks and "#b00020" not in image and not page_marks, one.run.name


def test_a_strand_is_in_one_place_and_a_band_lasts_while_it_is_held() -> None:
    """From the first holder to the last."""
    for one in (of(name, "6.1") for name in some("pins", 4)):
        for number, band in enumerate(one.bands):
            held = [row.index for row in one.rows if any(x.at[row.index] == number for x in one.strands)]
            assert (held[0], held[-1]) == (band.first, band.last)
        assert all(len(x.at) == len(one.rows) for x in one.strands)


def test_pages_that_did_the_same_are_one_line() -> None:
    """A THP's pages, until one of them leaves."""
    whole = of_text("scenario a\nmap P x thp\nwrite P x 1\nread P x\n")
    assert [x.label for x in whole.strands] == ["P x[0,511]"]
    split = of_text("scenario a\nmap P x thp\nwrite P x 1\nfork P C\nwrite P x[0] 2\n")
    assert {x.label for x in split.strands if x.owner == "P"} == {"P x[0]", "P x[1,511]"}


def test_unmapped_and_swapped_out_is_no_parting() -> None:
    """The pin outlives the mapping: that is what a pin is for."""
    gone = of_text("scenario a\nmap P x anon\nwrite P x 1\npin P x as p longterm\nunmap P x\nexpect p 0x01\n")
    assert gone.parting is None
    assert "outlives" in sentence(gone)
    page = next(x for x in gone.strands if not x.is_pin)
    assert page.at[-1] is None or page.at[-1] is Elsewhere.NOWHERE


def test_a_leak_says_who_wrote_and_who_reads() -> None:
    """vmsplice() of a hugetlb page that a child writes to."""
    found = leak(of("seed/72", "6.1"))
    assert found is not None and found.writer is not None
    one = of("seed/72", "6.1")
    assert one.rows[found.row].recorded.step == "write C x 0xff"
    assert (one.strands[found.writer].label, one.strands[found.reader].label) == ("C x", "pin p")
    assert "01>ff" in pictures([one], "seed/72")


def test_what_parted_as_it_may_is_marked_otherwise() -> None:
    """A short pin of a page that is written to later."""
    text = pictures([of("pins/23", "6.2")], "pins/23")
    assert "<>" in text and "!=" not in text and "as they may" in text


def test_targets_that_did_the_same_are_drawn_once() -> None:
    """Under both names; one that was skipped is not drawn at all."""
    names = [one.run.target for one in merged([of("seed/151", r) for r in ("6.2", "7.3", "6.1")])]
    assert names == ["model:6.2 = model:7.3", "model:6.1"]


def test_the_first_decision_that_differs_is_told_with_its_own_commit() -> None:
    """The value's commit on each side, not the rule's."""
    found = divergence([of("seed/151", "6.1"), of("seed/151", "6.2")])
    assert found is not None
    (_, old), (_, new) = found.sides
    assert old is not None and new is not None
    assert (old.function, old.rule, old.commit) == ("gup_must_unshare", "gup_unshares", "a7f226604170")
    assert (new.value, new.commit) == ("cow_longterm", "84209e87c696")


def across(one: Story, row: int) -> list[str]:
    """Who holds a frame after a row, from left to right."""
    layout = Layout(one)
    held = [k for column in layout.columns for k in layout.lines(column) if one.strands[k].at[row] == column]
    return [one.strands[k].label for k in held]


def test_where_only_verdicts_differ_the_first_rule_that_decides_differently_is_told() -> None:
    """A race: what GUP-fast has pinned does not count if fork() was seen; both targets look the same until later."""
    text = (
        "scenario a race\nsmall\nmap P x anon\nwrite P x 1\nstart parent fork P C\n"
        "advance parent steps 2\nstart driver pin P x as p write longterm fast\nadvance driver steps 7\n"
        "advance parent steps 2\nstart parent write P x 1\nadvance parent steps 4\nexpect sound\n"
    )
    found = divergence([of_text(text, "6.2", {"write_protect_seq": "no"}), of_text(text)])
    assert found is not None
    (_, old), (_, new) = found.sides
    assert old is not None and new is not None
    assert (old.function, old.rule) == ("gup_fast", "")
    assert (new.function, new.rule) == ("gup_fast", "write_protect_seq")


@pytest.mark.parametrize("name", [*TWELVE, *some("stock", 20), *some("pins", 4)])
def test_columns_of_two_targets_agree_until_they_differ(name: str) -> None:
    """Who holds a frame has its place on the left as on the right, so that a difference is seen as one."""
    left, right = of(name, "6.1"), of(name, "6.2")
    found = compared(left, right).difference
    alike = min(len(left.rows), len(right.rows)) if found is None else found.index
    assert alike
    for row in range(alike):
        assert across(left, row) == across(right, row), (name, row)


def test_the_image_is_plain_svg() -> None:
    """No style sheet, no script, no reference to anywhere; a title is shown and not run."""
    text = 'scenario <script>alert(1)</script> & "more"\nmap P x anon\nwrite P x 1\n'
    image = still([of_text(text)], "</svg>")
    root = ET.fromstring(image)
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
        "svg", "title", "desc", "rect", "text", "path", "line", "g", "circle",
    }  # fmt: skip
    assert not any(key in ("style", "class", "href") or key.startswith("on") for e in root.iter() for key in e.attrib)
    assert "<script>" not in image


def page_of(text: str, *releases: str) -> str:
    file = io.StringIO()
    report = RunFileReport(file)
    for place, release in enumerate(releases):
        target = ModelTarget(release)
        report.begin(place, target.info())
        report.result(place, CaseResult(1, "a test", "a test", run_scenario(target, parse(text))))
    report.close(None)
    return page(read_run(file.getvalue().splitlines(keepends=True)), "a test")


def test_a_page_uses_nothing_but_its_own_style_and_script() -> None:
    """By hashes, so there is no attribute that is a style or a script; and every text is escaped."""
    html = page_of('scenario <img src=x onerror="alert(1)"></title><script>\nmap P x anon\nwrite P x 1\n', "6.1", "6.2")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    assert "unsafe" not in policy and policy.startswith("default-src &#39;none&#39;")
    assert not re.search(r"<[^>]* (style|on\w+)=", html)
    assert html.count("<script>") == 1 and "<img" not in html
    assert not re.search(r"https?://|src=|@import|url\((?!#)", html.replace("&lt;img src=x", ""))


def test_a_page_has_each_step_its_state_and_what_decided_it() -> None:
    """seed/151: the two kernels decide differently at step 5, and the pin and its page part at step 6."""
    html = page_of(format_scenario(select(["seed/151"])[0].scenario), "6.1", "6.2")
    assert [f'id="step-{number}"' in html for number in range(1, 10)] == [True] * 8 + [False]
    assert "The kernels decide differently here." in html.partition('id="step-5"')[2].partition('id="step-6"')[0]
    assert "here pin and page part" in html.partition('id="step-6"')[2].partition('id="step-7"')[0]
    assert "P x maps f1; pin p and P x have parted" in html
    assert html.count('class="mem"') == 8 + 7


def test_a_page_of_a_long_run_says_what_it_leaves_out() -> None:
    """400 steps, around the end or those that are named."""
    run = recorded(parse("scenario long\nmap P x anon\nwrite P x 1\nwrite P x 2\n"), "long", "6.2")
    many = [replace(run.steps[0 if not n else 1 + n % 2], index=n) for n in range(10_000)]
    file = RunFile(1, "1", None, (ModelTarget("6.2").info(),), (replace(run, steps=tuple(many)),), True)
    html = page(file, "long")
    assert "This run has 10000 steps. These are the steps 9601 to 10000" in html
    assert html.count("<li id=") == 400
    assert "These are the steps 3 to 4" in page(file, "long", (3, 4))


def test_a_schedule_says_which_operation_goes_on() -> None:
    """A race of the history."""
    text = (
        "scenario a race\nsmall pages 16 swap 4\nmap P x anon\nwrite P x 1\nstart parent write P x 2\n"
        "advance parent steps 3\nsettle\n"
    )
    assert "parent goes on for 3: write P x 0x02" in pictures([of_text(text)], "race.pin").replace("\n", " ")


def test_a_schedule_says_who_waits_and_who_is_done() -> None:
    """In the text, in the image and on the page; of targets that do not agree with the name of each."""
    text = (
        "scenario a race\nsmall pages 16 swap 4\nmap P x anon\nwrite P x 1\nstart parent fork P C\n"
        "advance parent steps 2\nstart driver pin P x as p longterm\nadvance driver steps 9\nsettle\n"
    )
    waits, done = "driver waits for a lock in __get_user_pages", "parent is done"
    one = of_text(text)
    for drawn in (pictures([one], "race.pin"), still([one], "race.pin"), page_of(text, "6.2")):
        assert waits in " ".join(drawn.replace("|", " ").split()) and done in drawn
    other = replace(one, rows=[replace(row, recorded=replace(row.recorded, turns=())) for row in one.rows])
    assert turns([one, one], 5) == [waits]
    assert turns([one, other], 5) == [f"model:6.2: {waits}"]


def branches(text: str) -> list[tuple[int, str]]:
    """The row of each dashed line of the drawn scenario, and who comes from where it begins."""
    one = of_text(text)
    tracks = Tracks(Layout(one))
    drawn = [(row.index, element) for row in one.rows for element in tracks.elements(row.index)]
    return [(row, e.strand.label) for row, e in drawn if isinstance(e, Line) and e.branch]


def test_a_child_comes_from_its_parent_in_a_schedule_and_of_a_huge_page_too() -> None:
    """A fork of a schedule copies the page at some later step of its task; a child has as one line what are many of its
    parent's."""
    race = (
        "scenario a race\nsmall pages 16 swap 4\nmap P x anon\nwrite P x 1\nstart parent fork P C\n"
        "advance parent steps 2\nstart other write P x 2\n{end}\n"
    )
    assert branches(race.format(end="advance parent steps 9")) == [(5, "C x")]
    assert branches(race.format(end="settle")) == [(5, "C x")]
    huge = "scenario huge\nmap P x thp\nwrite P x 1\npin P x[0] as p longterm\nfork P C\nwrite P x[3] 7\n"
    assert branches(huge) == [(3, "C x[0,1,2,3,4,511]")] * 3


def test_where_pin_and_page_meet_both_have_their_marks() -> None:
    """The bar between them has an end at each side, though the page was there before."""
    one = of("seed/151", "6.1")
    (row,) = [row.index for row in one.rows if row.recorded.step == "pin P x as p longterm"]
    marked = [e.strand.label for e in Tracks(Layout(one)).elements(row) if isinstance(e, Marker)]
    assert marked == ["pin p", "P x"]


def test_a_run_that_was_cut_off_is_drawn_as_far_as_it_went() -> None:
    """And says so."""
    whole = recorded(select(["seed/151"])[0].scenario, "seed/151", "6.1")
    cut = RecordedRun(whole.target, whole.name, whole.text, whole.hash, whole.steps[:5])
    assert "cut off" in pictures([story(cut)], "seed/151")
    file = RunFile(1, "1", None, (ModelTarget("6.1").info(),), (cut,), False)
    assert "The run file was cut off" in page(file, "seed/151") and "The run file was cut off" in matrix(file)
    assert "cut off" not in page(replace(file, complete=True, runs=(whole,)), "seed/151")


def test_the_picture_in_the_docs_is_what_the_command_prints() -> None:
    """docs/pictures.md, of seed/151 on 6.1 and 6.2."""
    drawn = pictures([of("seed/151", "6.1"), of("seed/151", "6.2")], "seed/151")
    assert f"```\n{drawn}```" in DOCS.read_text()
