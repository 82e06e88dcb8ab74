"""Symbols: found by the look of their tables, kept by build id, and lists and trees that have an end."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")

import drgn

from pinhold.inspect import kallsyms, symbols, vmcoreinfo
from pinhold.inspect.errors import CannotLook
from pinhold.inspect.lists import Endless, entries_of
from pinhold.inspect.memory.source import X86_64

BASE = 0xFFFF_FFFF_8100_0000


def tables(names: list[str], shift: int = 0) -> bytes:
    """As scripts/kallsyms.c of 5.10 writes them: every character that is no other token stands for itself.

    The first symbol is of a CPU's area, and absolute; the others lie 16 bytes apart.
    """
    tokens = [bytes((code,)) if 33 <= code < 127 else b"\x01%d" % code for code in range(256)]
    tokens[200], tokens[201] = b"io_", b"_fops"
    table, index = b"", []
    for token in tokens:
        index.append(len(table))
        table += token + b"\0"
    packed, markers = b"", []
    for number, name in enumerate(names):
        if number % 256 == 0:
            markers.append(len(packed))
        text = ("d" + name).encode().replace(b"io_", b"\xc8").replace(b"_fops", b"\xc9")
        packed += bytes((len(text),)) + text
    offsets = [0x500, *(-1 - 16 * number for number in range(1, len(names)))]
    made = b""
    for part in (
        struct.pack(f"<{len(names)}i", *offsets), struct.pack("<Q", BASE), struct.pack("<Q", len(names)), packed,
        struct.pack(f"<{len(markers)}I", *markers), table, struct.pack("<256H", *index),
    ):  # fmt: skip
        made += part + bytes(-len(part) % 8)
    return bytes(4096 + shift) + made + bytes(64)


NAMES = ["cpu_area", *(f"some_symbol_{number}" for number in range(700)), "io_uring_fops", "init_task"]


@pytest.mark.parametrize("count", [2, 255, 256, 257, 258, 512, 513, 701, 703])
def test_tables_are_found_by_their_look(count: int) -> None:
    """However many symbols there are; relative and absolute addresses."""
    names = NAMES[:1] + NAMES[-count + 1 :]
    found = kallsyms.find(tables(names), {"cpu_area", "io_uring_fops", "init_task", "absent"})
    expected = {"cpu_area": 0x500, "init_task": BASE + 16 * (len(names) - 1)}
    assert found == expected | ({"io_uring_fops": BASE + 16 * (len(names) - 2)} if count > 2 else {})


def test_what_looks_like_them_is_passed_over() -> None:
    """A token table alone, digits alone, a damaged table before the real one."""
    digits = b"".join(b"%d\0" % digit for digit in range(10))
    assert kallsyms.find(digits * 20, {"init_task"}) is None
    assert kallsyms.find(bytes(100), {"init_task"}) is None
    good = tables(NAMES)
    damaged = bytearray(good)
    damaged[-64 - 100] ^= 0xFF  # of the index of the tokens
    assert kallsyms.find(bytes(damaged), {"init_task"}) is None
    assert kallsyms.find(bytes(damaged) + good, {"init_task"}) == {"init_task": BASE + 16 * 702}


def test_noise_is_no_error() -> None:
    """Any byte changed: something is found or nothing, and nothing fails."""
    dice, good = random.Random(14), tables(NAMES[:300])
    for _ in range(300):
        damaged = bytearray(good)
        for _ in range(dice.randint(1, 8)):
            damaged[dice.randrange(4096, len(damaged))] = dice.randrange(256)
        kallsyms.find(bytes(damaged), {"init_task"})


def info(stext: int = BASE, build_id: str = "0123456789abcdef") -> vmcoreinfo.Vmcoreinfo:
    return vmcoreinfo.parse(f"OSRELEASE=5.10\nBUILD-ID={build_id}\nSYMBOL(_stext)={stext:x}\n".encode())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pinhold" / "symbols"


def kernel(memory: bytes, at: int) -> Any:
    """A program that has this memory, and nothing beside it."""

    def read(address: int, count: int) -> bytes:
        if not at <= address <= address + count <= at + len(memory):
            raise drgn.FaultError("not there", address)
        return memory[address - at : address - at + count]

    return SimpleNamespace(read=read)


def test_symbols_are_kept_relative_to_the_kernels_text(cache: Path) -> None:
    """The next boot has them elsewhere, and they are not looked for again; those of another build are."""
    memory = tables(NAMES).ljust(2 << 20, b"\0")
    first = symbols.load(kernel(memory, BASE), info(), keep=True)
    assert first.address("init_task") == BASE + 16 * 702
    assert first.name(BASE + 16 * 701) == "io_uring_fops"
    assert first.address("some_symbol_3") is first.name(BASE) is None
    moved = symbols.load(kernel(b"", 0), info(BASE + 0x40_0000), keep=True)
    assert moved.address("init_task") == BASE + 0x40_0000 + 16 * 702
    with pytest.raises(CannotLook, match="were not found"):
        symbols.load(kernel(b"", 0), info(build_id="another"), keep=True)


def test_symbols_of_what_somebody_sent_are_not_kept(cache: Path) -> None:
    """A dump could claim the build id of this user's own kernel."""
    memory = tables(NAMES).ljust(2 << 20, b"\0")
    symbols.load(kernel(memory, BASE), info(), keep=False)
    assert not cache.exists()


