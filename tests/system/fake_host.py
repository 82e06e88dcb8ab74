"""A machine made of files, which can be killed or can fail at each single thing that is done to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from pinhold.system.host import Host
from pinhold.system.needs import Needs

TREE = {
    "proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 6000000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
    "proc/swaps": "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
    "proc/sys/kernel/random/boot_id": "11111111-2222\n",
    "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "3\n",
    "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages": "1\n",
    "sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages": "0\n",
    "sys/kernel/mm/hugepages/hugepages-2048kB/surplus_hugepages": "0\n",
    "sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages": "0\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]\n",
    "sys/kernel/mm/transparent_hugepage/use_zero_page": "0\n",
    "sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs": "10000\n",
    "sys/kernel/mm/ksm/run": "0\n",
    "sys/kernel/mm/ksm/sleep_millisecs": "200\n",
}
NEEDS = Needs({"2M": 4}, swap=1 << 20, thp=True, huge_zero=True, ksm=True)
POOL = "sys/kernel/mm/hugepages/hugepages-2048kB"
CHANGED = {
    f"{POOL}/nr_hugepages": "6\n",
    f"{POOL}/free_hugepages": "4\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "sys/kernel/mm/transparent_hugepage/use_zero_page": "1\n",
    "sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs": "4294967295\n",
    "sys/kernel/mm/ksm/run": "1\n",
    "sys/kernel/mm/ksm/sleep_millisecs": "0\n",
}
"""What NEEDS makes of TREE, besides the swap file."""


def build(folder: Path) -> None:
    """Make the tree."""
    for name, text in TREE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def content(folder: Path) -> dict[str, str]:
    """The tree as it is."""
    return {name: (folder / name).read_text() for name in TREE}


def left_over(state: Path) -> list[str]:
    """What is in the state directory, besides the lock."""
    return sorted(entry.name for entry in state.iterdir() if entry.name != "lock") if state.exists() else []


class FakeHost(Host):
    """Does what a kernel does with such files.  It waits for no disk.

    most: the most huge pages that the kernel finds.  at: called with what is about to be done, and with what has just
    been done; it may raise OSError, or kill.
    """

    def __init__(self, folder: Path, at: Callable[[str], None] = lambda what: None, most: int = 100) -> None:
        super().__init__(str(folder / "root"), str(folder / "state"))
        self.at = at
        self.most = most

    def write(self, setting: str, value: str) -> None:
        self.at(f"write {os.path.basename(setting)}")
        old = self.text(setting)
        if setting.endswith("nr_hugepages"):
            self._resize(os.path.dirname(setting), int(value))
        elif "[" in old:
            words = old.replace("[", "").replace("]", "").split()
            self._store(setting, " ".join(f"[{word}]" if word == value else word for word in words))
        else:
            self._store(setting, value)
        self.at(f"written {os.path.basename(setting)}")

    def _store(self, setting: str, value: str) -> None:
        super().write(setting, value + "\n")
        os.truncate(self._path(setting), len(value) + 1)

    def _resize(self, pool: str, wanted: int) -> None:
        before = self.number(f"{pool}/nr_hugepages")
        after = min(wanted, self.most)
        self._store(f"{pool}/nr_hugepages", str(after))
        self._store(f"{pool}/free_hugepages", str(self.number(f"{pool}/free_hugepages") + after - before))

    def make_swap_file(self, path: str, size: int) -> None:
        self.at("make swap file")
        with open(path, "xb") as file:
            file.write(b"swap")
        self.at("made swap file")

    def swap_on(self, path: str) -> None:
        self.at("swapon")
        with open(self._path("proc/swaps"), "a") as swaps:
            swaps.write(f"{path}  file  {1 << 20}  0  -2\n")
        self.at("swapon done")

    def swap_off(self, path: str) -> None:
        self.at("swapoff")
        text = self.text("proc/swaps")
        Path(self._path("proc/swaps")).write_text("".join(li for li in text.splitlines(True) if path not in li))
        self.at("swapoff done")

    def remove(self, path: str) -> None:
        self.at(f"remove {'swap file' if 'swap' in path else 'journal'}")
        super().remove(path)
        self.at("removed")

    def _sync_folder(self, path: str) -> None:
        pass

    def create(self, path: str) -> int:
        self.at("create journal")
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        self.at("created journal")
        return fd

    def append(self, fd: int, data: bytes) -> None:
        self.at("append")
        os.write(fd, data)
        self.at("appended")


class AtStep:
    """Calls `act` at the step of that number, from 1; `seen` are all steps so far."""

    def __init__(self, number: int, act: Callable[[], None]) -> None:
        self.seen: list[str] = []
        self._number, self._act = number, act

    def __call__(self, what: str) -> None:
        self.seen.append(what)
        if len(self.seen) == self._number:
            self._act()


def kill_and_wait(pid: int) -> None:
    """SIGKILL, seen through to the end."""
    pidfd = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGKILL)
        import select

        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(20000)
    finally:
        os.close(pidfd)
