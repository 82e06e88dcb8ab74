"""What a machine offers, read from files, and the reasons that follow."""

from __future__ import annotations

import gzip
import os
from array import array
from dataclasses import replace
from types import SimpleNamespace

import pytest

from pinhold.targets.base import Unavailable
from pinhold.targets.live import directories, vmas
from pinhold.targets.live import kernel as module
from pinhold.targets.live.kernel import RunningKernel, check_supported, exact_release
from pinhold.targets.live.pagemap import Sight

SIGHT = Sight(frames=True, flags=True, counts=True, anon_exclusive=True, ksm=True, soft_dirty=False, uffd_wp=True)

CONFIG = "CONFIG_SWAP=y\nCONFIG_TRANSPARENT_HUGEPAGE=y\n# CONFIG_GUP_TEST is not set\nCONFIG_MEM_SOFT_DIRTY=y\n"


@pytest.fixture
def root(tmp_path):
    """Writes files of a machine."""

    def write(**files: str) -> RunningKernel:
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return RunningKernel(tmp_path)

    return write


@pytest.mark.parametrize(
    ("release", "version", "signature", "exact"),
    [
        ("6.18.44-fc-v595", "#1 SMP PREEMPT_DYNAMIC @0", "", "6.18.44"),
        ("6.1.0-32-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.129-1 (2025-03-06)", "", "6.1.129"),
        ("6.12.57+deb13-cloud-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.12.57-1 (2025-11-05)", "", "6.12.57"),
        ("6.8.0-45-generic", "#45-Ubuntu SMP", "Ubuntu 6.8.0-45.45-generic 6.8.12\n", "6.8.12"),
        ("6.17.0-rc3+", "#7 SMP", "", "6.17.0"),
        ("7.3-custom", "#1 SMP", "", "7.3"),
        ("unnumbered", "#1", "", "unnumbered"),
    ],
)
def test_the_exact_release_of_a_kernel(release, version, signature, exact):
    """Distributions freeze the number in `uname -r`: the stable release is found where they put it."""
    assert exact_release(release, version, signature) == exact


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "arm64"), ("Linux", "aarch64"), ("FreeBSD", "amd64")])
def test_other_systems_are_refused_in_one_sentence(monkeypatch, system, machine):
    """live names the machine and what works there."""
    monkeypatch.setattr(module.os, "uname", lambda: SimpleNamespace(sysname=system, machine=machine))
    with pytest.raises(Unavailable) as caught:
        check_supported()
    assert str(caught.value) == (
        f"live needs Linux on x86-64, and this is {system} on {machine}: use a model:REL target"
    )


def test_what_a_kernel_gives_a_scenario_is_configuration(root, monkeypatch):
    """Free swap, RLIMIT_MEMLOCK and CAP_IPC_LOCK of this process, as a model is told them."""
    status = "Name:\tpython3\nCapEff:\t{:016x}\n"
    machine = root(proc__meminfo="SwapTotal: 8 kB\nSwapFree: 4 kB\n", proc__self__status=status.format(1 << 14))
    monkeypatch.setattr(module.resource, "getrlimit", lambda _: (8 << 20, module.resource.RLIM_INFINITY))
    config = machine.config(SIGHT)
    assert (config["swap_free_kib"], config["memlock_kib"], config["ipc_lock"]) == ("4", "8192", "y")
    monkeypatch.setattr(module.resource, "getrlimit", lambda _: (module.resource.RLIM_INFINITY,) * 2)
    config = root(proc__self__status=status.format(0x1FFFFFBFFF)).config(SIGHT)
    assert (config["memlock_kib"], config["ipc_lock"]) == ("unlimited", "n")


def test_config_from_the_kernel_or_from_boot(root, tmp_path):
    """config.gz is preferred to /boot; options that are not set are n, and without either nothing is known."""
    assert root().kernel_config() == {}
    assert root().config(SIGHT)["SWAP"] == "unknown"
    machine = root(**{f"boot__config-{os.uname().release}": CONFIG})
    assert machine.kernel_config()["SWAP"] == "y"
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "config.gz").write_bytes(gzip.compress(CONFIG.replace("SWAP=y", "SWAP=m").encode()))
    assert machine.kernel_config()["SWAP"] == "m"
    assert machine.config(SIGHT)["GUP_TEST"] == "n"


def test_soft_dirty_is_found_out_and_not_believed(root):
    """The configuration may say y where pages are not tracked: what a page showed counts."""
    machine = root(**{f"boot__config-{os.uname().release}": CONFIG})
    assert machine.config(SIGHT)["MEM_SOFT_DIRTY"] == "n"


