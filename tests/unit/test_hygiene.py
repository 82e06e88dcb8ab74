"""What a scenario leaves behind, and why a process is stuck, on a /proc and /sys made of files."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinhold.targets.base import Broken, Crashed
from pinhold.targets.live import cgroup, hygiene, stuck

POOL = "sys/kernel/mm/hugepages/hugepages-2048kB"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A quiet machine."""
    put(tmp_path, "proc/sys/vm/stat_refresh", "")
    put(tmp_path, "proc/sys/kernel/tainted", "0\n")
    put(tmp_path, "proc/meminfo", "MemAvailable: 4000000 kB\nMlocked: 12 kB\n")
    pins(tmp_path, 100, 90)
    for name, pages in (("nr", 4), ("free", 4), ("resv", 0), ("surplus", 0)):
        put(tmp_path, f"{POOL}/{name}_hugepages", f"{pages}\n")
    put(tmp_path, "sys/kernel/mm/ksm/run", "0\n")
    put(tmp_path, "sys/kernel/mm/ksm/pages_sharing", "0\n")
    return tmp_path


def put(root: Path, name: str, text: str) -> None:
    """Write a file of the tree."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def pins(root: Path, acquired: int, released: int) -> None:
    """Set the pin counters."""
    put(root, "proc/vmstat", f"nr_foll_pin_acquired {acquired}\nnr_foll_pin_released {released}\n")


def test_a_quiet_machine_is_clean(root: Path) -> None:
    """Pins that were taken and released again are nothing, nor is what was there before."""
    before = hygiene.look(root)
    pins(root, 5000, 4990)
    assert hygiene.check(before, root, seconds=0) == before


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("proc/vmstat", "nr_foll_pin_acquired 103\nnr_foll_pin_released 90\n", "pages pinned: 10 before, 13 after"),
        (f"{POOL}/free_hugepages", "3\n", "hugepages of 2048kB in use: 0 before, 1 after"),
        (f"{POOL}/resv_hugepages", "2\n", "hugepages of 2048kB reserved: 0 before, 2 after"),
        (f"{POOL}/surplus_hugepages", "1\n", "surplus hugepages of 2048kB: 0 before, 1 after"),
        ("sys/kernel/mm/ksm/pages_sharing", "7\n", "pages merged by KSM: 0 before, 7 after"),
    ],
)
def test_a_rise_that_stays_is_the_tools_failure(root: Path, name: str, text: str, said: str) -> None:
    """Each count is told with both values."""
    before = hygiene.look(root)
    put(root, name, text)
    with pytest.raises(Broken, match=f"left behind by the scenario: {said}"):
        hygiene.check(before, root, seconds=0)


def test_what_others_lock_is_not_suspect(root: Path) -> None:
    """No step locks memory, and a program that does locks more with each page that it touches."""
    before = hygiene.look(root)
    put(root, "proc/meminfo", "Mlocked: 16 kB\n")
    assert hygiene.check(before, root, seconds=0) == before


def test_two_counters_read_at_different_moments_are_no_leak(root: Path) -> None:
    """Less than nothing was pinned before: what has risen from there to nothing is nobody's."""
    pins(root, 100, 105)
    before = hygiene.look(root)
    assert before.counts["pages pinned"] == -5
    pins(root, 200, 200)
    assert hygiene.check(before, root, seconds=0).counts["pages pinned"] == -5
    pins(root, 203, 200)
    with pytest.raises(Broken, match="pages pinned: -5 before, 3 after"):
        hygiene.check(before, root, seconds=0)


