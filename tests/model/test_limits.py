"""Limits of a machine end a run, or a search, with a sentence: none is ever told as an errno of the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pinhold.explore.scope import BadScope, read_scopes
from pinhold.explore.search import Stepper, search
from pinhold.explore.world import world
from pinhold.mm import releases
from pinhold.mm.state import X86_64
from pinhold.scenario.parse import parse
from pinhold.targets.model import target
from pinhold.targets.model.room import Pools, roomy, vmas
from pinhold.targets.model.target import CONFIG, RESOURCES, ModelTarget
from pinhold.targets.runner import run_scenario

LIMITED: Mapping[str, tuple[dict[str, Any], str, str]] = {
    "frames": ({"pages": 4}, "map P x anon pages 8\nwrite P x 0x11\nexpect errno OK", "page frames"),
    "frames of a file": ({"pages": 4}, "map P x memfd pages 8\nexpect errno OK", "page frames"),
    "frames in fork": (
        {"pages": 4},
        "map P x anon pages 3\nwrite P x 0x11\npin P x as p write longterm\nfork P C\nexpect errno OK",
        "page frames",
    ),
    "a THP": ({"pages": 512}, "map P x thp\nwrite P x 0x11\nexpect errno OK", "page frames"),
    "tables": ({"tables": 3}, "map P x anon\nwrite P x 0x11\nexpect errno OK", "page tables"),
    "tables of a child": ({"tables": 4}, "map P x anon\nwrite P x 0x11\nfork P C\nexpect errno OK", "page tables"),
    "VMAs": ({"vmas_per_mm": 1}, "map P x anon\nmap P y anon\nexpect errno OK", "VMAs of a process"),
    "VMAs by a split": ({"vmas_per_mm": 2}, "map P x anon pages 3\nmprotect P x[1] read\nexpect errno OK", "VMAs of a"),
    "runs": (
        {"runs_per_pin": 2},
        "map P x anon pages 3\nwrite P x 0x11\npin P x as p write\nexpect errno OK",
        "runs of pages in a pin",
    ),
    "runs by GUP-fast": (
        {"runs_per_pin": 2},
        "map P x anon pages 3\nwrite P x 0x11\nio_uring P x as p\nexpect errno OK",
        "runs of pages in a pin",
    ),
    "runs by munmap()": (
        {"runs_per_pin": 1},
        "map P x thp\nwrite P x 0x11\npin P x as p write\nunmap P x[7]\nexpect errno OK",
        "runs of pages in a pin",
    ),
    "files": ({"files": 1}, "map P x memfd\nmap P y memfd\nexpect errno OK", "files"),
    "pages of a file": ({"file_pages": 4}, "map P x memfd pages 5\nexpect errno OK", "pages of a file"),
    "processes": ({"mms": 1}, "map P x anon\nfork P C\nexpect errno OK", "processes"),
    "pins": ({"pins": 1}, "map P x anon\npin P x as p\nprocess_vm_readv P x as q\nexpect errno OK", "pins"),
}


@pytest.mark.parametrize("case", LIMITED)
def test_a_limit_of_the_machine_is_an_error_that_names_it(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is made too small is not taken for a kernel without memory."""
    small, text, named = LIMITED[case]
    monkeypatch.setattr(target, "roomy", lambda geometry, *_: replace(geometry, **small))
    verdict = run_scenario(ModelTarget("6.18"), parse(f"scenario a limit\n{text}\n")).verdict
    assert verdict.kind == "error"
    assert (verdict.reason or "").startswith(f"the model is too small for this scenario: it has no more {named}")


def test_a_mapping_of_more_huge_pages_than_a_reserve_has_bits_is_an_error() -> None:
    """The pool has them: it is the model that can keep no account."""
    text = f"scenario many\nmap P x hugetlb 2M pages {64 * 512}\n"
    verdict = run_scenario(ModelTarget("6.18", {"hugetlb_2M": 100}), parse(text)).verdict
    assert (verdict.kind, "huge pages of a mapping" in (verdict.reason or "")) == ("error", True)


def test_a_small_machine_says_which_word_makes_it_larger() -> None:
    """A scenario with a small line ends as an error, and the line's word is in the sentence."""
    text = "scenario small\nsmall pages 1\nmap P x anon pages 2\nwrite P x 0x11\nexpect sound\n"
    verdict = run_scenario(ModelTarget("6.18"), parse(text)).verdict
    assert verdict.reason == "the small machine is too small: it has no more page frames; 'pages N' makes more"