def test_what_is_missing_is_named(root):
    """Swap, huge pages and free memory: each reason says what there is."""
    machine = root(
        proc__meminfo="MemTotal: 9 kB\nMemAvailable:  4096 kB\nSwapTotal:             0 kB\n",
        **{
            "sys__kernel__mm__transparent_hugepage__enabled": "always madvise [never]\n",
            "sys__kernel__mm__hugepages__hugepages-2048kB__free_hugepages": "1\n",
            "sys__kernel__mm__hugepages__hugepages-2048kB__nr_hugepages": "4\n",
        },
    )
    assert machine.missing_swap() == "needs swap: none is configured here"
    assert "enabled is never here" in machine.missing_thp()
    assert machine.missing_hugepages("2M", 2) == "needs 2 free hugepages of 2 MiB: the pool has 1 free of 4 here"
    assert machine.missing_hugepages("1G", 1) == "needs 1 GiB hugepages: this machine has no such size"
    assert machine.missing_memory(2 << 20) is None
    assert machine.missing_memory(3 << 20) == "needs 3 MiB of memory, and no more than half of the 4 MiB free here"


def test_a_huge_page_that_is_reserved_is_not_free(root):
    """40 are free and 32 of those are somebody's: eight are left, and both numbers are said."""
    pool = "sys__kernel__mm__hugepages__hugepages-2048kB__"
    machine = root(**{f"{pool}free_hugepages": "40\n", f"{pool}nr_hugepages": "40\n", f"{pool}resv_hugepages": "32\n"})
    assert machine.hugepages("2M").free == 8
    assert machine.config(SIGHT)["hugetlb_2M"] == "8 free of 40 (32 more are reserved)"
    assert machine.missing_hugepages("2M", 20) == (
        "needs 20 free hugepages of 2 MiB: the pool has 8 free of 40 (32 more are reserved) here"
    )


def test_what_is_there_is_not_missing(root):
    """With swap, huge pages and the huge zero page there are no reasons; one size of THP can be switched alone."""
    thp = "sys__kernel__mm__transparent_hugepage__"
    machine = root(
        proc__meminfo="SwapTotal:  1024 kB\n",
        **{f"{thp}enabled": "always [madvise] never\n", f"{thp}use_zero_page": "1\n"},
    )
    assert machine.missing_swap() is machine.missing_thp() is machine.missing_thp(zero=True) is None
    root(**{f"{thp}use_zero_page": "0\n"})
    assert "use_zero_page is 0 here" in machine.missing_thp(zero=True)
    assert machine.missing_thp() is None
    root(**{f"{thp}hugepages-2048kB__enabled": "always inherit madvise [never]\n"})
    assert machine.thp() == "never"
    root(**{f"{thp}hugepages-2048kB__enabled": "always [inherit] madvise never\n"})
    assert machine.thp() == "madvise"


SMAPS = """\
{first:x}-{second:x} rw-p 00000000 00:00 0 
Size:               4096 kB
AnonHugePages:      {huge} kB
VmFlags: rd wr mr mw me ac sd hg 
{second:x}-{third:x} ---p 00000000 00:00 0 
AnonHugePages:      2048 kB
"""  # noqa: W291


@pytest.mark.parametrize(
    ("huge", "words", "found"),
    [
        (4096, [1 << 63] * 1024, [0, 1]),
        (2048, [1 << 63] * 512 + [0] + [1 << 63] * 511, [0]),
        (2048, [1 << 63] * 1024, None),
        (0, [1 << 63] * 1024, []),
        (0, [1 << 63 | 1 << 61] * 512 + [1 << 63] * 512, [0]),
        (2048, [1 << 63 | 1 << 61] * 512 + [1 << 63] * 512, [0, 1]),
    ],
)
def test_huge_entries_from_smaps(tmp_path, huge, words, found):
    """A count of a mapping is told apart by what pagemap shows, or it is left open."""
    first = 1 << 44
    path = tmp_path / "smaps"
    path.write_text(SMAPS.format(first=first, second=first + (4 << 20), third=first + (8 << 20), huge=huge))
    spans = vmas.huge_entries(first, first + (4 << 20), array("Q", words), True, str(path))
    expected = [(first + (block << 21), first + (block + 1 << 21)) for block in found] if found is not None else None
    assert spans == expected


def test_smaps_says_nothing_of_huge_entries_without_rights(tmp_path):
    """Up to 6.6 smaps follows entries as GUP does, so that of a PROT_NONE mapping it counts none: it is left open."""
    first = 1 << 44
    path = tmp_path / "smaps"
    path.write_text(f"{first:x}-{first + (2 << 20):x} ---p 00000000 00:00 0 \nAnonHugePages:         0 kB\n")
    assert vmas.huge_entries(first, first + (2 << 20), array("Q", [1 << 63] * 512), True, str(path)) is None
    assert vmas.huge_entries(first, first + (2 << 20), array("Q", [0] * 512), True, str(path)) == []


