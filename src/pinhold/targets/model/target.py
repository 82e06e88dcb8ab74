"""`model:REL`: the specification under one release's rules, as a target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy

from pinhold.mm import releases
from pinhold.mm.kernel import PATCHES, patch_digests, patched_name
from pinhold.mm.machine import create
from pinhold.mm.rules import BY_NAME
from pinhold.mm.state import X86_64, Geometry
from pinhold.scenario import steps as s
from pinhold.scenario.ran import TargetInfo
from pinhold.targets.model.room import Given, Pools, roomy, small_geometry
from pinhold.targets.model.session import ModelSession

CONFIG = {
    "soft_dirty": 1,
    "thp": 1,
    "use_zero_page": 1,
    "swap": 1,
    "swap_sync": 0,
    "swap_clusters": 1,
    "pt_reclaim": 1,
    "fork_skips_pud": 0,
    "memory_ends": 0,
    "vma_merges": 1,
}
"""What a release is taken to be configured with: soft-dirty tracking, THP on advice, swap on an ordinary block
device that does not rotate, empty page tables given back; that chance is kind, that memory does not end, and that VMAs
merge."""

RESOURCES = ("hugetlb_2M", "hugetlb_1G", "swap_pages", "memlock_pages", "ipc_lock")
"""What a kernel gives a scenario: free huge pages, free swap, RLIMIT_MEMLOCK (-1: unlimited), CAP_IPC_LOCK.  A release
is taken to have 16 and 6 huge pages, as much swap as a scenario can use, no limit, and a capable user."""


class ModelTarget:
    """The specification as a target.

    release: as in releases.row(), e.g. "6.1" or "6.18.44".  config: what a real kernel has instead of CONFIG, and how
    much of the RESOURCES.
    geometry: another one than x86-64's, for scenarios whose ranges were made for it.  properties: look at the safety
    properties after every step (slow on large regions).  checked: trap stores outside a field's range, as is done
    anyhow where a user's functions are in force.  counts: observations have what a kernel counts of each page.
    switches: rules with other values than the release's, as releases.switched() takes them.
    """

    def __init__(
        self,
        release: str,
        config: Mapping[str, int] | None = None,
        *,
        geometry: Geometry = X86_64,
        properties: bool = False,
        checked: bool = False,
        counts: bool = False,
        switches: Mapping[str, str] = {},
    ) -> None:
        self.release = release
        self.row = releases.switched(releases.row(release), switches)
        changed = (f"{rule}={BY_NAME[rule].names[self.row[rule]]}" for rule in switches)
        self.name = self.what = ",".join([f"model:{release}", *changed]) + patched_name()
        self.config = CONFIG | dict(config or {})
        self.geometry = geometry
        self.properties = properties
        self.checked = checked or bool(PATCHES)
        self.counts = counts

    def configured(self, config: Mapping[str, int]) -> ModelTarget:
        """The same, with that configuration where it says something."""
        other = copy(self)
        other.config = self.config | dict(config)
        return other

    def counting(self) -> ModelTarget:
        """The same, with counts in its observations."""
        other = copy(self)
        other.counts = True
        return other

    def sized(self, geometry: Geometry) -> ModelTarget:
        """The same, with another geometry."""
        other = copy(self)
        other.geometry = geometry
        return other

    def info(self) -> TargetInfo:
        config = {name: str(value) for name, value in self.config.items()}
        config |= {f"with {name}": digest for name, digest in patch_digests().items()}
        return TargetInfo(self.name, self.release, self.release, config, {"model": "available"}, self.what)

    def given(self, scenario: s.Scenario) -> Given:
        """What a scenario's machine is given."""
        if scenario.small is not None:
            tasks = {step.task for step in scenario.steps if isinstance(step, s.Start)}
            shape = small_geometry(scenario.small, scenario.steps, 1 + len(tasks))
            return Given(self.release, self.row, scenario.small.configuration, shape, -1, 1)
        shape = roomy(self.geometry, scenario, self.pools())
        config = {name: self.config[name] for name in CONFIG}
        memlock, ipc_lock = self.config.get("memlock_pages", -1), self.config.get("ipc_lock", 1)
        return Given(self.release, self.row, config, shape, memlock, ipc_lock)

    @contextmanager
    def open(self, scenario: s.Scenario) -> Iterator[ModelSession]:
        given = self.given(scenario)
        machine = create(given.geometry, given.row, given.config, checked=self.checked)
        session = ModelSession(machine, scenario, self.release, properties=self.properties, counts=self.counts)
        session.limit_memlock(0, given.memlock)
        machine.mm_ipc_lock[0] = given.ipc_lock
        yield session

    def pools(self) -> Pools:
        """What is said of the kernel's pools."""
        said, default = self.config.get, self.geometry.hugetlb
        hugetlb = said("hugetlb_2M", default[0]), said("hugetlb_1G", default[1])
        return Pools(hugetlb, said("swap_pages"))
