"""io_uring's buffers of large folios keep one pin of each folio, whatever becomes of the memory that they are of."""

from __future__ import annotations

import pytest

from pinhold.mm.invariants import check_invariants
from play import Play, row


@pytest.mark.parametrize(
    ("text", "pins"),
    [
        ("map P x thp pages 1024\nwrite P x 0x01\nio_uring P x as p\n", 1),
        ("map P x thp pages 1024\nwrite P x 0x01\nio_uring P x as p\nmremap P x[8:16] to y\n", 1),
        ("map P x thp pages 1024\nwrite P x 0x01\nio_uring P x as p\nunmap P x[:100]\nunmap P x[200:300]\n", 1),
        ("map P x thp pages 1024\nwrite P x 0x01\nio_uring P x as p\npin P x as q longterm\n", 513),
        ("map P x memfd_hugetlb 2M pages 1024 shared\nwrite P x 0x01\nio_uring P x as p\nfork P C\n", 1),
        ("map P x thp pages 600\nwrite P x 0x01\nio_uring P x[500:] as p\n", 12),
        ("map P x thp pages 1024\nwrite P x 0x01\nio_uring P x[:8] as p\nio_uring P x[4] as q\n", 2),
    ],
)
def test_one_pin_of_each_folio_is_kept_and_let_go(text: str, pins: int) -> None:
    """After parts of the buffer are moved, unmapped or shared; what ends in small pages is not
    coalesced.  The counts are right with the pins, and without them."""
    played = Play(row("6.12"), f"{text}unpin p\n", stop=len(text.splitlines()))
    m = played.m
    large = [folio for folio in range(len(m.folio_pincount)) if m.folio_pincount[folio]]
    assert m.folio_pincount[large[0]] == pins
    assert check_invariants(m) == 0
    played.play()
    assert m.folio_pincount[large[0]] == {513: 512, 2: 1}.get(pins, 0)
    assert check_invariants(m) == 0
