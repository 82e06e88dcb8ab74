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
from pinhold.scenario.steps import Range, Write
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


@pytest.mark.parametrize("profile", ["fork", "file", "thp", "mixed", "wild"])
def test_what_is_not_told_again_has_not_changed(live: LiveTarget, profile: str) -> None:
    """After every step of random scenarios each watched page looks as it does when it is asked for by itself, and two
    pages have one name for their frame where they have one frame."""
    model = model_of(live.info())
    assert isinstance(model, ModelTarget)
    if lacks := missing(profile, model):
        pytest.skip(lacks)
    words = FrameWords()
    compared = 0
    for number in range(4):
        scenario = generate(model, wanted(profile, model, disposable=False), 12, number)
        with live.open(scenario) as session:
            for step in scenario.steps:
                try:
                    session.do(step)
                except CannotDo:
                    continue
                seen = session.observe()
                assert [seen_of(view) for view in seen.pages] == [
                    seen_of(looked_at_anew(session, view, words)) for view in seen.pages
                ]
                names = [view.frame for view in seen.pages]
                frames = list(frames_of(session, iter(seen.pages)))
                assert [names.index(name) for name in names] == [frames.index(frame) for frame in frames]
                compared += len(seen.pages)
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


class MovedOnce:
    """The kernel's words of frames, where the first look comes when the pages have just left them."""

    def __init__(self, words: FrameWords, looks: int) -> None:
        self._words, self.looks, self._moved = words, 0, looks

    def of(self, frames: Iterable[int]) -> dict[int, tuple[int | None, int | None]]:
        """Free frames, which nobody maps, as long as pages move; then what is so."""
        self.looks += 1
        told = self._words.of(frames)
        return dict.fromkeys(told, (1 << 10, 0)) if self.looks <= self._moved else told

    def close(self) -> None:
        """As the real ones."""
        self._words.close()


@pytest.mark.parametrize("times", [0, 1, 3])
@pytest.mark.usefixtures("frames_visible")
def test_a_page_that_moves_between_two_looks_is_looked_at_again(play: Callable[[str], LiveSession], times: int) -> None:
    """What pagemap says of a page and what kpageflags says of its frame are never of two frames: a frame that nobody
    maps is not that of a present page."""
    session = play("map P x anon pages 2\nwrite P x 0x01\nmap P z anon\nread P z")
    moved = MovedOnce(session._views._frame_words, times)
    session._views._frame_words = cast(FrameWords, moved)
    session.do(Write("P", Range("x"), 2))
    seen = session.observe()
    assert moved.looks == times + 1
    assert [(view.kind, view.byte) for view in seen.pages if view.region == "x"] == [("anon", 2)] * 2
    assert [view.kind for view in seen.pages if view.region == "z"] == ["zero"]
