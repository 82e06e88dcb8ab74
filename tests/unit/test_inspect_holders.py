"""Parts of the walks to what is held: runs of frames, an IOMMU's tables, VFIO's records; on made-up memory."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import pytest

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")

from drgn import FaultError

from pinhold.inspect import holders, symbols
from pinhold.inspect.errors import CannotLook
from pinhold.inspect.files import Opened, Task
from pinhold.inspect.holders import iommu_amd, iommu_intel, unknown, vfio
from pinhold.inspect.holders.iommu_tables import Tables, mapped_in
from pinhold.inspect.holders.kept import Run, bounded, joined
from pinhold.inspect.pinned import _Frames
from pinhold.inspect.records import Process

BASE = 0xFFFF_8880_0000_0000


class Memory:
    """A kernel's memory, in words by its addresses; physical ones are those without BASE."""

    page_offset = BASE
    max_pfn = 1 << 20

    def __init__(self, words: dict[int, int] | None = None) -> None:
        self.all = dict(words or {})

    def read(self, address: int, size: int) -> bytes:
        if address < BASE or (address % 8 and size > 8):
            raise FaultError("no such memory", address)
        first = address & -8
        data = b"".join(struct.pack("<Q", self.all.get(at, 0)) for at in range(first, address + size, 8))
        return data[address - first : address - first + size]

    def words(self, physical: int, count: int) -> memoryview:
        return memoryview(self.read(BASE + physical, 8 * count)).cast("Q")


def test_runs_that_go_on_are_one() -> None:
    """In frames and in addresses both; of one memory, and held in one way."""
    runs = [
        *(Run(10, 1, 0x1000, 7), Run(11, 2, 0x2000, 7), Run(13, 1, 0x4000, 7)),
        Run(14, 1, 0x6000, 7),
        Run(15, 1, 0x7000, 8),
        *(Run(16, 1), Run(17, 1)),
        Run(18, 1, pinned=False),
    ]
    assert list(joined(runs)) == [
        Run(10, 4, 0x1000, 7),
        Run(14, 1, 0x6000, 7),
        Run(15, 1, 0x7000, 8),
        Run(16, 2),
        Run(18, 1, pinned=False),
    ]
    assert list(joined([])) == []


@pytest.mark.parametrize("count", [-1, 5])
def test_a_count_that_cannot_be_ends_the_walk(count: int) -> None:
    """Before so much is read."""
    assert bounded(4, 4, "pages") == 4
    with pytest.raises(CannotLook, match=f"pages: {count} cannot be, 4 are the most"):
        bounded(count, 4, "pages")


TABLES = {
    # level 3 at 0x1000, level 2 at 0x2000, level 1 at 0x3000; 1 GiB at the second entry
    BASE + 0x1000: 0x2000 | 3,
    BASE + 0x1008: (1 << 30) | 1 << 7 | 1,
    BASE + 0x2000: 0x3000 | 3,
    BASE + 0x2008: 0x40_0000 | 1 << 7 | 2,  # 2 MiB, for writing alone
    BASE + 0x3000: 0x5000 | 3,
    BASE + 0x3010: 0x6000 | 2,
}
HUGE, GIGANTIC = 1 << 21, 1 << 30


@pytest.mark.parametrize(
    ("start", "end", "leaves"),
    [
        (0, 0x3000, [(0, 5, 1), (0x2000, 6, 1)]),
        (0x2000, HUGE + 0x3000, [(0x2000, 6, 1), (HUGE, 0x400, 3)]),
        (HUGE + 0x1000, HUGE + 0x3000, [(HUGE + 0x1000, 0x401, 2)]),
        (GIGANTIC + 0x5000, GIGANTIC + 0x6000, [(GIGANTIC + 0x5000, (GIGANTIC >> 12) + 5, 1)]),
        (3 * HUGE, 4 * HUGE, []),
    ],
)
def test_an_iommus_tables(start: int, end: int, leaves: list[tuple[int, int, int]]) -> None:
    """Entries of each size, those for writing alone too, cut to what is asked for."""
    tables = Tables(iommu_intel.FORM, 0x1000, 3)
    assert list(mapped_in(Memory(TABLES), tables, start, end - start)) == leaves  # type: ignore[arg-type]


def amd(address: int, below: int) -> int:
    """An entry of AMD's, readable and writable; below: the level of the table there, 0 or 7 for a page."""
    return address | below << 9 | 3 << 61 | 1


AMD_TABLES = {
    BASE + 0x1000: amd(0x2000, 2),
    BASE + 0x1008: amd(1 << 30, 0),
    BASE + 0x2000: amd(0x3000, 1),
    BASE + 0x2008: amd(0x40_0000, 0),
    # 4 MiB in two entries of 2 MiB: its size is told by where the lowest 0 of the address is.
    **{BASE + 0x2010 + 8 * part: amd(0x1000_0000 | 0x1F_F000, 7) for part in range(2)},
    BASE + 0x3000: amd(0x5000, 0),
    BASE + 0x3008: 0x6000 | 3 << 61,  # not present
    # 16 KiB in four entries
    **{BASE + 0x3020 + 8 * part: amd(0x2_0000 | 0x1000, 7) for part in range(4)},
}


