"""Large folios and swap: whole to the device, whole back into the page table (6.11 and later), or in pieces."""

from __future__ import annotations

import pytest

from pinhold.mm.invariants import INVARIANTS, check_invariants
from pinhold.scenario.parse import parse
from pinhold.scenario.steps import Statement
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario
from play import Play, row

THP = "map P x thp\nwrite P x 0x01\n"
OUT = THP + "madvise P x pageout\n"


def verdict(release: str, lines: str) -> str:
    """The verdict; no invariant is broken at the end."""
    scenario = parse(f"scenario test\n{lines}\n")
    with ModelTarget(release, checked=True).open(scenario) as session:
        for step in scenario.steps:
            if not isinstance(step, Statement):
                session.do(step)
        broken = check_invariants(session.m)
        assert broken == 0, INVARIANTS[broken]
    return run_scenario(ModelTarget(release, checked=True), scenario).verdict.kind


@pytest.mark.parametrize("release", ["6.2", "6.12", "6.18"])
@pytest.mark.parametrize(
    "lines",
    [
        OUT + "write P x[7] 0x02\nread P x\nexpect P x[:7] 0x01\nexpect P x[7] 0x02",
        OUT + "fork P C\nwrite P x 0x02\nread C x\nexpect C x 0x01\nexpect P x 0x02",
        OUT + "fork P C\nread C x[5]\nwrite C x[6] 0x03\nread P x\nexpect P x 0x01\nexpect C x[6] 0x03",
        OUT + "fork P C\nexit P\nread C x\nexpect C x 0x01",
        OUT + "read P x\nmadvise P x[1:] dontneed\nread P x\nexpect P x[0] 0x01\nexpect P x[1:] 0x00",
        OUT + "read P x[0]\nmadvise P x pageout\nread P x\nexpect P x 0x01",
        OUT + "mremap P x[256:] to y\nread P y\nread P x[:256]\nexpect P y 0x01\nexpect P x[:256] 0x01",
        OUT + "unmap P x[100:200]\nread P x[:100]\nread P x[200:]\nexpect P x[200:] 0x01",
        OUT + "read P x\nunmap P x[3]\nmadvise P x[4:] pageout\nread P x[4:]\nexpect P x[4:] 0x01",
        THP + "madvise P x[10:20] pageout\nrequire P x[10:20] swapped\nread P x\nexpect P x 0x01",
        THP + "mprotect P x[1] read\nfork P C\nmadvise P x pageout\nrequire P x present\nexpect C x 0x01",
        THP + "io_uring P x[9] as p\nmadvise P x pageout\nexpect p sees P x[9]",
    ],
)
def test_contents_survive_swap(release: str, lines: str) -> None:
    """Whatever comes back from swap, in one piece or many, is what went, in each process."""
    assert verdict(release, lines) == "held"


@pytest.mark.parametrize(("release", "state"), [("6.2", "swapped"), ("6.12", "present"), ("6.18", "present")])
def test_one_fault_maps_all_of_a_folio(release: str, state: str) -> None:
    """The first touch brings back the whole folio from the swap cache since 6.11, and one page before."""
    assert verdict(release, OUT + f"read P x[3]\nrequire P x[4:] {state}\nexpect P x[3] 0x01") == "held"


@pytest.mark.parametrize("lines", ["unmap P x[3]\nread P x[4]", "mremap P x[3:] to y\nread P y[0]"])
def test_a_folio_whose_entries_are_not_in_a_row_comes_back_in_pieces(lines: str) -> None:
    """With a hole among its entries, or entries elsewhere, a fault maps its page alone."""
    assert verdict("6.18", OUT + f"{lines}\nrequire P x[1:3] swapped\nexpect P x[0] 0x01") == "unknown"