def test_vmas_of_a_small_machine_grow_with_the_scenario() -> None:
    """The steps tell where mappings can be split."""
    text = "scenario small\nsmall bits 2\nmap P x anon pages 3\nmprotect P x[1] read\nunmap P x[2]\nexpect sound\n"
    assert run_scenario(ModelTarget("6.18"), parse(text)).verdict.kind == "held"


SCOPE = """
[mine]
about = "writes, fork and writes on both sides"
size = "small"
setup = ["map P x anon", "write P x 1"]
tasks.cpu = ["write P x 1", "fork P C"]
tasks.driver = ["pin P x as p write longterm", "unpin p"]
tasks.child = ["write C x 1", "exit C"]
"""


def test_a_search_does_not_go_on_beyond_a_limit() -> None:
    """Too few frames: refused, where an errno that no kernel gives would be explored; with enough of them, or if the
    scope says that memory ends, exhausted."""

    def searched(more: str) -> bool:
        (scope,) = read_scopes(SCOPE + more, "mine").values()
        return search(Stepper(world(scope, releases.row("7.3")))).exhausted

    with pytest.raises(BadScope, match=r"mine: the scope is too small: it has no more page frames; 'pages = N' makes"):
        searched("pages = 2")
    assert searched("pages = 4")
    assert searched("pages = 2\nconfig = { memory_ends = 1 }")


def test_the_model_grows_with_the_scenario() -> None:
    """Nothing is smaller than x86-64's usual machine, and what a scenario names more of is more; of the kernel's pools
    there is what is said."""
    small = roomy(X86_64, parse("scenario small\nmap P x anon\n"))
    assert (small.pages, small.vmas_per_mm, small.swap) == (X86_64.pages, X86_64.vmas_per_mm, X86_64.swap)
    lines = [f"mprotect P x[{page}] read" for page in range(0, 200, 2)]
    text = "\n".join(["scenario large", "map P x anon pages 4000", "fork P C", "fork P D", *lines, "pin P x as p"])
    large = roomy(X86_64, parse(text), Pools((3, 0), 100))
    assert large.pages >= 4 * 4000  # three processes and a pin
    assert large.vmas_per_mm >= 200
    assert large.runs_per_pin >= 4000
    assert large.swap == 100
    assert large.hugetlb == (3, 0)
    huge = parse("scenario huge\nmap P x hugetlb 2M pages 10240\nfork P C\n")
    assert roomy(X86_64, huge, Pools((1 << 20, 1 << 20), None)).hugetlb == (60, X86_64.hugetlb[1])


def test_moved_places_are_counted() -> None:
    """A region that is moved takes along where it may be split."""
    text = "scenario moved\nmap P x anon pages 4\nmprotect P x[1] read\nmremap P x to y\nmprotect P y[3] read\n"
    assert vmas(parse(text).steps) >= 4


def test_what_the_kernel_gives_is_the_configuration() -> None:
    """Pools, swap and RLIMIT_MEMLOCK of a target are those of its model: the errnos there are the kernel's."""
    text = "scenario given\nmap P x hugetlb 2M pages 1024\nexpect errno OK\n"
    assert run_scenario(ModelTarget("6.18"), parse(text)).verdict.kind == "held"
    few = run_scenario(ModelTarget("6.18", {"hugetlb_2M": 1}), parse(text)).verdict
    assert (few.kind, few.reason) == (
        "skipped",
        "map P x hugetlb 2M pages 1024: needs 2 hugepages of 2M, and the model's pool has 1 (ENOMEM)",
    )
    text = "scenario given\nmap P x anon pages 8\nwrite P x 0x11\nswapout P x\nexpect errno EBUSY\n"
    assert run_scenario(ModelTarget("6.18"), parse(text)).verdict.kind == "violated"
    assert run_scenario(ModelTarget("6.18", {"swap_pages": 4}), parse(text)).verdict.kind == "held"
    text = "scenario given\nmap P x anon pages 8\nwrite P x 0x11\nio_uring P x as p\nexpect errno ENOMEM\n"
    limit = {"memlock_pages": 8}
    assert run_scenario(ModelTarget("6.18", limit), parse(text)).verdict.kind == "violated"
    assert run_scenario(ModelTarget("6.18", limit | {"ipc_lock": 0}), parse(text)).verdict.kind == "held"
    assert not set(CONFIG) & set(RESOURCES)
