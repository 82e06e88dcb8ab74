"""The specification compiles, and compiled it does to the byte what it does interpreted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random

import pytest

from pinhold.compiler import whole
from pinhold.mm import releases
from pinhold.mm.file import file_create, file_free_slot, shmem_fallocate
from pinhold.mm.flags import BLOCKED, ENOMEM, FILE_HUGETLB, FILE_PAGECACHE, FILE_SHMEM, NO_PAGE
from pinhold.mm.hugetlb import hugetlbfs_fallocate
from pinhold.mm.invariants import INVARIANTS, check_invariants
from pinhold.mm.machine import Machine, create
from pinhold.mm.properties import check_properties
from pinhold.mm.sites import SITES
from pinhold.mm.state import TINY
from pinhold.mm.step import step
from pinhold.scenario.suites import seed
from pinhold.targets.model import session, target, users
from pinhold.targets.model.target import CONFIG, ModelTarget
from pinhold.targets.runner import run_scenario
from random_machine import Livelock, RandomMachine

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("compiled")]

RANDOM_STEPS = 10_000
STEPS_OF_A_MACHINE = 500
COVERAGE_STEPS = 1500
FEWEST_MACHINES, COVERAGE_MACHINES = 200, 3000

UNREACHED = {
    "fault_sanity_cleared": "GUP asks to unshare where COW is to be broken, never outside a COW mapping",
    "fault_sanity_sigsegv": "callers check VM_WRITE first, and nobody asks to write and to unshare at once",
    "hugetlb_force_refused": "check_vma_flags refuses the forced write before it faults",
}
"""Decision sites that guard against callers that do not exist; test_rules.py calls them by hand."""
TOO_SMALL = {"readahead_marked": "fault-around, without which nobody can tell (mmap_readahead())"}
"""Decision sites for which a tiny machine lacks something, and what; tests/rule_probes has them on a large one."""


FALLOCATES = (
    (shmem_fallocate, FILE_SHMEM, 0),
    (shmem_fallocate, FILE_PAGECACHE, 0),
    (hugetlbfs_fallocate, FILE_HUGETLB, TINY.bits),
)
"""What fills a file: the function, the file's kind, its pages' order."""


@pytest.fixture(scope="module", autouse=True)
def compiled_once() -> None:
    """Everything compiles, which the other tests need."""
    assert whole.uncompilable(TINY) == {}


class Twins:
    """A machine and its compiled twin, which take each step together."""

    def __init__(self, machine: Machine) -> None:
        self.m = machine
        self.data = bytearray(machine.data)
        self.record = whole.Record(machine.layout, self.data)
        self.size = machine.layout.mutable_size

    def catch_up(self) -> None:
        """Take over what was done to the machine from outside."""
        self.data[: self.size] = self.m.data[: self.size]

    def step(self, m: Machine, task: int) -> int:
        before = bytes(m.data[: self.size])
        outcome = step(m, task)
        assert whole.entry(step, TINY)(self.record.address, task) == outcome
        assert self.data[: self.size] == m.data[: self.size]
        assert outcome != BLOCKED or before == m.data[: self.size], "a step that was blocked has changed something"
        return outcome

    def check(self) -> None:
        """The structural invariants hold, and both sides say the same of the properties."""
        broken = whole.entry(check_invariants, TINY)(self.record.address)
        assert broken == 0, INVARIANTS[broken]

    def coverage(self) -> set[str]:
        """The decision sites that the compiled twin passed."""
        return {SITES[site].name for site in self.record.passed()}


def test_every_kernel_function_compiles() -> None:
    """numba compiles each @kernel function for a record's address and 64-bit integers; those that fail are named."""
    assert whole.uncompilable(TINY) == {}
    assert len(whole.kernels()) > 200


