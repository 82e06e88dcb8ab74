"""What /proc tells of pinned memory, on trees made of files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pinhold.inspect import proc
from pinhold.inspect.proc import Reader, missing
from pinhold.inspect.records import Buffer, Counters, Holder, Looked, NotThere, Process, Selection

RING = "anon_inode:[io_uring]"
BUFFERS = "pos:\t0\nUserBufs:\t1\n    0: 0x7f0000001000/8192\nPollList:\n"
EVIL = "a\x1b[2J\nb"


class Tree:
    """A /proc of our own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.put("sys/kernel/osrelease", "6.12.1-test\n")
        self.put("vmstat", "nr_free_pages 1\nnr_foll_pin_acquired 70\nnr_foll_pin_released 60\n")
        self.put("sys/vm/stat_refresh", "")

    def put(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())

    def process(self, pid: int, name: str = "me", vm_pin: int = 0, vm_lck: int = 0) -> Process:
        self.put(f"{pid}/status", f"Name:\t{name!r}\nVmLck:\t{vm_lck:8} kB\nVmPin:\t{vm_pin:8} kB\nThreads:\t1\n")
        self.put(f"{pid}/comm", f"{name}\n")
        for folder in ("fd", "fdinfo"):
            (self.root / str(pid) / folder).mkdir()
        return Process(pid, name)

    def file(self, pid: int, fd: int, link: str, info: str = "pos:\t0\n") -> None:
        os.symlink(link, self.root / str(pid) / "fd" / str(fd))
        self.put(f"{pid}/fdinfo/{fd}", info)

    def look(self, **selection: int) -> proc.Told:
        return Reader(str(self.root)).look(Selection(**selection))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """One with nothing in it."""
    return Tree(tmp_path)


def test_what_is_charged_and_what_rings_hold(tree: Tree) -> None:
    """In bytes; a process's name is as it is; a kernel thread has no memory."""
    me = tree.process(7, EVIL, vm_pin=8, vm_lck=4)
    tree.file(7, 3, RING, BUFFERS)
    tree.file(7, 4, "/dev/null")
    tree.put("8/status", "Name:\tkthreadd\nThreads:\t1\n")
    told = tree.look()
    assert [(p.process, p.vm_pin, p.vm_lck) for p in told.processes] == [(me, 8192, 4096)]
    assert [(b.holder, b.size) for b in told.buffers] == [(Holder("io_uring", me, 3, address=0x7F0000001000), 8192)]
    assert told.looked == Looked("processes", 2)
    assert told.release == "6.12.1-test"
    assert told.counters == Counters(70, 60, True)


def test_counters_without_root_are_about(tree: Tree) -> None:
    """Where stat_refresh may not be read, what CPUs have counted by themselves is not in; without counters there are
    none."""
    (tree.root / "sys/vm/stat_refresh").unlink()
    assert tree.look().counters == Counters(70, 60, False)
    tree.put("vmstat", "nr_free_pages 1\n")
    assert tree.look().counters is None


@pytest.mark.parametrize(
    ("link", "kind"),
    [
        ("/dev/vfio/12", "VFIO"),
        ("/dev/vfio/devices/vfio0", "VFIO"),
        ("/dev/iommu", "iommufd"),
        ("/dev/infiniband/uverbs0", "RDMA"),
        ("/dev/vhost-net", "vhost"),
        ("/dev/vhost-vdpa-0", "vDPA"),
    ],
)
def test_what_else_is_open_may_hold_something(tree: Tree, link: str, kind: str) -> None:
    """It is named, and how much it holds is left open."""
    me = tree.process(7)
    tree.file(7, 9, link)
    assert [(b.holder, b.size) for b in tree.look().buffers] == [(Holder(kind, me, 9), None)]


def test_a_udmabuf_has_a_size_and_other_dma_buffers_are_none_of_ours(tree: Tree) -> None:
    """By the exporter, whatever its name."""
    me = tree.process(7)
    tree.file(7, 3, "/dmabuf:mine", "size:\t8192\ncount:\t1\nexp_name:\tudmabuf\nname:\tmine\n")
    tree.file(7, 4, "/dmabuf:", "size:\t8192\ncount:\t1\nexp_name:\tsystem\n")
    assert [(b.holder, b.size) for b in tree.look().buffers] == [(Holder("udmabuf", me, 3), 8192)]


