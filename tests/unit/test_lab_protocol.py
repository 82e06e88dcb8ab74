"""The frames between host and guest, and the archive that the guest boots from."""

import contextlib
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinhold.lab.cpio import Cpio
from pinhold.lab.protocol import MAGIC, Damaged, Decoder, encode

MESSAGES = [{"hello": {"a": 1}}, {"beat": True}, {"step": list(range(500)), "text": 'ä"\n'}]


@given(st.lists(st.integers(1, 60), max_size=40))
def test_frames_survive_any_cutting(lengths: list[int]) -> None:
    """However the bytes arrive, the messages are those that were sent, in order."""
    data = b"".join(map(encode, MESSAGES))
    decoder, got = Decoder(), []
    for length in lengths:
        got += decoder.feed(data[:length])
        data = data[length:]
    assert [*got, *decoder.feed(data)] == MESSAGES


@given(st.integers(0, len(encode(MESSAGES[2])) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_never_a_message(place: int, change: int) -> None:
    """One damaged byte anywhere: damage is told, or the frame never ends; no wrong message comes out."""
    data = bytearray(encode(MESSAGES[2]))
    data[place] ^= change
    with contextlib.suppress(Damaged):
        assert Decoder().feed(bytes(data)) == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\0junk", "no frame begins with ff006a756e6b"),
        (b"[    1.0] printk\n", "no frame, but text: .* printk"),
        (MAGIC + b"\xff\xff\xff\xff\0\0\0\0", "a frame of 4294967295 bytes"),
        (encode(MESSAGES[0])[:-1] + b"\0", "wrong checksum"),
    ],
)
def test_damage_is_named(data: bytes, words: str) -> None:
    """Junk or text in between, an impossible length, a wrong checksum."""
    with pytest.raises(Damaged, match=words):
        Decoder().feed(data)


def entries(archive: bytes) -> list[tuple[str, int, bytes, tuple[int, int]]]:
    """(name, mode, content, device) of a newc archive, read by its documented layout."""
    found, at = [], 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        name_end = at + 110 + fields[11]
        name = archive[at + 110 : name_end - 1].decode()
        assert archive[name_end - 1] == 0
        start = -(-name_end // 4) * 4
        content = archive[start : start + fields[6]]
        at = -(-(start + fields[6]) // 4) * 4
        if name == "TRAILER!!!":
            assert at == len(archive)
            return found
        found.append((name, fields[1], content, (fields[9], fields[10])))


def test_the_archive_has_the_layout_of_newc() -> None:
    """Parents come before their entries and once, contents are aligned, devices have their numbers."""
    archive = Cpio()
    archive.file("/usr/lib/a", b"12345", 0o644)
    archive.file("/usr/lib/b", b"")
    archive.link("bin/python", "/usr/bin/python3")
    archive.device("dev/console", 5, 1)
    archive.file("/usr/lib/a", b"again")
    assert entries(archive.finish()) == [
        ("usr", stat.S_IFDIR | 0o755, b"", (0, 0)),
        ("usr/lib", stat.S_IFDIR | 0o755, b"", (0, 0)),
        ("usr/lib/a", stat.S_IFREG | 0o644, b"12345", (0, 0)),
        ("usr/lib/b", stat.S_IFREG | 0o755, b"", (0, 0)),
        ("bin", stat.S_IFDIR | 0o755, b"", (0, 0)),
        ("bin/python", stat.S_IFLNK | 0o777, b"/usr/bin/python3", (0, 0)),
        ("dev", stat.S_IFDIR | 0o755, b"", (0, 0)),
        ("dev/console", stat.S_IFCHR | 0o600, b"", (5, 1)),
    ]