@pytest.mark.parametrize("release", ["6.1", "6.2"])
def test_tiny_twins_of_the_seed_suite(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seed's 162 tests on tiny pages: both sides agree after each atomic step, and on the suite's verdicts."""
    steps = 0

    def lockstep(m: Machine, task: int) -> int:
        nonlocal steps
        twins = Twins(m)
        while m.task_depth[task]:
            twins.step(m, task)
            steps += 1
        twins.check()
        assert whole.entry(check_properties, TINY)(twins.record.address) == check_properties(m)
        return m.task_result[task]

    monkeypatch.setattr(session, "run", lockstep)
    monkeypatch.setattr(users, "run", lockstep)
    monkeypatch.setattr(target, "roomy", lambda geometry, *_: geometry)  # what is compiled is for this one
    model = ModelTarget(release, geometry=TINY, checked=True)
    verdicts = [run_scenario(model, test.scenario).verdict for test in seed.scenarios(TINY.pmd_pages, TINY.pud_pages)]
    assert [v.reason for v in verdicts if v.kind == "error"] == []
    kinds = [v.kind for v in verdicts]
    hugetlb_leaks, reliable_since_6_2 = 8, 12
    assert kinds.count("violated") == hugetlb_leaks + (reliable_since_6_2 if release == "6.1" else 0)
    assert kinds.count("held") == len(kinds) - kinds.count("violated")
    assert steps > 5 * len(kinds)


@pytest.mark.parametrize(("fallocate", "kind", "order"), FALLOCATES)
def test_files_are_filled_both_ways(fallocate: Callable[[Machine, int, int], int], kind: int, order: int) -> None:
    """A file gets its pages, as long as there are any, and keeps those that it has: equal bytes, and invariants."""
    m = create(TINY, releases.row("6.1"), CONFIG)
    first, second = file_free_slot(m), 1
    file_create(m, first, kind, order)
    file_create(m, second, kind, order)
    twins = Twins(m)
    results = []
    for file, units in ((first, 2), (first, 3), (second, 3)):
        results.append(fallocate(m, file, units))
        assert whole.entry(fallocate, TINY)(twins.record.address, file, units) == results[-1]
        assert twins.data[: twins.size] == m.data[: twins.size]
        twins.check()
    held = [sum(page != NO_PAGE for page in m.cache_page[file * 16 : file * 16 + 16]) for file in (first, second)]
    assert (results, held) == (([0, 0, 0], [3, 3]) if order == 0 else ([0, 0, -ENOMEM], [3, 1]))


def test_random_steps_both_ways() -> None:
    """10,000 random steps under all rows and single switches: equal bytes, invariants, and nothing out of range."""
    done = ended_early = number = 0
    while done < RANDOM_STEPS:
        x = RandomMachine(Random(number), checked=True)
        number += 1
        twins = Twins(x.m)
        passed: set[int] = set()
        try:
            for was_step in x.steps(STEPS_OF_A_MACHINE, twins.step):
                done += was_step
                passed.update(x.m.trace.sites if was_step else ())
                x.m.trace.sites.clear()
                if not was_step:
                    twins.catch_up()
                twins.check()
        except Livelock:
            ended_early += 1
        assert twins.coverage() == {SITES[site].name for site in passed}
    assert ended_early < number / 10


@pytest.mark.nightly
def test_random_steps_pass_every_decision() -> None:
    """Random runs reach every decision site but those that guard against callers that do not exist, and what a tiny
    machine lacks; no invariant breaks on the way."""
    never = UNREACHED.keys() | TOO_SMALL.keys()
    missing = {site.name for site in SITES} - never
    advance, check = whole.entry(step, TINY), whole.entry(check_invariants, TINY)
    for number in range(COVERAGE_MACHINES):
        x = RandomMachine(Random(number))
        state = whole.Record(x.m.layout, x.m.data)
        with suppress(Livelock):
            for _ in x.steps(COVERAGE_STEPS, lambda _m, task, state=state: int(advance(state.address, task))):
                broken = check(state.address)
                assert broken == 0, f"machine {number}: {INVARIANTS[broken]}\n{x.story()}"
        passed = {SITES[site].name for site in state.passed()} | {SITES[site].name for site in x.m.trace.sites}
        assert passed.isdisjoint(never)
        missing -= passed
        if not missing and number >= FEWEST_MACHINES:
            return
    raise AssertionError(f"not reached in {COVERAGE_MACHINES} machines: {sorted(missing)}")
