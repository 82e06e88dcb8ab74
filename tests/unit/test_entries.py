"""Page-table entries as pinprobe tells them, and what is done where it does not."""

import struct
from pathlib import Path

import pytest

from pinhold.commands import kernels
from pinhold.lab.pinprobe.build import module_name
from pinhold.lab.store import Kernel
from pinhold.targets.live import entries
from pinhold.targets.live.entries import Entries, Entry, decode


@pytest.mark.parametrize(
    ("word", "entry"),
    [
        (0, Entry(None, None, None, False)),
        (32, Entry(None, None, None, True)),
        (4, Entry("pte", False, False, False)),
        (4 | 8, Entry("pte", True, False, False)),
        (4 | 1 | 16, Entry("pmd", False, True, False)),
        (4 | 2 | 8 | 16 | 32, Entry("pud", True, True, True)),
    ],
)
def test_the_word_of_an_entry(word: int, entry: Entry) -> None:
    """Level, present, writable, dirty, exclusive; of what maps no page the last alone is told."""
    assert decode(word) == entry


def test_without_the_module_nothing_is_told(tmp_path: Path) -> None:
    """No device, or one that does not know the question (an older module): None, and it is not asked again."""
    assert Entries(str(tmp_path / "absent")).of([4096]) is None
    older = Entries("/dev/null")
    assert older.of([4096]) is None
    assert older.of([4096]) is None


def test_the_module_is_asked_for_all_pages_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call with the addresses, one word a page back."""
    calls = []

    def ioctl(fd: int, request: int, ask: bytes) -> int:
        calls.append((request, struct.unpack("=QQQ", ask)[2]))
        return 0

    monkeypatch.setattr(entries.fcntl, "ioctl", ioctl)
    assert list(Entries("/dev/null").of([4096, 8192, 4096]) or ()) == [0, 0, 0]
    assert calls == [(entries.ENTRIES, 3)]


def test_a_module_of_an_older_version_is_said() -> None:
    """The list of kernels tells whether the module is there, and whether it was built from this source."""
    kernel = Kernel("6.1.192", Path("bzImage"), "6.1.192")
    told = {
        path: kernels._line(Kernel(kernel.name, kernel.image, kernel.release, pinprobe=path))
        for path in (None, Path("pinprobe.ko"), Path(module_name()))
    }
    assert told[None].endswith("no pinprobe")
    assert told[Path("pinprobe.ko")].endswith("pinprobe, an older one: pinhold kernels fetch 6.1.192")
    assert told[Path(module_name())].endswith("stock, Debian, pinprobe")