@pytest.mark.parametrize("content", ["", "[]", '{"init_task": "x"}', "\0"])
def test_a_damaged_cache_is_done_without(cache: Path, content: str) -> None:
    """The symbols are looked for as if there were none."""
    memory = tables(NAMES).ljust(2 << 20, b"\0")
    symbols.load(kernel(memory, BASE), info(), keep=True)
    (kept,) = cache.iterdir()
    kept.write_text(content)
    assert symbols.load(kernel(memory, BASE), info(), keep=False).address("init_task") == BASE + 16 * 702


@pytest.mark.parametrize("build_id", ["", "../../etc", "a/b"])
def test_a_build_id_that_is_none_names_no_file(cache: Path, build_id: str) -> None:
    """A hostile one could name any."""
    symbols.load(kernel(tables(NAMES).ljust(2 << 20, b"\0"), BASE), info(build_id=build_id), keep=True)
    assert not cache.exists()


def lists(*nexts: int) -> drgn.Object:
    """The head of a list in memory: cells of 16 bytes, each of which names the next by its number."""
    program = drgn.Program(X86_64)
    memory = b"".join(struct.pack("<QQ", 0x1000 + 16 * there, 0) for there in nexts)
    program.add_memory_segment(
        0x1000, len(memory), lambda address, count, offset, _: memory[offset : offset + count], False
    )
    number = program.int_type("unsigned long", 8, False)
    head: drgn.Type
    head = program.struct_type(
        "list_head", 16,
        (drgn.TypeMember(lambda: program.pointer_type(head), "next", 0), drgn.TypeMember(number, "prev", 64)),
    )  # fmt: skip
    program.register_type_finder(
        "t", lambda p, kinds, name, file: head if name == "list_head" else None, enable_index=0
    )
    return drgn.Object(program, head, address=0x1000).address_of_()


def test_a_list_comes_to_its_end() -> None:
    """Each member once; none of an empty one."""
    found = entries_of(lists(2, 0, 1), "struct list_head", "prev")
    assert [each.value_() for each in found] == [0x1000 + 32 - 8, 0x1000 + 16 - 8]
    assert list(entries_of(lists(0), "struct list_head", "prev")) == []


def test_a_list_that_goes_in_a_circle_is_said() -> None:
    """One that never comes back to its head."""
    with pytest.raises(Endless, match="goes in a circle"):
        list(entries_of(lists(1, 2, 1), "struct list_head", "prev"))
