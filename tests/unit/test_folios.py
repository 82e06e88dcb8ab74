"""Which folio a frame is part of, from a /proc/kpageflags made of words."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pinhold.targets.live.folios import UNKNOWN, Folios, Place
from pinhold.targets.live.pagemap import KPF_COMPOUND_HEAD, KPF_COMPOUND_TAIL, FrameWords

FRAMES = 2048


def made(folder: Path, *folios: tuple[int, int]) -> Folios:
    """Of folios of so many pages from these frames on; all other frames are single pages."""
    words = [0] * FRAMES
    for begin, pages in folios:
        words[begin : begin + pages] = [1 << KPF_COMPOUND_HEAD, *[1 << KPF_COMPOUND_TAIL] * (pages - 1)]
    (folder / "kpageflags").write_bytes(struct.pack(f"={FRAMES}Q", *words))
    one = Folios(FrameWords(str(folder)))
    one.begin({})
    return one


@pytest.mark.parametrize(
    ("frame", "level", "offset"),
    [(512, "pte", 0), (513, "pte", 1), (1023, "pte", 511), (1023, "pmd", 511), (1024, "pte", 0), (3, "pte", 0)],
)
def test_a_page_is_a_part_of_its_own_folio(frame: int, level: str, offset: int, tmp_path: Path) -> None:
    """Head, tail, and a page by itself; also where one entry maps the folio."""
    assert made(tmp_path, (512, 512)).place(frame, level)[1] == offset


def test_the_head_before_may_be_another_s(tmp_path: Path) -> None:
    """Small folios behind one another: a tail is its own head's, and no page between is taken for one."""
    folios = made(tmp_path, (0, 16), (16, 4), (20, 4), (24, 8))
    places: list[Place] = [folios.place(frame) for frame in (15, 17, 19, 21, 23, 31)]
    assert [offset for _, offset in places] == [15, 1, 3, 1, 3, 7]
    assert [name for name, _ in places] == [0, 1, 1, 2, 2, 3]


def test_what_is_known_already_is_not_read_again(tmp_path: Path) -> None:
    """And what cannot be read is not told: who is not root has no folios."""
    folios = made(tmp_path)
    folios.begin({7: (1 << KPF_COMPOUND_TAIL, 1), 6: (1 << KPF_COMPOUND_HEAD, 1)})
    assert folios.place(7) == (0, 1)
    folios.begin({7: (None, None)})
    assert folios.place(7) == folios.place(None) == UNKNOWN


def test_a_tail_that_has_no_head_is_not_told(tmp_path: Path) -> None:
    """The folio was split between two reads."""
    folios = made(tmp_path)
    folios.begin({7: (1 << KPF_COMPOUND_TAIL, 1)})
    assert folios.place(7) == UNKNOWN
