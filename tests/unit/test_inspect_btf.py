"""The reader of BTF: what it finds in one made by hand, in a compiler's, and in damaged ones."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from btf_blob import Blob
from pinhold.inspect.btf import Btf, BtfError, Kind

drgn = pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")


def blob() -> Blob:
    """A structure with a bit field, a pointer to itself, an array, an unnamed union, and an enumeration."""
    made = Blob()
    number = made.int_("int", 4)
    itself = number + 1
    made.add(Kind.PTR, "", number + 2, [])
    made.struct(
        "page", 32, [("flags", number, 3 << 24), ("rest", number, 29 << 24 | 3), ("next", itself, 64)], flag=True
    )
    four = made.add(Kind.ARRAY, "", 0, [number, number, 4])
    union = made.add(Kind.UNION, "", 16, [made.name("numbers"), four, 0], 1)
    made.struct("holder", 24, [("", union, 0), ("of", itself, 128)])
    made.add(Kind.ENUM, "sign", 4, [made.name("minus"), 0xFFFFFFFF, made.name("seven"), 7], 2, flag=True)
    made.add(Kind.ENUM64, "wide", 8, [made.name("far"), 1, 2], 1)
    made.add(Kind.FWD, "elsewhere", 0, [])
    made.add(Kind.PTR, "", number + 8, [])
    made.struct("refers", 8, [("to", number + 9, 0)])
    return made


def program(*btfs: Btf) -> drgn.Program:
    """A program that has the types of these: the first, and modules' on top of it."""
    from pinhold.inspect.memory.source import X86_64
    from pinhold.inspect.types import TypesOfBtf

    made = drgn.Program(X86_64)
    first: TypesOfBtf | None = None
    for number, btf in enumerate(btfs):
        types = TypesOfBtf(made, btf, first)
        types.register(f"btf {number}", -1)
        first = first or types
    return made


def test_a_type_is_found_by_its_whole_name() -> None:
    """By name and kind; not by the end of a longer one, nor as another kind."""
    made = blob()
    made.struct("homepage", 4, [])
    btf = Btf(made.data())
    assert [btf.record(number).name for number in btf.find("page", {Kind.STRUCT})] == ["page"]
    assert list(btf.find("page", {Kind.UNION})) == list(btf.find("age", {Kind.STRUCT})) == []
    assert list(btf.find("", {Kind.UNION})) == list(btf.find("page\0", {Kind.STRUCT})) == []


def test_drgn_has_the_types() -> None:
    """Offsets, bit fields, unnamed members, arrays, a structure that points to itself; signed and wide enumerators."""
    made = program(Btf(blob().data()))
    page = made.type("struct page")
    assert [(member.name, member.bit_offset, member.bit_field_size) for member in page.members] == [
        ("flags", 0, 3), ("rest", 3, 29), ("next", 64, None),
    ]  # fmt: skip
    assert page.members[2].type.type.tag == "page"
    holder = made.type("struct holder")
    assert drgn.offsetof(holder, "of") == 16
    assert holder.member("numbers").type.length == 4
    assert {each.name: each.value for each in made.type("enum sign").enumerators} == {"minus": -1, "seven": 7}
    assert made.type("enum wide").enumerators[0].value == 2 << 32 | 1


def test_what_is_only_declared_is_looked_for_in_the_other_btfs() -> None:
    """A member that points to it has the whole type, once a module's BTF defines it."""
    base = Btf(blob().data())
    split = Blob(first=base.end, strings_from=base.end_of_strings)
    split.struct("elsewhere", 12, [("inside", 1, 32)])
    refers = program(base).type("struct refers").members[0].type.type
    assert not refers.is_complete()
    refers = program(base, Btf(split.data(), base)).type("struct refers").members[0].type.type
    assert refers.is_complete() and drgn.offsetof(refers, "inside") == 4


def test_a_split_btf_goes_on_where_its_base_ends() -> None:
    """Its ids and its names, of which it uses those of the base, too."""
    base = Btf(blob().data())
    split = Blob(first=base.end, strings_from=base.end_of_strings)
    number = split.struct("module", 4, [("own", 1, 0)])
    btf = Btf(split.data(), base)
    assert number == base.end and btf.record(number).name == "module"
    assert [member.name for member in btf.members(btf.record(number))] == ["own"]
    assert btf.record(1).name == "int"
    assert [btf.record(found).name for found in btf.find("page", {Kind.STRUCT})] == ["page"]


@pytest.mark.parametrize(
    ("damaged", "words"),
    [
        (b"", "too short"),
        (b"\0" * 24, "no BTF of version 1"),
        (blob().data()[:-40], "cut off"),
        (
            blob().data()[:24].replace(b"\x18\0\0\0", b"\x19\0\0\0", 1) + blob().data()[24:],
            "cut off|unknown kind|middle",
        ),
    ],
    ids=["empty", "zeros", "shorter", "moved"],
)
def test_what_is_no_btf_is_said(damaged: bytes, words: str) -> None:
    """In a sentence, before anything of it is used."""
    with pytest.raises(BtfError, match=words):
        Btf(damaged)