class Busy:
    """A machine on which another program moves the counts, and a scenario that leaves pins and huge pages behind.

    Each read of a count finds it elsewhere: up to `flutter` pages above what is held for long, and that grows by up to
    `growth` pages a read.
    """

    def __init__(self, seed: int = 0, flutter: int = 0, growth: int = 0) -> None:
        self.flutter, self.growth = flutter, growth
        self.random = random.Random(seed)
        self.held = self.runs = 0
        self.clock = 0.0
        self.moved: dict[str, tuple[float, int]] = {}

    def sleep(self, seconds: float) -> None:
        """Time goes by at once."""
        self.clock += seconds

    def monotonic(self) -> float:
        """So late is it."""
        return self.clock

    def counts(self, root: Path) -> Iterator[tuple[str, int]]:
        """One look, a moment later than the last one."""
        self.clock += 0.01
        self.held += self.random.randint(0, self.growth)
        for what in ("pages pinned", "hugepages of 2048kB reserved"):
            yield what, self.held + self.random.randint(0, self.flutter)

    def scenario(self, leak: int = 0) -> None:
        """One run of it."""
        self.runs += 1
        self.clock += 0.05
        self.held += leak

    def left(self, first: int, later: int) -> str:
        """What the check says of a run that leaves `first` pages behind and of repeats that leave `later`."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hygiene, "_counts", self.counts)
            patch.setattr(hygiene, "time", self)
            patch.setattr(hygiene, "_moved", self.moved)
            before = hygiene.look()
            self.scenario(first)
            try:
                hygiene.check(before, seconds=1.5, again=lambda: self.scenario(later), names=())
            except Broken as found:
                return str(found)
            return ""


@pytest.mark.parametrize(("flutter", "growth"), [(0, 0), (64, 0), (512, 0), (0, 3), (64, 3), (0, 300)])
def test_a_neighbour_alone_is_never_a_leak(flutter: int, growth: int) -> None:
    """Whatever it holds for a moment, or more and more of: 100 machines, on which this scenario leaves nothing."""
    assert {Busy(seed, flutter, growth).left(0, 0) for seed in range(100)} == {""}


@pytest.mark.parametrize(("flutter", "growth"), [(0, 0), (64, 0), (0, 3), (64, 3)])
def test_a_leak_is_found_beside_a_neighbour(flutter: int, growth: int) -> None:
    """A scenario that leaves 600 pages behind each time, beside others that move fewer: on 100 machines of 100."""
    for seed in range(100):
        said = Busy(seed, flutter, growth).left(600, 600)
        assert "left behind by the scenario: pages pinned" in said
        assert "hugepages of 2048kB reserved" in said


def test_one_page_is_found_where_nobody_else_moves_anything_for_long() -> None:
    """What others hold for a moment is not in the least of some looks: a leak of one page shows beside it."""
    assert "pages pinned: 0 before, 1 after" in Busy().left(1, 1)


def test_a_machine_of_ones_own_is_believed_at_once(root: Path) -> None:
    """In a guest there is nobody else, and a kernel's leak may have emptied the pool: nothing is repeated."""
    before = hygiene.look(root)
    put(root, f"{POOL}/resv_hugepages", "1\n")
    with pytest.raises(Broken, match="hugepages of 2048kB reserved: 0 before, 1 after"):
        hygiene.check(before, root, seconds=0)


def test_what_does_not_come_again_costs_one_repeat() -> None:
    """Somebody has reserved huge pages meanwhile and keeps them: one repeat shows that this is not the scenario."""
    machine = Busy()
    assert machine.left(8, 0) == ""
    assert machine.runs == 2


@pytest.mark.parametrize(
    ("rounds", "ours"),
    [
        ([(8, 0)] * 8, True),
        ([(8, 0), (9, -3), (8, 7)], True),
        ([(8, 0), (0, 0)], False),
        ([(8, 0), (8, 8)], False),
        ([(8, -8)] * 8, False),
        ([(-1, -5)], False),
    ],
)
def test_what_a_scenario_moves(rounds: list[tuple[int, int]], ours: bool) -> None:
    """It rises each time, by more than it ever does in a wait, and is not merely freed late."""
    assert hygiene._is_moved(rounds) is ours


def test_what_others_have_moved_is_not_suspect_for_a_while() -> None:
    """The next scenarios are not repeated for as much; for more they are, and later for as much, too."""
    machine = Busy()
    assert [machine.left(rise, 0) for rise in (8, 8, 5)] == [""] * 3
    assert machine.runs == 4
    assert machine.left(9, 0) == ""
    assert machine.runs == 6
    machine.sleep(60)
    assert machine.left(8, 0) == ""
    assert machine.runs == 8
    assert "pages pinned" in machine.left(10, 10)


def test_a_rise_that_goes_away_is_waited_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that are freed a little later are no leak."""
    before = hygiene.look(root)
    pins(root, 200, 90)
    monkeypatch.setattr(hygiene.time, "sleep", lambda seconds: pins(root, 200, 190))
    hygiene.check(before, root, seconds=5)


def test_a_kernel_that_complains_has_crashed(root: Path) -> None:
    """A warning, oops or bad page during the scenario is the kernel's; a module that was loaded is nothing."""
    before = hygiene.look(root)
    put(root, "proc/sys/kernel/tainted", f"{1 << 12}\n")
    assert hygiene.check(before, root, seconds=0).taint == 1 << 12
    put(root, "proc/sys/kernel/tainted", f"{1 << 9 | 1 << 5}\n")
    with pytest.raises(Crashed, match=r"the kernel complained while the scenario ran \(bad page, warning\): see dmesg"):
        hygiene.check(before, root, seconds=0)