@pytest.mark.parametrize(("line", "huge"), [("ShmemPmdMapped", True), ("FilePmdMapped", True), ("Rss", False)])
def test_huge_entries_of_files_from_smaps(tmp_path, line, huge):
    """Those of shmem and of page cache have lines of their own; what pagemap shows as a file is no zero page there."""
    first, last = 1 << 44, (1 << 44) + (2 << 20)
    path = tmp_path / "smaps"
    path.write_text(f"{first:x}-{last:x} rw-p 00000000 00:00 0 \nAnonHugePages:         0 kB\n{line}:      2048 kB\n")
    spans = vmas.huge_entries(first, last, array("Q", [1 << 63 | 1 << 61] * 512), False, str(path))
    assert spans == ([(first, last)] if huge else [])


def test_where_something_is_mapped(tmp_path):
    """A place within a mapping, whatever its rights; neither the hole before it nor the end behind it."""
    path = tmp_path / "maps"
    path.write_text("1000-3000 r--p 00000000 00:00 0\n5000-6000 ---p 00000000 00:00 0\n")
    answers = [vmas.mapped(address, str(path)) for address in (0, 0x1000, 0x2000, 0x3000, 0x5000, 0x6000)]
    assert answers == [False, True, True, False, True, False]


def test_accessible_parts_of_maps(tmp_path):
    """Neighbouring mappings join, permissions count, and parts outside are cut off."""
    path = tmp_path / "maps"
    path.write_text(
        "1000-3000 r--p 00000000 00:00 0\n3000-5000 rw-p 00000000 00:00 0 [heap]\n"
        "5000-6000 ---p 00000000 00:00 0\n7000-9000 rw-s 00000000 00:01 5 /memfd:a b (deleted)\n"
    )
    assert vmas.accessible(0x2000, 0x8000, False, str(path)) == [(0x2000, 0x5000), (0x7000, 0x8000)]
    assert vmas.accessible(0x2000, 0x8000, True, str(path)) == [(0x3000, 0x5000), (0x7000, 0x8000)]


@pytest.mark.parametrize(
    ("spans", "pieces"),
    [
        ([], [(10, 20, False)]),
        ([(0, 30)], [(10, 20, True)]),
        ([(0, 10), (20, 30)], [(10, 20, False)]),
        (
            [(0, 12), (14, 16), (18, 25)],
            [(10, 12, True), (12, 14, False), (14, 16, True), (16, 18, False), (18, 20, True)],
        ),
        ([(12, 20)], [(10, 12, False), (12, 20, True)]),
    ],
)
def test_cut_leaves_no_gap(spans, pieces):
    """A stretch is cut where spans begin and end, and all of it comes back."""
    assert vmas.cut(10, 20, spans) == pieces


@pytest.mark.parametrize(("kind", "name"), [(0x01021994, "tmpfs"), (0x858458F6, "ramfs"), (0xEF53, None)])
def test_files_that_are_never_written_back_are_no_ordinary_ones(root, monkeypatch, tmp_path, kind, name):
    """The sentence names the directories, what they are on, and what to set, or why a guest has none; ext4 is fine."""
    monkeypatch.setattr(directories.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(directories.syscalls, "file_system", lambda _: kind)
    machine = root()
    words = f"the files of {tmp_path} and /var/tmp are on {name}, and nothing writes them back: set TMPDIR"
    assert machine.missing_files() == (f"needs an ordinary file: {words}" if name else None)
    guest = replace(machine, absent={"files": "no disk"})
    assert guest.missing_files() == ("needs an ordinary file: no disk" if name else None)
    assert machine.config(SIGHT)["files"] == ("none" if name else "ext4")


def test_an_ordinary_file_goes_where_it_is_written_back(monkeypatch, tmp_path):
    """Where the temporary directory is on tmpfs, as on many a distribution, the file is made in /var/tmp."""
    monkeypatch.setattr(directories.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(directories.syscalls, "file_system", lambda path: 0x01021994 if path != "/var/tmp" else 0xEF53)
    assert directories.ordinary() == "/var/tmp"


def test_what_a_kernel_was_built_without_is_told(root):
    """Swap, KSM, THP and huge pages that are not there are put down to the option that is off."""
    machine = root(**{f"boot__config-{os.uname().release}": "CONFIG_MMU=y\n"})
    reasons = {
        "SWAP": machine.missing_swap(),
        "KSM": machine.missing_ksm(),
        "TRANSPARENT_HUGEPAGE": machine.missing_thp(),
        "HUGETLBFS": machine.missing_hugepages("2M", 512),
    }
    for option, reason in reasons.items():
        assert (reason or "").endswith(f"this kernel was built without CONFIG_{option}")
