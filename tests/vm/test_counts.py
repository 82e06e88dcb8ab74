"""A real guest's kernel beside its specification, count by count: references, pins, mappings, flags, entries."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from functools import partial

import pytest

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")

from lab_kernels import KERNELS
from pinhold.commands.registry import model_of
from pinhold.conform.campaign import campaign, run_on
from pinhold.conform.differ import compared
from pinhold.conform.profiles import PROFILES
from pinhold.conform.wanted import wanted
from pinhold.lab.counts import Counter, beside
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget
from pinhold.scenario.counts import FIELDS
from pinhold.scenario.parse import parse
from pinhold.targets.model.configuration import configuration
from pinhold.targets.model.target import ModelTarget

pytestmark = pytest.mark.slow

every = pytest.mark.parametrize("kernel", KERNELS, indirect=True)

SCENARIOS = (
    "map P x anon pages 3\nwrite P x 0x01\nfork P C\nwrite P x[0] 0x02\nread C x\nexit C\nwrite P x 0x03\n",
    "map P x anon pages 2\nread P x\nwrite P x[1] 0x01\nmadvise P x dontneed\nread P x\n",
    "map P x anon pages 3\nwrite P x 0x01\nio_uring P x as p\nfork P C\nwrite C x 0x02\nunpin p\n",
    "map P x anon pages 2\nwrite P x 0x01\nvmsplice P x as p\nwrite P x 0x02\nfork P C\nwrite P x 0x03\nunpin p\n",
    "map P x thp\nwrite P x 0x01\nfork P C\nwrite C x[0] 0x02\nexit C\nwrite P x 0x03\n",
    "map P x thp\nwrite P x 0x01\npin P x as p longterm\nmprotect P x[:8] read\nfork P C\nunpin p\n",
    "map P x thp\nread P x\nwrite P x[3] 0x01\n",
    "map P x thp pages 1024\nwrite P x 0x01\nio_uring P x as p\nfork P C\nwrite C x[0] 0x02\nunpin p\n",
    "map P x thp pages 1024\nwrite P x 0x01\nio_uring P x[12:524] as p\nio_uring P x[5] as q\nunpin p\n",
    "map P x hugetlb 2M\nwrite P x 0x01\nfork P C\nwrite P x 0x02\nexit C\nwrite P x 0x03\n",
    "map P x memfd_hugetlb 2M shared\nwrite P x 0x01\nfork P C\npin C x as p longterm\nunpin p\n",
    "map P x hugetlb 2M pages 1024\nwrite P x 0x01\nio_uring P x as p\nfork P C\nunpin p\n",
    "map P x memfd pages 2 shared\nwrite P x 0x01\nmap P y of x\nread P y\nwrite P y[0] 0x02\nfork P C\n",
    "map P x anon pages 3\nwrite P x 0x01\ndrain\nswapout P x[:2]\nread P x\nwrite P x[0] 0x02\n",
    "map P x thp\nwrite P x 0x01\nmprotect P x[0] read\nmprotect P x rw\nmadvise P x free\nwrite P x[1] 0x02\n"
    "clear_softdirty P\nmprotect P x read\nmprotect P x rw\n",
    "map P x anon pages 2\nwrite P x 0x01\nclear_softdirty P\nread P x\nwrite P x[1] 0x02\nmprotect P x read\n",
)
"""What a suite's tests do, in small: reuse, copies, fork, pins and references, large folios, files, swap."""


@pytest.fixture
def counting(guest: VmTarget) -> Iterator[VmTarget]:
    """The guest, which is looked at after each step."""
    guest.counting = Counter
    yield guest
    guest.counting = None


@every
def test_counts_agree(kernel: Kernel, counting: VmTarget) -> None:
    """Of every watched page after every step.  Each field was compared where the kernel keeps it."""
    wrong, values = {}, collections.Counter[str]()
    model = model_of(counting.info())
    assert isinstance(model, ModelTarget)
    for number, text in enumerate(SCENARIOS):
        found = beside(counting, model, parse(f"scenario counts {number}\nobserve\n{text}"))
        values += found.tally.compared
        assert found.tally.compared["level"], found.result.verdict.reason
        if found.tally.unlike:
            wrong[text] = [str(unlike) for unlike in found.tally.unlike]
    assert wrong == {}
    missing = {"anon_exclusive", "swap_exclusive", "large_mapcount"} if kernel.release.startswith("5.10.") else set()
    if kernel.release.startswith("6.1."):
        missing = {"large_mapcount"}
    assert {name for name in FIELDS if not values[name]} == missing


@pytest.mark.parametrize("kernel", ["6.12"], indirect=True)
def test_a_wrong_count_is_told(kernel: Kernel, counting: VmTarget) -> None:
    """Beside a specification whose page cache has one reference on a huge page, as that of older kernels."""
    wrong = ModelTarget("6.12", configuration(counting.info().config), switches={"hugetlb_cache_refs": "one"})
    found = beside(counting, wrong, parse(f"scenario counts\nobserve\n{SCENARIOS[10]}"))
    assert {unlike.field for unlike in found.tally.unlike} == {"refcount"}
    assert "P x[0]: refcount 513, 2" in str(found.tally.unlike[0])


@pytest.mark.parametrize("kernel", ["6.12"], indirect=True)
def test_random_steps_agree_count_by_count(kernel: Kernel, counting: VmTarget) -> None:
    """Some hundred, of every profile, each observation with its counts, which are values that are compared like
    others."""
    model = model_of(counting.info())
    assert isinstance(model, ModelTarget)
    profiles = [wanted(name, model, True, counting.info()) for name in PROFILES]
    run = partial(run_on, counting)
    tally = campaign(run, model.counting(), profiles, 15, 400)
    assert [found.words for found in tally.differences if found.counts] == []
    assert tally.values > 20 * tally.steps
    wrong = ModelTarget(
        "6.12", configuration(counting.info().config), switches={"hugetlb_cache_refs": "one"}
    ).counting()
    found = compared(run, wrong, parse(f"scenario counts\nobserve\n{SCENARIOS[10]}"))
    assert found.difference is not None and found.difference.field == "counts.refcount"
