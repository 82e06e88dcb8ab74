"""Where a kernel's memory comes from: what is found in it, what a dump must be, and what is said of all else."""

from __future__ import annotations

import io
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")

from drgn import FaultError

from pinhold.inspect import errors, vmcoreinfo
from pinhold.inspect.errors import CannotLook
from pinhold.inspect.memory import flattened, kcore, ram
from pinhold.inspect.memory.qmp import Monitor
from pinhold.inspect.opening import opened

TEXT = (
    b"OSRELEASE=6.1.0-9-amd64\nBUILD-ID=0123abcd\nPAGESIZE=4096\nSYMBOL(init_uts_ns)=ffffffff82a12340\n"
    b"SYMBOL(swapper_pg_dir)=ffffffff82a00000\nOFFSET(page.flags)=0\nSIZE(page)=64\nNUMBER(phys_base)=-16777216\n"
    b"NUMBER(pgtable_l5_enabled)=1\nKERNELOFFSET=1000000\n"
)


def test_vmcoreinfo_is_read() -> None:
    """Release, build id, symbols in hexadecimal, numbers with their sign, offsets; five levels where it says so."""
    info = vmcoreinfo.parse(TEXT + b"\0rest")
    assert (info.text, info.release, info.build_id, info.levels) == (TEXT, "6.1.0-9-amd64", "0123abcd", 5)
    assert info.symbols["init_uts_ns"] == 0xFFFF_FFFF_82A1_2340
    assert info.numbers["phys_base"] == -16777216
    assert info.offsets == {"page.flags": 0}
    assert vmcoreinfo.parse(TEXT.replace(b"enabled)=1", b"enabled)=0")).levels == 4


@pytest.mark.parametrize("text", [b"", b"\0", b"nothing\n" * 600, b"\xff" * 5000, b"NUMBER(a)=zz\n"], ids=range(5))
def test_what_is_no_vmcoreinfo(text: bytes) -> None:
    """A sentence."""
    with pytest.raises(CannotLook, match="does not say its release"):
        vmcoreinfo.parse(text)


def test_vmcoreinfo_is_found_in_memory() -> None:
    """Across the pieces that are read, in a second range of memory; not what only begins like it."""
    piece = 4 << 20
    memory = bytearray(3 * piece)
    memory[100:120] = b"OSRELEASE=6.1 a file"
    memory[piece - 7 : piece - 7 + len(TEXT)] = TEXT
    memory[2 * piece + 50 : 2 * piece + 50 + len(TEXT)] = TEXT

    def read(address: int, count: int) -> bytes:
        return bytes(memory[address : address + count])

    found = list(vmcoreinfo.search(read, [range(0, 2 * piece), range(2 * piece, 3 * piece)]))
    assert [info.text for info in found] == [TEXT, TEXT]


def test_a_guest_with_much_memory_has_a_hole_below_4_gib() -> None:
    """A q35 of 2.75 GiB and more has 2 GiB below and the rest above."""
    assert ram.q35(672 << 20) == [(range(672 << 20), 0)]
    assert ram.q35(5 << 30) == [(range(2 << 30), 0), (range(4 << 30, 7 << 30), 2 << 30)]


def test_memory_without_a_kernel_is_said() -> None:
    """A guest that has not booted."""
    descriptor = os.memfd_create("guest")
    try:
        os.ftruncate(descriptor, 1 << 22)
        with pytest.raises(CannotLook, match="no Linux kernel was found"):
            ram.source("it", descriptor)
    finally:
        os.close(descriptor)


def flat(*records: tuple[int, bytes], end: bool = True) -> bytes:
    """A flattened dump of these pieces."""
    head = b"makedumpfile\0\0\0\0" + struct.pack(">qq", 1, 1)
    body = b"".join(struct.pack(">qq", offset, len(data)) + data for offset, data in records)
    return head.ljust(4096, b"\0") + body + (struct.pack(">qq", -1, -1) if end else b"")


def test_a_flattened_dump_is_put_together() -> None:
    """Pieces in any order, the later over the earlier; what is between them is zeros."""
    file = io.BytesIO(flat((8, b"second"), (0, b"first"), (9, b"E")))
    assert flattened.is_flattened(file)
    with flattened.unflatten(file) as whole:
        assert whole.read() == b"first\0\0\0sEcond"
    assert not flattened.is_flattened(io.BytesIO(b"KDUMP   " + bytes(100)))
    assert not flattened.is_flattened(io.BytesIO(b"makedump"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (flat((0, b"all"), end=False), "no last record"),
        (flat((0, b"all"), end=False)[:-1], "within a record"),
        (flat((-5, b"x")), "is damaged"),
        (flat((1 << 60, b"x")), "is damaged"),
    ],
    ids=["no end", "cut", "before", "far"],
)
def test_a_damaged_flattened_dump_is_said(data: bytes, words: str) -> None:
    """And costs no more than it has bytes."""
    with pytest.raises(CannotLook, match=words):
        flattened.unflatten(io.BytesIO(data))


