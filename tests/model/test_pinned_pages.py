"""What a pin promises, page by page: what its owner takes away is no longer promised, what it moves goes along."""

from __future__ import annotations

from random import Random

import pytest

from pinhold.mm import flags as k
from pinhold.mm.invariants import check_invariants
from pinhold.mm.properties import LONGTERM_PIN_RELIABLE, WRITE_PIN_RELIABLE, check_properties
from play import Play, row

TWO_ZERO_PAGES = "map P x zeropage pages 2\nread P x\npin P x as p longterm\n"
A_PIN = "map P x anon pages 8\nwrite P x 0x11\npin P x as p write longterm\n"


def violated(release: str, text: str) -> int:
    played = Play(row(release), text)
    assert check_invariants(played.m) == 0
    return check_properties(played.m)


def addresses(played: Play) -> list[int]:
    """Where its owner has each page of the only pin, or NO_ADDR."""
    m, found = played.m, []
    for run in range(m.pin_runs[0]):
        first = m.run_addr[run]
        found += [first if first == k.NO_ADDR else first + i for i in range(m.run_count[run])]
    return found


def test_the_rest_of_a_pin_is_watched_when_one_page_is_unmapped() -> None:
    """The page that is left goes stale before 6.2, and is unshared since."""
    text = TWO_ZERO_PAGES + "unmap P x[1]\nwrite P x[0] 0x05\n"
    assert violated("6.1", text) == LONGTERM_PIN_RELIABLE
    assert violated("6.2", text) == 0


@pytest.mark.parametrize("taking", ["unmap P x[1]", "madvise P x[1] dontneed", "unmap P x", "exit P"])
def test_what_the_owner_takes_away_of_a_pin_is_its_own_doing(taking: str) -> None:
    """One page of two, or both: nothing bad (mutant M10: a pin was detached only where it was wholly covered)."""
    assert violated("6.2", f"map P x anon pages 2\nwrite P x 0x11\npin P x as p longterm\nfork P C\n{taking}\n") == 0


@pytest.mark.parametrize("moved", ["x", "x[0]", "x[1]"])
def test_a_pin_follows_its_pages_through_mremap(moved: str) -> None:
    """Moved, or beside what was moved, a page is its owner's: stale before 6.2 when it is written, not since."""
    places = {"x": ("y", "y"), "x[0]": ("y", "x[1]"), "x[1]": ("x[0]", "y")}[moved]
    for place in places:
        text = TWO_ZERO_PAGES + f"mremap P {moved} to y\n"
        assert violated("6.1", text) == 0
        assert violated("6.1", f"{text}write P {place} 0x05\n") == LONGTERM_PIN_RELIABLE
        assert violated("6.2", f"{text}write P {place} 0x05\n") == 0


def test_a_part_of_a_large_run_is_taken_away() -> None:
    """A THP is one run of a pin, and three when its middle is gone; unpinned, every page is given back."""
    played = Play(
        row("6.2"), "map P x thp\nwrite P x 0x11\npin P x as p write longterm\nunmap P x[100:200]\nunpin p\n", 3
    )
    first = played.address()[1]
    assert played.m.pin_runs[0] == 1
    played.play(4)
    assert played.m.pin_runs[0] == 3
    assert addresses(played) == [*range(first, first + 100), *[k.NO_ADDR] * 100, *range(first + 200, first + 512)]
    assert check_invariants(played.m) == 0
    played.play()
    assert check_invariants(played.m) == 0
    assert not any(played.m.folio_pincount)


@pytest.mark.parametrize("seed", range(8))
def test_the_runs_of_a_pin_say_what_was_done_page_by_page(seed: int) -> None:
    """Beside a list of addresses, one a page, that the same random steps change: equal after each."""
    random, lines = Random(seed), []
    there = {("x", page): page for page in range(8)}  # region and page -> number in the pin
    sizes = {"x": 8}
    states = [dict(there)]
    for number in range(6):
        region = random.choice(sorted(sizes))
        first = random.randrange(sizes[region])
        end = random.randint(first + 1, sizes[region])
        pages = [(region, page) for page in range(first, end)]
        if random.random() < 0.5 and all((region, page) in there for page in range(sizes[region])):
            to = f"y{number}"
            lines.append(f"mremap P {region}[{first}:{end}] to {to}")
            sizes[to] = end - first
            moved = [(page, there.pop(place)) for page, place in enumerate(pages)]
            there |= {(to, page): pinned for page, pinned in moved}
        else:
            lines.append(f"{random.choice(('unmap', 'madvise'))} P {region}[{first}:{end}]")
            lines[-1] += " dontneed" if lines[-1].startswith("madvise") else ""
            there = {place: pinned for place, pinned in there.items() if place not in pages}
        states.append(dict(there))
    played = Play(row("6.18"), A_PIN + "\n".join(lines) + "\n", 3)
    for stop, state in enumerate(states, 3):
        played.play(stop)
        wanted = dict.fromkeys(range(8), k.NO_ADDR)
        wanted |= {pinned: played.address(*place)[1] for place, pinned in state.items()}
        assert addresses(played) == list(wanted.values()), played.actions[:stop]
        assert check_invariants(played.m) == 0


LOST = "mprotect P x read\nmprotect P x rw\nwrite P x 0x22\n"


@pytest.mark.parametrize(
    ("pin", "before", "since"),
    [
        ("pin P x as p write", WRITE_PIN_RELIABLE, 0),
        ("pin P x as p write fast", WRITE_PIN_RELIABLE, 0),
        ("pin P x as p write longterm", LONGTERM_PIN_RELIABLE, 0),
        ("pin P x as p", 0, 0),
        ("vmsplice P x as p", 0, 0),
    ],
)
def test_a_pin_for_writing_is_watched_however_short(pin: str, before: int, since: int) -> None:
    """Its page is lost where mprotect() and a write replace it, on 5.10; a short pin for reading is a snapshot, and a
    reference promises nothing."""
    text = f"map P x anon\nwrite P x 0x11\n{pin}\n{LOST}"
    assert violated("5.10", text) == before
    assert violated("6.1", text) == since


def test_a_reference_for_writing_promises_nothing() -> None:
    """FOLL_GET with FOLL_WRITE, as direct I/O took pages up to 6.4."""
    played = Play(row("5.10"), f"map P x anon\nwrite P x 0x11\nvmsplice P x as p\n{LOST}", 3)
    played.m.pin_flags[0] |= k.FOLL_WRITE
    played.play()
    assert check_properties(played.m) == 0