@pytest.mark.parametrize(
    ("log", "ours"),
    [
        ("4,1,2,-;WARNING: CPU: 1 PID: 78 at mm/gup.c:99\n4,2,3,-;CPU: 1 PID: 78 Comm: pinhold-77 Tainted: G\n", True),
        ("1,1,2,-;BUG: Bad page state in process pinhold-77  pfn:1234\n", True),
        ("4,1,2,-;CPU: 1 PID: 78 Comm: pinhold-770 Tainted: G\n", False),
        ("4,1,2,-;CPU: 0 PID: 900 Comm: qemu Tainted: G W\n", False),
        ("", False),
        (None, False),
    ],
)
def test_a_complaint_is_whose_name_is_in_it(root: Path, log: str | None, ours: bool) -> None:
    """On a machine that others use, what the kernel says while another program runs is not the scenario's."""
    before = hygiene.look(root)
    put(root, "proc/sys/kernel/tainted", f"{1 << 9}\n")
    if log is not None:
        put(root, "dev/kmsg", log)
    if ours:
        with pytest.raises(Crashed, match="warning"):
            hygiene.check(before, root, seconds=0, names=("pinhold-77", "PID: 4711"))
    else:
        assert hygiene.check(before, root, seconds=0, names=("pinhold-77", "PID: 4711")).counts == before.counts


def test_a_descriptor_that_stays_open_is_named(root: Path) -> None:
    """With what it is of."""
    before = hygiene.look(root)
    with (
        open(root / "proc/meminfo") as file,
        pytest.raises(Broken, match=rf"descriptor {file.fileno()} is open: .*meminfo"),
    ):
        hygiene.check(before, root, seconds=0)


def test_a_descriptor_that_is_closed_meanwhile_is_no_other_one(root: Path) -> None:
    """Reading the list of descriptors takes some itself, the lowest that are free: they are not among them."""
    with open(root / "proc/meminfo") as below, open(root / "proc/meminfo"):
        before, lowest = hygiene.look(root), below.fileno()
        below.close()
        assert hygiene.check(before, root, seconds=0).fds == before.fds - {lowest}


def test_without_privilege_what_can_be_seen_is_checked(root: Path) -> None:
    """Where the pin counters cannot be exact they are left out."""
    (root / "proc/sys/vm/stat_refresh").unlink()
    before = hygiene.look(root)
    assert "pages pinned" not in before.counts and "pages merged by KSM" in before.counts
    pins(root, 500, 90)
    assert hygiene.check(before, root, seconds=0).counts == before.counts


def test_where_a_process_is_stuck(tmp_path: Path) -> None:
    """State and kernel stack of each process of the group; the wait channel where the stack cannot be read."""
    put(tmp_path, "41/stat", "41 (a b) c) D 1 40 40 0\n")
    put(tmp_path, "41/status", "Name:\tx\nState:\tD (disk sleep)\n")
    put(tmp_path, "41/stack", "[<0>] folio_wait_bit_common+0x1/0x2\n[<0>] do_swap_page+0x3/0x4\n")
    put(tmp_path, "42/stat", "42 (c) D 1 40 40 0\n")
    put(tmp_path, "42/status", "State:\tD (disk sleep)\n")
    put(tmp_path, "42/wchan", "io_schedule")
    put(tmp_path, "43/stat", "43 (other) S 1 43 43 0\n")
    assert stuck.describe(40, tmp_path) == (
        "process 41, state D (disk sleep), kernel stack folio_wait_bit_common < do_swap_page; "
        "process 42, state D (disk sleep), waiting in io_schedule"
    )
    assert stuck.describe(99, tmp_path) == "it is gone by now"


def cgroups(root: Path, handed: str) -> Path:
    """A cgroup2 file system whose cgroup of this process hands those controllers down."""
    put(root, "proc/self/mountinfo", "30 1 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n")
    put(root, "proc/self/cgroup", "0::/mine\n")
    put(root, "sys/fs/cgroup/mine/cgroup.subtree_control", handed)
    return root / "sys/fs/cgroup/mine"


def test_a_leaf_with_limits(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child of the own cgroup gets bounds on memory and processes, takes the process in, and is removed."""
    own = cgroups(root, "cpu memory pids\n")
    real = Path.mkdir

    def mkdir(folder: Path) -> None:
        real(folder)
        for name in ("memory.max", "pids.max", "cgroup.procs", "cgroup.kill"):
            (folder / name).write_text("")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    assert cgroup.missing(root) is None
    leaf = cgroup.Leaf.make(root)
    assert leaf is not None and leaf.folder == own / f"pinhold-{os.getpid()}"
    leaf.enter()
    files = {file.name: file.read_text() for file in leaf.folder.iterdir()}
    assert files == {
        "memory.max": str(4000000 * 1024 * 3 // 4),
        "pids.max": "256",
        "cgroup.procs": "0",
        "cgroup.kill": "",
    }
    for file in leaf.folder.iterdir():
        file.unlink()
    leaf.remove()
    assert not leaf.folder.exists()


@pytest.mark.parametrize(
    ("handed", "sentence"),
    [("cpu\n", "hands neither memory nor pids down"), (None, "no cgroup of version 2")],
)
def test_no_leaf_is_a_sentence(root: Path, handed: str | None, sentence: str) -> None:
    """Nothing of the machine's cgroups is changed to have one."""
    if handed is not None:
        cgroups(root, handed)
    assert sentence in str(cgroup.missing(root))
    assert cgroup.Leaf.make(root) is None
