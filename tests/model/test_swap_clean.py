"""Pages in the swap cache that the device has already: reclaim frees them at once, and no later write is lost."""

from __future__ import annotations

import pytest

from pinhold.mm.flags import NO_PAGE
from pinhold.mm.invariants import INVARIANTS, check_invariants
from play import Play, row

RELEASES = ("5.10", "6.1", "6.2", "6.12", "6.18", "7.3")
BACK = "map P x anon\nwrite P x 0x11\nmadvise P x pageout\nread P x\n"
"""A page that went to a disk and was found again in the swap cache."""


def cached(played: Play) -> bool:
    """Whether any page is in the swap cache; the structural invariants hold."""
    assert INVARIANTS[check_invariants(played.m)] == INVARIANTS[0]
    return any(page != NO_PAGE for page in played.m.swap_page)


@pytest.mark.parametrize("release", RELEASES)
def test_what_the_device_has_is_freed_at_once(release: str) -> None:
    """Written out for the first time, or written since, it stays until the device is done."""
    for text, stays in ((BACK, False), (f"{BACK}write P x 0x22\n", True), ("map P x anon\nwrite P x 0x11\n", True)):
        played = Play(row(release), f"{text}madvise P x pageout\n", swap_sync=0)
        assert played.state("x") == "swapped"
        assert cached(played) is stays


WRITERS = {
    "a store": "write P x 0x22\n",
    "a debugger": "poke P x 0x22\n",
    "process_vm_writev()": "process_vm_writev P x 0x22\n",
    "a device": "pin P x as p write longterm\ndevice write p 0x22\nunpin p\n",
    "a device, the page being out meanwhile": (
        "pin P x as p write longterm\nmadvise P x pageout\ndevice write p 0x22\nunpin p\nread P x\n"
    ),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("release", RELEASES)
def test_what_was_written_since_comes_back(release: str, writer: str) -> None:
    """Whoever wrote, the entry is dirty or the page is, and reclaim writes it out again, twice over."""
    text = f"{BACK}{WRITERS[writer]}madvise P x pageout\nread P x\nmadvise P x pageout\nread P x\n"
    played = Play(row(release), text, swap_sync=0)
    assert played.view().byte == 0x22
    assert not cached(Play(row(release), f"{text}madvise P x pageout\n", swap_sync=0))