def test_a_reference_to_one_page_makes_all_pages_of_the_folio_be_copied() -> None:
    """A folio in a pipe is copied page by page, also where no page is held: its references are counted together."""
    lines = OUT + "read P x\nvmsplice P x as p\nfork P C\nunmap P x\nwrite C x 0x02\nexpect p 0x01\nexpect C x 0x02"
    assert verdict("6.18", lines) == "held"
    scenario = parse(f"scenario test\n{lines}\n")
    result = run_scenario(ModelTarget("6.18"), scenario)
    last = [{v.frame for v in o.pages if v.proc == "C" and v.page == 511} for o in result.observations][-3:-1]
    before = {v.frame for v in result.observations[-4].pages if v.proc == "C" and v.page == 511}
    assert last[0] != before


SWAPPED_IN = "map P x anon\nwrite P x 0x01\nswapout P x\nread P x\npin P x as p\nmadvise P x pageout\n"


@pytest.mark.parametrize(("release", "state"), [("5.10.262", "swapped"), ("6.1", "present"), ("7.3", "present")])
def test_who_holds_a_page_is_asked_before_it_is_in_the_swap_cache(release: str, state: str) -> None:
    """What a read brought back is still there: reclaim unmaps it without asking whether it may be pinned, and only the
    exclusive mark, which 5.10 has not, keeps its entry.  Nothing is lost: the next touch finds the same page."""
    assert verdict(release, f"{SWAPPED_IN}require P x {state}\nread P x\nexpect p sees P x") == "held"


@pytest.mark.parametrize("release", ["6.12", "6.18", "7.3"])
@pytest.mark.parametrize("hold", ["vmsplice P x as p", "pin P x as p"])
def test_a_large_folio_that_is_held_stays_mapped(release: str, hold: str) -> None:
    """One that could not be split is not put into the swap cache: shrink_folio_list()."""
    lines = f"{THP}mprotect P x[0] read\nmprotect P x[0] rw\n{hold}\nmadvise P x pageout\n"
    assert verdict(release, f"{lines}require P x present\nexpect P x 0x01") == "held"


@pytest.mark.parametrize(
    ("release", "state"),
    [("5.10", "swapped"), ("6.1", "swapped"), ("6.2", "swapped"), ("6.12", "present"), ("6.18", "present")],
)
def test_a_part_of_a_thp_goes_though_others_map_its_last_page(release: str, state: str) -> None:
    """Up to 6.9 the mappings of the first page alone are counted, which the child has given up.  What it still maps
    stays: page_mapcount() of pmd_page() in madvise_cold_or_pageout_pte_range()."""
    lines = f"{THP}fork P C\nwrite C x[:511] 0x02\nmadvise P x[500:] pageout\n"
    lines += f"require P x[500:511] {state}\nrequire P x[511] present\nread P x\n"
    assert verdict(release, f"{lines}expect P x 0x01\nexpect C x[:511] 0x02\nexpect C x[511] 0x01") == "held"


@pytest.mark.parametrize("release", ["5.10", "6.1", "6.2", "6.12", "6.18"])
def test_a_part_of_a_thp_stays_where_others_map_its_first_page(release: str) -> None:
    """Whatever part is meant, and although the child maps no page of it."""
    lines = f"{THP}fork P C\nwrite C x[1:] 0x02\nmadvise P x[500:] pageout\nrequire P x present\n"
    assert verdict(release, f"{lines}expect P x 0x01\nexpect C x[0] 0x01") == "held"


@pytest.mark.parametrize(
    ("release", "clusters", "dirty"),
    [("6.1", 0, True), ("6.1", 1, False), ("6.12", 0, False), ("6.12", 1, True), ("6.18", 0, True), ("6.18", 1, True)],
)
def test_a_thp_that_finds_no_slots_in_a_row_is_split_first(release: str, clusters: int, dirty: bool) -> None:
    """A device that rotates has none until 6.14: the folio is split under migration entries, and not its entry alone
    as it is unmapped.  Which of both makes the pages soft-dirty again differs by release; seen on 6.1.192 and 6.12.117
    with a disk and with zram."""
    text = "map P x thp\nwrite P x 1\nclear_softdirty P\nswapout P x\n"
    assert Play(row(release), text, swap_clusters=clusters, soft_dirty=1).view().soft_dirty is dirty