def elf(kind: int = 4, machine: int = 62, segments: tuple[tuple[int, int, int], ...] = ()) -> bytes:
    """An ELF file; segments: physical address, offset, size."""
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHH", kind, machine, 1, 0, 64, 0, 0, 64, 56, len(segments)
    )
    headers = [
        struct.pack("<IIQQQQQQ", 1, 6, offset, 0, physical, size, size, 0) for physical, offset, size in segments
    ]
    return head.ljust(64, b"\0") + b"".join(headers)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no dump of a kernel"),
        (b"text", "no dump of a kernel"),
        (elf(machine=183), "of another machine than x86-64"),
        (elf(kind=2), "no dump but a program"),
        (elf(), "no Linux kernel was found"),
        (elf(segments=((0, 1 << 40, 1 << 50),)), "no Linux kernel was found"),
        (elf(segments=((0, 120, 4096),)) + bytes(4096), "no Linux kernel was found"),
        (b"KDUMP   " + bytes(8000), "cannot be read"),
        (flat((0, b"KDUMP   " + bytes(8000))), "cannot be read"),
    ],
    ids=["empty", "text", "arm", "program", "no segment", "far segment", "zeros", "kdump", "flattened"],
)
def test_what_is_no_dump_is_said(tmp_path: Path, data: bytes, words: str) -> None:
    """In a sentence that names the file."""
    (tmp_path / "dump").write_bytes(data)
    with pytest.raises(CannotLook, match=words):
        opened(f"vmcore:{tmp_path}/dump")


@pytest.mark.parametrize(
    ("on", "words"),
    [
        ("vmcore:/absent", "No such file"),
        ("vmcore:", "names no kernel"),
        ("elsewhere", "names no kernel"),
        ("qmp:/absent", "No such file"),
    ],
)
def test_what_names_no_kernel_is_said(on: str, words: str) -> None:
    """With what would name one."""
    with pytest.raises(CannotLook, match=words):
        opened(on)


@contextmanager
def server(folder: Path, *lines: bytes) -> Iterator[str]:
    """Something that listens on a socket, says the first line, and answers each that it is sent with the next."""
    path = str(folder / "socket")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()

        def answer() -> None:
            taken, _ = listening.accept()
            with taken, taken.makefile("rb") as asked:
                for line in lines:
                    taken.sendall(line)
                    asked.readline()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield path
        thread.join(10)


GREETING, DONE = b'{"QMP": {}}\n', b'{"return": {}}\n'


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((b"220 mail\n",), "speaks no QMP"),
        ((b"{}\n",), "speaks no QMP"),
        ((), "has hung up"),
        ((GREETING, b'{"error": {"desc": "not now"}}\n'), "qmp_capabilities: not now"),
    ],
    ids=["mail", "json", "nothing", "refused"],
)
def test_what_speaks_no_qmp_is_said(tmp_path: Path, lines: tuple[bytes, ...], words: str) -> None:
    """With how to start a guest that does."""
    with server(tmp_path, *lines) as path, pytest.raises(CannotLook, match=words):
        Monitor(path)


def test_a_guest_that_stood_still_stays_so(tmp_path: Path) -> None:
    """It is neither stopped nor let go on: the fourth answer would be to that."""
    with server(tmp_path, GREETING, DONE, b'{"event": "RESET"}\n{"return": {"running": false}}\n') as path:
        asked = Monitor(path)
        with asked.stopped():
            pass
        asked.close()


def test_a_guest_that_runs_is_stopped_and_goes_on(tmp_path: Path) -> None:
    """stop and cont, each once, whatever happens in between."""
    with server(tmp_path, GREETING, DONE, b'{"return": {"running": true}}\n', DONE, DONE) as path:
        asked = Monitor(path)
        said: list[str] = []
        before = asked._asked
        asked._asked = lambda command: (said.append(command), before(command))[1]  # type: ignore[method-assign]
        with pytest.raises(ZeroDivisionError), asked.stopped():
            raise ZeroDivisionError
        asked.close()
    assert said == ["query-status", "stop", "cont"]


def test_without_kcore_the_reason_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No such file, one that is none, lockdown, no privilege, and a refusal of root that nothing explains."""
    monkeypatch.setattr(kcore, "KCORE", str(tmp_path / "kcore"))
    assert "CONFIG_PROC_KCORE" in (kcore.missing() or "")
    (tmp_path / "kcore").write_bytes(b"text")
    assert "no memory of a kernel" in (kcore.missing() or "")
    monkeypatch.setattr(kcore, "_LOCKDOWN", tmp_path / "lockdown")
    (tmp_path / "lockdown").write_text("none integrity [confidentiality]\n")
    assert "locked down" in kcore._refused(PermissionError(1, "no"))
    (tmp_path / "lockdown").write_text("[none] integrity confidentiality\n")
    monkeypatch.setattr(kcore, "_STATUS", tmp_path / "status")
    for held, words in (("0000000000000000", "is for root"), ("000001ffffffffff", "not even root may read")):
        (tmp_path / "status").write_text(f"Name:\tx\nCapEff:\t{held}\n")
        assert words in kcore._refused(PermissionError(13, "no"))


def test_a_page_that_makedumpfile_left_out_is_said_with_what_helps() -> None:
    """Other reasons are given as they are."""
    assert "-d 0 keeps it" in errors.unread(FaultError("could not read memory from kdump: Excluded page", 0x1000))
    assert errors.unread(FaultError("no such address", 0x1000)) == "no such address: 0x1000"


def test_a_missing_package_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what installs it."""
    assert errors.missing() is None
    monkeypatch.setattr(errors, "find_spec", lambda name: None)
    assert errors.missing() == "a view of a kernel needs drgn and numpy: pip install 'pinhold[inspect]'"