def test_a_busy_ring_is_asked_again_and_then_counted(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is free at the second look is told; one that never is, is one that could not be read."""
    tree.process(7)
    tree.file(7, 3, RING, "pos:\t0\n")
    told = tree.look()
    assert told.looked == Looked("processes", 1, inconsistent=1)
    assert [(b.holder.fd, b.size) for b in told.buffers] == [(3, None)]
    monkeypatch.setattr(proc.os, "sched_yield", lambda: tree.put("7/fdinfo/3", BUFFERS))
    told = tree.look()
    assert told.looked.inconsistent == 0
    assert [b.size for b in told.buffers] == [8192]


def test_who_goes_meanwhile_is_no_error(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends, before or after its status was read, and a descriptor that is closed are left out."""
    tree.process(7)
    tree.process(9)
    tree.file(9, 3, RING, BUFFERS)
    tree.file(9, 5, RING, BUFFERS)
    (tree.root / "9/fdinfo/3").unlink()
    (tree.root / "7/comm").unlink()
    monkeypatch.setattr(proc.os, "listdir", lambda at, listdir=os.listdir: [*listdir(at), "8"])
    told = tree.look()
    assert [p.process.pid for p in told.processes] == [9]
    assert [b.holder.fd for b in told.buffers] == [5]


def test_what_may_not_be_looked_at_is_counted(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is charged to another user's process is told all the same."""
    tree.process(7, vm_pin=4)
    opened = os.open

    def refuse(path: str, *arguments: int, **more: int) -> int:
        if path == "fd":
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *arguments, **more)

    monkeypatch.setattr(proc.os, "open", refuse)
    told = tree.look()
    assert [p.vm_pin for p in told.processes] == [4096]
    assert told.looked == Looked("processes", 1, denied=1)


def test_one_process_and_one_address(tree: Tree) -> None:
    """--pid is that process alone, and an address the buffers that it is in, to their last byte."""
    tree.process(7)
    tree.process(8)
    for pid in (7, 8):
        tree.file(pid, 3, RING, BUFFERS)
    assert [b.holder.process.pid for b in tree.look(pid=8).buffers if b.holder.process] == [8]
    assert [len(tree.look(pid=7, address=0x7F0000001000 + at).buffers) for at in (-1, 0, 8191, 8192)] == [0, 1, 1, 0]
    with pytest.raises(NotThere, match="no process 9 "):
        tree.look(pid=9)


def test_page_frames_are_not_told(tree: Tree) -> None:
    """Nothing is looked at, and it is said what it takes."""
    told = tree.look(pfn=1)
    assert (told.processes, told.buffers, told.looked.total) == ((), (), 0)
    assert told.missing


def test_what_it_would_take(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thing that is missing is named; nothing where nothing is."""
    monkeypatch.setattr(proc.importlib.util, "find_spec", lambda name: None)
    (said,) = missing(str(tree.root), root=False)
    assert all(word in said for word in ("root", "kcore", "pinhold[inspect]"))
    monkeypatch.setattr(proc.importlib.util, "find_spec", lambda name: name)
    tree.put("kcore", "")
    (said,) = missing(str(tree.root), root=False)
    assert "root" in said and "kcore" not in said and "drgn" not in said
    assert missing(str(tree.root), root=True) == ()


def test_a_buffer_says_why_its_state_cannot_be_told(tree: Tree) -> None:
    """Each has a reason."""
    tree.process(7)
    tree.file(7, 3, RING, BUFFERS)
    tree.file(7, 4, RING, "pos:\t0\n")
    tree.file(7, 5, "/dev/vfio/1")
    buffers: tuple[Buffer, ...] = tree.look().buffers
    assert len(buffers) == 3 and all(b.reason and b.state == "cannot be told" for b in buffers)