def test_a_huge_one_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dump that claims one costs no memory."""
    monkeypatch.setattr("pinhold.inspect.btf.MOST", 100)
    with pytest.raises(BtfError, match="is not read"):
        Btf(bytes(101))


def test_types_that_are_made_of_themselves_are_refused() -> None:
    """A typedef of itself, and a chain of constants longer than any: an error, and no endless recursion."""
    made = Blob()
    made.add(Kind.TYPEDEF, "circle", 1, [])
    first = made.first + len(made.types)
    for number in range(2000):
        made.add(Kind.CONST, "", first + number + 1, [])
    made.add(Kind.TYPEDEF, "chain", first, [])
    made.types[-2] = struct.pack("<3I", 0, Kind.CONST << 24, 1)
    types = program(Btf(made.data()))
    for name in ("circle", "chain"):
        with pytest.raises(BtfError, match="made of itself"):
            types.type(name)


def everything(data: bytes) -> None:
    """Look at all that there is, as deep as members go."""
    btf = Btf(data)
    types = program(btf)
    for number in range(1, btf.end):
        record = btf.record(number)
        for kind, word in ((Kind.STRUCT, "struct "), (Kind.UNION, "union "), (Kind.ENUM, "enum "), (Kind.TYPEDEF, "")):
            if record.kind == kind and record.name.isidentifier():
                try:
                    found = types.type(word + record.name)
                except (LookupError, SyntaxError):  # a name that C cannot have
                    continue
                if kind in (Kind.STRUCT, Kind.UNION):
                    str([member.type for member in found.members or ()])


def test_damage_is_an_error_and_nothing_else() -> None:
    """Three thousand times some bytes of a good one are changed: it is read, or refused in a sentence; some are."""
    good, dice, refused = blob().data(), random.Random(14), 0
    everything(good)
    for _ in range(3000):
        damaged = bytearray(good)
        for _ in range(dice.randint(1, 4)):
            damaged[dice.randrange(len(damaged))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
        try:
            everything(bytes(damaged[: dice.choice((len(damaged), dice.randrange(len(damaged))))]))
        except BtfError:
            refused += 1
    assert 300 < refused < 3000


PROGRAM = """
enum sign { MINUS = -1, SEVEN = 7 };
typedef unsigned long word;
struct plain { char letter; short number; int same; long wide; float part; double whole; _Bool yes; };
struct fields { unsigned a : 3, b : 7; int c : 22; word d : 40, e : 24; };
struct nested { struct plain in[3]; union { word as_word; unsigned char bytes[8]; struct { int low, high; }; }; };
struct points { const struct points *next; volatile int *restrict number; int (*call)(struct nested *, word, ...); };
struct matrix { int row[4], (*rows)[5]; enum sign sign; };
struct plain plain; struct fields fields; struct nested nested; struct points points; struct matrix matrix;
int main(void) { return plain.same; }
"""
"""What a compiler makes both of: DWARF, which drgn reads itself, and BTF.  No arrays of arrays, which gcc 12 writes
inside out, and no wide enumerations, which it leaves out."""


def section(path: Path, wanted: bytes) -> bytes:
    """The bytes of a section of an ELF file."""
    data = path.read_bytes()
    (start,) = struct.unpack_from("<Q", data, 40)
    count, names = struct.unpack_from("<HH", data, 60)
    found = [struct.unpack_from("<IIQQQQ", data, start + 64 * number) for number in range(count)]
    for name, _, _, _, at, size in found:
        if data[found[names][4] + name :].startswith(wanted + b"\0"):
            return data[at : at + size]
    raise LookupError(wanted)


def shape(type_: drgn.Type, deep: int = 6) -> object:
    """All that a type says, so that two can be compared."""
    kind = type_.kind.name
    if deep == 0 or kind in ("VOID", "FUNCTION"):
        return kind
    if kind in ("STRUCT", "UNION"):
        return [
            kind, type_.tag, type_.size,
            [(each.name, each.bit_offset, each.bit_field_size, shape(each.type, deep - 1)) for each in type_.members],
        ]  # fmt: skip
    if kind == "ENUM":
        # gcc 12 does not say which enumerations are signed, as pahole did not before 1.24.
        return [kind, type_.tag, [(each.name, each.value & 0xFFFFFFFF) for each in type_.enumerators]]
    if kind in ("POINTER", "ARRAY", "TYPEDEF"):
        length = type_.length if kind == "ARRAY" else type_.size if kind == "POINTER" else type_.name
        return [kind, length, type_.qualifiers.value, shape(type_.type, deep - 1)]
    return [kind, type_.size, type_.qualifiers.value, getattr(type_, "is_signed", None)]


def test_types_are_those_of_dwarf(tmp_path: Path) -> None:
    """A C file with both: the same offsets, sizes, bit fields, arrays, enumerators, also in unnamed members."""
    if not shutil.which("gcc"):
        pytest.skip("needs gcc: apt-get install gcc libc6-dev")
    source, binary = tmp_path / "a.c", tmp_path / "a"
    source.write_text(PROGRAM)
    done = subprocess.run(["gcc", "-g", "-gbtf", source, "-o", binary], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs a gcc that writes BTF, 12 or newer: {done.stderr.splitlines()[0]}")
    dwarf = drgn.Program(drgn.host_platform)
    found = dwarf.extra_module(str(binary), create=True)
    (found[0] if isinstance(found, tuple) else found).try_file(binary)
    btf = program(Btf(section(binary, b".BTF")))
    for name in ("plain", "fields", "nested", "points", "matrix"):
        assert shape(btf.type(f"struct {name}")) == shape(dwarf.type(f"struct {name}")), name