@pytest.mark.parametrize(
    ("start", "end", "leaves"),
    [
        (0, 0x8000, [(0, 5, 1), *((0x4000 + 0x1000 * part, 0x20 + part, 1) for part in range(4))]),
        (HUGE + 0x1000, HUGE + 0x3000, [(HUGE + 0x1000, 0x401, 2)]),
        (3 * HUGE - 0x1000, 3 * HUGE + 0x1000, [(3 * HUGE - 0x1000, 0x101FF, 1), (3 * HUGE, 0x10200, 1)]),
        (GIGANTIC + 0x5000, GIGANTIC + 0x6000, [(GIGANTIC + 0x5000, (GIGANTIC >> 12) + 5, 1)]),
    ],
)
def test_tables_of_amds_iommu(start: int, end: int, leaves: list[tuple[int, int, int]]) -> None:
    """An entry says itself what it leads to; a page of another size than a level's is in several entries."""
    tables = Tables(iommu_amd.FORM, 0x1000, 3)
    assert list(mapped_in(Memory(AMD_TABLES), tables, start, end - start)) == leaves  # type: ignore[arg-type]


def node(at: int, left: int = 0, right: int = 0) -> dict[int, int]:
    """A struct rb_node."""
    return {at: 1, at + 8: right, at + 16: left}


def test_a_tree_is_walked_in_order() -> None:
    """Left, itself, right."""
    a, b, c, d = (BASE + 0x100 * number for number in range(1, 5))
    words = vfio._Words(Memory({BASE: b, **node(b, a, d), **node(a), **node(d, c), **node(c)}))  # type: ignore[arg-type]
    assert list(words.nodes(BASE)) == [a, b, c, d]


@pytest.mark.parametrize("left", [True, False])
def test_a_tree_that_is_a_circle_ends(left: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it goes in a circle."""
    monkeypatch.setattr(vfio, "_MOST_NODES", 100)
    at = BASE + 0x100
    circle = node(at, left=at) if left else node(at, right=at)
    with pytest.raises(CannotLook, match="circle"):
        list(vfio._Words(Memory({BASE: at, **circle})).nodes(BASE))  # type: ignore[arg-type]


@pytest.mark.parametrize("pointer", [BASE, 0xFF20_6E1C_69E7_0160, 0xFFFF_FFFF_8100_0000])
def test_a_pointer_of_the_kernel_is_followed(pointer: int) -> None:
    """With page tables of four levels and of five."""
    assert vfio._Words(Memory({BASE: pointer})).pointer(BASE) == pointer  # type: ignore[arg-type]


@pytest.mark.parametrize("pointer", [0, 0x1000, BASE + 4, 0x7FFF_FFFF_F000, 0xFE00_0000_0000_0000])
def test_a_pointer_is_looked_at_before_it_is_followed(pointer: int) -> None:
    """Null, a user's, and one into the middle of a word are none."""
    with pytest.raises(CannotLook, match="is no pointer of the kernel"):
        vfio._Words(Memory({BASE: pointer})).pointer(BASE)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "known"), [(b"vfio-iommu-type1\0", True), (b"vfio-iommu-spapr\0", False)])
def test_the_driver_is_known_by_its_name(name: bytes, known: bool) -> None:
    """Another driver's records are of another form."""
    text = name.ljust(24, b"\0")
    words = {BASE: BASE + 0x100, BASE + 0x100: BASE + 0x200}
    words |= {BASE + 0x200 + at: int.from_bytes(text[at : at + 8], "little") for at in range(0, 24, 8)}
    assert vfio._Words(Memory(words)).is_driver(BASE) is known  # type: ignore[arg-type]


def test_frames_that_are_held() -> None:
    """Whether any of a range is in one of many, of which long ones hide short ones."""
    held = _Frames([range(100, 612), range(200, 201), range(700, 701), range(50, 60)])
    asked = [range(0, 50), range(59, 61), range(60, 100), range(611, 612), range(612, 700), range(690, 800)]
    assert [held.meets(frames) for frames in asked] == [False, True, False, True, False, True]
    assert not _Frames([]).meets(range(5))


def test_operations_that_are_built_in_have_names() -> None:
    """Those of a module are its own; where it is built into the kernel, they are among the symbols that are kept."""
    for kind in holders.KINDS:
        assert {symbol for _, symbol in kind.OPERATIONS} <= set(symbols.OPERATIONS), kind.KIND
    assert set(unknown.BUILT_IN) <= set(symbols.OPERATIONS)


@pytest.mark.parametrize(
    ("name", "kind", "module"),
    [
        (("vfio", "vfio_fops"), "VFIO", None),
        (("", "vfio_fops"), "VFIO", None),
        (("", "vduse_dev_fops"), "VDUSE", None),
        (("iommufd", "iommufd_fops"), "unknown", "iommufd"),
        (("", "iommufd_fops"), "unknown", "iommufd"),
        (("snd", "vfio_fops"), "unknown", "snd"),
        (("vfio", "vfio_device_fops"), None, None),
        (("", "ext4_file_operations"), None, None),
        (("", ""), None, None),
    ],
)
def test_which_holder_an_open_file_is(
    monkeypatch: pytest.MonkeyPatch, name: tuple[str, str], kind: str | None, module: str | None
) -> None:
    """By module and symbol of its operations; a device of a module, or of iommufd, that is none of them may be one."""
    for one in holders.KINDS:
        monkeypatch.setattr(one, "held", lambda view, private: iter([Run(1, 1)]))
    character = SimpleNamespace(i_mode=SimpleNamespace(value_=lambda: 0o20600))
    file = SimpleNamespace(f_inode=SimpleNamespace(read_=lambda: character))
    made = object.__new__(holders.Holders)
    made._view = SimpleNamespace(pointer=lambda type_, address: file)  # type: ignore[assignment]
    made._names = SimpleNamespace(operations=lambda address: name)  # type: ignore[assignment]
    one = Opened(Task(Process(1, "one"), None, 0x1000), 3, 0x2000, 0x3000, 0x4000)
    found = [(each.holder.kind, each.holder.module, each.holder.fd) for each in made._of_file(one)]
    assert found == ([] if kind is None else [(kind, module, 3)])
