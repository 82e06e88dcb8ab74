"""A step and what is seen after it are one message, and what looks as it did is told no more: nothing is missed so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import cast

import pytest

from pinhold.commands.registry import model_of
from pinhold.conform.generate import generate
from pinhold.conform.wanted import missing, wanted
from pinhold.scenario.observation import MIXED, PageView
from pinhold.scenario.parse import parse
from pinhold.scenario.printer import format_step
from pinhold.scenario.steps import Action, Drain, Range, Scenario, Write
from pinhold.targets.base import CannotDo
from pinhold.targets.live import pagemap
from pinhold.targets.live import protocol as p
from pinhold.targets.live.channel import Channel
from pinhold.targets.live.pagemap import FrameWords
from pinhold.targets.live.session import LiveSession
from pinhold.targets.live.target import LiveTarget
from pinhold.targets.model.target import ModelTarget

pytestmark = pytest.mark.usefixtures("live")


def looked_at_anew(session: LiveSession, view: PageView, words: FrameWords) -> PageView:
    """The page as it looks by itself, asked of its process and of the kernel for it alone."""
    word = session._tree.look(view.proc, p.Frames(view.region, [view.page])).words[0]
    frame = pagemap.pfn(word)
    flags, count = words.flags(frame), words.count(frame)
    (run,) = session.contents(view.proc, Range(view.region, view.page, view.page + 1))
    return PageView(
        view.proc,
        view.region,
        view.page,
        pagemap.state(word),
        view.frame,
        view.kind if flags is None else session._views._sight.kind(flags),
        view.exclusive,
        count,
        view.byte if run.byte == MIXED else run.byte,
        view.anon if flags is None else pagemap.bit(flags, pagemap.KPF_ANON),
    )


def seen_of(view: PageView) -> tuple[object, ...]:
    return view.proc, view.region, view.page, view.state, view.kind, view.mapcount, view.byte, view.anon


def frames_of(session: LiveSession, views: Iterator[PageView]) -> Iterator[int | None]:
    for view in views:
        yield pagemap.pfn(session._tree.look(view.proc, p.Frames(view.region, [view.page])).words[0])


def told_otherwise(live: LiveTarget, scenario: Scenario, words: FrameWords) -> tuple[int, list[str]]:
    """How many pages were looked at after all steps, and the first that do not look as they do when each is asked for
    by itself."""
    compared = 0
    with live.open(scenario) as session:
        for step in scenario.steps:
            try:
                session.do(step)
            except CannotDo:
                continue
            seen = session.observe()
            compared += len(seen.pages)
            wrong = [
                f"after {format_step(step)}: {seen_of(view)}, not {seen_of(anew)}"
                for view in seen.pages
                if seen_of(view) != seen_of(anew := looked_at_anew(session, view, words))
            ]
            names = [view.frame for view in seen.pages]
            frames = list(frames_of(session, iter(seen.pages)))
            if [names.index(name) for name in names] != [frames.index(frame) for frame in frames]:
                wrong.append(f"after {format_step(step)}: frames {names}, not as {frames}")
            if wrong:
                return compared, wrong
    return compared, []


@pytest.mark.parametrize("profile", ["fork", "file", "thp", "mixed", "wild"])
def test_what_is_not_told_again_has_not_changed(live: LiveTarget, profile: str) -> None:
    """After every step of random scenarios each watched page looks as it does when it is asked for by itself, and two
    pages have one name for their frame where they have one frame: at the second run at least, as the kernel may move
    any page between two looks."""
    model = model_of(live.info())
    assert isinstance(model, ModelTarget)
    if lacks := missing(profile, model):
        pytest.skip(lacks)
    words = FrameWords()
    compared = 0
    for number in range(4):
        scenario = generate(model, wanted(profile, model, disposable=False), 12, number)
        looked, wrong = told_otherwise(live, scenario, words)
        compared += looked
        assert not wrong or told_otherwise(live, scenario, words)[1] == [], wrong
    words.close()
    assert compared > 50


def test_a_step_is_one_message(live: LiveTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for a step and what is seen after it; one more for each other process, where the step stores anything, and
    none where root sees that it looks as it did."""
    sent: Counter[str] = Counter()
    send = Channel.send
    monkeypatch.setattr(
        Channel, "send", lambda self, message, fds=(): (sent.update([message[0]]), send(self, message, fds))
    )
    scenario = parse("scenario x\nobserve\nmap P x anon pages 4\nwrite P x 1\nfork P C\nwrite C x 2\nread C x\n")
    with live.open(scenario) as session:
        for step in scenario.steps:
            sent.clear()
            session.do(step)
            session.observe()
            stores = step == scenario.steps[3]
            hidden = step == scenario.steps[4] and not live._sight.frames
            assert sorted(sent.values()) == [1, *([1] if stores or hidden else [])]


class Meddling:
    """The kernel's words of frames; while they are read, some times, pages come and go."""

    def __init__(self, session: LiveSession, times: int) -> None:
        self._session, self._times, self._words = session, times, session._views._frame_words
        self.looks = 0

    def of(self, frames: Iterable[int]) -> dict[int, tuple[int | None, int | None]]:
        """What is so, before something else becomes so."""
        told = self._words.of(frames)
        self.looks += 1
        if self.looks <= self._times:
            come = self.looks % 2
            self._session._tree.ask("P", p.Write("x", 0, 1, 7) if come else p.Madvise("x", 0, 1, "dontneed"))
        return told

    def close(self) -> None:
        """As the real ones."""
        self._words.close()


@pytest.mark.parametrize("times", [0, 1, 2, 3])
@pytest.mark.parametrize("step", [Drain(), Write("P", Range("y"), 2)], ids=["own", "stores"])
@pytest.mark.usefixtures("frames_visible")
def test_what_changes_between_two_looks_is_looked_at_again(
    play: Callable[[str], LiveSession], step: Action, times: int
) -> None:
    """What pagemap says of pages and what kpageflags says of frames is of one moment, whatever comes in between."""
    session = play("map P x anon\nmap P y anon")
    session._views._frame_words = cast(FrameWords, meddling := Meddling(session, times))
    session.do(step)
    x = next(view for view in session.observe().pages if view.region == "x")
    assert meddling.looks == times + 1
    assert (x.state, x.byte, x.kind) == (("present", 7, "anon") if times % 2 else ("none", None, None))
