"""What a scenario leaves behind, and why a process is stuck, on a /proc and /sys made of files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pinhold.targets import cgroup, hygiene, stuck
from pinhold.targets.base import Broken, Crashed

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
    hygiene.check(before, root, seconds=0)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("proc/vmstat", "nr_foll_pin_acquired 103\nnr_foll_pin_released 90\n", "pages pinned: 10 before, 13 after"),
        ("proc/meminfo", "Mlocked: 16 kB\n", "KiB mlocked: 12 before, 16 after"),
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


def test_a_rise_is_put_down_to_who_holds_such_pages(root: Path) -> None:
    """Where another process has pinned pages, more of them are its own; more huge pages are still ours."""
    before = hygiene.look(root)
    put(root, "proc/77/status", "Name:\tother\nVmPin:\t      16 kB\n")
    pins(root, 200, 90)
    hygiene.check(before, root, seconds=0)
    put(root, f"{POOL}/free_hugepages", "3\n")
    with pytest.raises(Broken, match="hugepages of 2048kB in use"):
        hygiene.check(before, root, seconds=0)


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
    hygiene.check(before, root, seconds=0)
    put(root, "proc/sys/kernel/tainted", f"{1 << 9 | 1 << 5}\n")
    with pytest.raises(Crashed, match=r"the kernel complained while the scenario ran \(bad page, warning\): see dmesg"):
        hygiene.check(before, root, seconds=0)


def test_a_descriptor_that_stays_open_is_named(root: Path) -> None:
    """With what it is of."""
    before = hygiene.look(root)
    with (
        open(root / "proc/meminfo") as file,
        pytest.raises(Broken, match=rf"descriptor {file.fileno()} is open: .*meminfo"),
    ):
        hygiene.check(before, root, seconds=0)


def test_without_privilege_what_can_be_seen_is_checked(root: Path) -> None:
    """Where the pin counters cannot be exact they are left out."""
    (root / "proc/sys/vm/stat_refresh").unlink()
    before = hygiene.look(root)
    assert "pages pinned" not in before.counts and "KiB mlocked" in before.counts
    pins(root, 500, 90)
    hygiene.check(before, root, seconds=0)


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
