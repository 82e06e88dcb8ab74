"""`pinhold doctor vm:PATH`: what the file is, whether a guest comes up, and which tests it will skip."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.commands import kerneldoctor
from pinhold.lab.image import foreign
from pinhold.scenario.parse import parse
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.suites import SUITES, suite
from pinhold.system.foreseen import OPTIONS_OF, by_configuration, by_guest, reasons
from pinhold.targets.base import Unavailable
from pinhold.targets.live.kconfig import OPTIONS

WHOLE = {name: str(option.least or "y") for name, option in OPTIONS.items()}
"""A kernel that has everything."""

NEW = "6.12.117"
GUEST = {
    "swap_kib": "262140",
    "files": "ext4",
    "thp": "madvise",
    "huge_zero_page": "y",
    "hugetlb_2M": "16 free of 16",
    "hugetlb_1G": "4 free of 4",
    "MEM_SOFT_DIRTY": "y",
}


def bzimage(size: int = 0, flags: int = 1, version: str = "6.12.117-mine (me) #1") -> bytes:
    """An image of protocol 2.15, of one sector and 16 bytes for each of `size`."""
    head = bytearray(2 * 512 + 0x400)
    head[0x1F1] = 1
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<I", head, 0x1F4, size)
    struct.pack_into("<H", head, 0x206, 0x20F)
    struct.pack_into("<H", head, 0x20E, 0x100)
    struct.pack_into("<H", head, 0x236, flags)
    head[0x300 : 0x300 + len(version)] = version.encode()
    return bytes(head)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"#!/bin/sh\necho hello\n", "is a text"),
        (b"\x7fELF\2\1\1\0" + bytes(4096), "is an ELF file, as vmlinux is"),
        (b"MZ".ljust(0x38, b"\0") + b"ARMd" + bytes(4096), "is a kernel for arm64"),
        (gzip.compress(b"Image"), "is compressed by gzip"),
        (b"\0" * 4096, "is no bzImage"),
        (bzimage(flags=0), "is a kernel for 32 bits"),
        (bzimage(size=1 << 16), "is cut off: it has 2048 bytes, and its header tells of 1049600"),
        (bzimage()[:0x210], "is cut off: it has 528 bytes"),
    ],
    ids=["empty", "text", "vmlinux", "arm64", "gzip", "zeros", "32-bit", "cut-off", "header-alone"],
)
def test_what_is_no_whole_image_gets_a_sentence(
    content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it is instead, by its first bytes; doctor and run say the same, with status 3."""
    file = tmp_path / "image"
    file.write_bytes(content)
    for command in (["doctor", f"vm:{file}"], ["run", "seed/1", "--on", f"vm:{file}"]):
        assert main(command) == 3
        out, err = capsys.readouterr()
        assert f"'{file}' {words}" in err and out == ""


def test_a_whole_image_is_none_of_these() -> None:
    """Neither one that tells its size nor one that does not."""
    assert foreign(bzimage(size=64), 2048) is None
    assert foreign(bzimage(), 2048) is None


@pytest.mark.parametrize("name", ["model:6.1", "vm:", "vmlinux"])
def test_only_kernels_for_guests_are_looked_at(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Another target is a mistake on the command line."""
    assert main(["doctor", name]) == 3
    assert f"{name!r} is neither" in capsys.readouterr().err


def skipped(config: dict[str, str], release: str = NEW, modules: bool = True) -> dict[str, set[int]]:
    """Which tests of which suite a kernel will skip by its configuration, where pinprobe is there."""
    lacks = by_configuration(config, release, modules, pinprobe=True)
    return {
        name: {test.number for test in suite(name).tests if reasons(test.scenario, lacks, release)} for name in SUITES
    }


def test_a_kernel_that_has_everything_skips_nothing() -> None:
    """Nor does one whose configuration nobody knows, as far as can be told."""
    assert not any(skipped(WHOLE).values())
    assert not any(skipped({}).values())


@pytest.mark.parametrize(
    ("option", "scenario"),
    [
        ("SWAP", "map P x anon\nwrite P x 1\nswapout P x"),
        ("VIRTIO_BLK", "map P x anon\nwrite P x 1\nswapout P x"),
        ("EXT4_FS", "map P x tmpfile private\nread P x"),
        ("EXT4_FS", "map P x anon\ndirect write P x as c"),
        ("TRANSPARENT_HUGEPAGE", "map P x thp\nwrite P x 1"),
        ("HUGETLBFS", "map P x hugetlb 2M\nwrite P x 1"),
        ("KSM", "map P x anon\nmadvise P x mergeable"),
        ("MEM_SOFT_DIRTY", "map P x anon\nwrite P x 1\nclear_softdirty P"),
        ("USERFAULTFD", "map P x memfd\nuffdio_continue P x"),
        ("ADVISE_SYSCALLS", "map P x anon\nmadvise P x dontneed"),
        ("CROSS_MEMORY_ATTACH", "map P x anon\nprocess_vm_readv P x as c"),
        ("IO_URING", "map P x anon\nio_uring P x as p"),
    ],
)
def test_each_option_that_is_off_skips_what_needs_it(option: str, scenario: str) -> None:
    """By its name; with it there is no reason, and as a module it is there where the modules are."""
    test = parse(f"scenario t\n{scenario}\n")
    lacks = by_configuration({**WHOLE, option: "n"}, NEW, modules=True, pinprobe=False)
    assert any(f"without CONFIG_{option}" in why for why in reasons(test, lacks, NEW))
    assert reasons(test, by_configuration(WHOLE, NEW, modules=True, pinprobe=False), NEW) == []
    module = {**WHOLE, option: "m"}
    assert reasons(test, by_configuration(module, NEW, modules=True, pinprobe=False), NEW) == []
    alone = reasons(test, by_configuration(module, NEW, modules=False, pinprobe=False), NEW)
    assert any(f"CONFIG_{option} is a module" in why for why in alone)


def test_a_pin_is_skipped_where_nothing_takes_it() -> None:
    """Without GUP_TEST, VFIO takes what is not GUP-fast; without both and pinprobe nothing does, and both are named."""
    slow, fast = (parse(f"scenario t\nmap P x anon\npin P x as p longterm{word}\n") for word in ("", " fast"))
    lacks = by_configuration({**WHOLE, "GUP_TEST": "n"}, NEW, modules=True, pinprobe=False)
    assert reasons(slow, lacks, NEW) == []
    assert "CONFIG_GUP_TEST" in reasons(fast, lacks, NEW)[0]
    lacks = by_configuration({**WHOLE, "GUP_TEST": "n", "VFIO_PCI": "n"}, NEW, modules=True, pinprobe=False)
    assert all(f"CONFIG_{name}" in reasons(slow, lacks, NEW)[0] for name in ("GUP_TEST", "VFIO_PCI"))


def test_an_old_gup_test_is_believed_when_a_guest_says_so() -> None:
    """Before 6.2 it takes no pins that last, unless somebody has put that in: the guest tells."""
    fast = parse("scenario t\nmap P x anon\npin P x as p longterm fast\n")
    lacks = by_configuration(WHOLE, "6.1.192", modules=True, pinprobe=False)
    assert "before 6.2" in reasons(fast, lacks, "6.1.192")[0]
    info = TargetInfo("vm:x", "6.1.192-mine", "6.1.192", GUEST, {"gup_test": "available"})
    assert reasons(fast, by_guest(info, lacks), "6.1.192") == []


UNASKED = {"KSM", "userfaultfd()", "vfio"}
"""What no suite asks for, or what something else gives as well."""


@pytest.mark.parametrize("thing", OPTIONS_OF)
def test_each_thing_that_can_be_missing_is_asked_for(thing: str) -> None:
    """A test of a suite needs it; what none needs is written down above."""
    lacks = {thing: "gone", "pinprobe": "gone too", "pinprobe_short": "gone too"}
    found = [why for name in SUITES for test in suite(name).tests for why in reasons(test.scenario, lacks, NEW)]
    assert any("gone" in why.replace("gone too", "") for why in found) == (thing not in UNASKED)


def test_a_guest_that_has_none_is_believed() -> None:
    """Whatever its configuration says; in the words of the configuration where that tells why."""
    test = parse("scenario t\nmap P x anon\nwrite P x 1\nswapout P x\n")
    info = TargetInfo("vm:x", NEW, NEW, {**GUEST, "swap_kib": "0"}, {})
    assert reasons(test, by_guest(info, {}), NEW) == ["needs swap: this guest has none (swap_kib: 0)"]
    lacks = by_configuration({**WHOLE, "VIRTIO_BLK": "n"}, NEW, modules=True, pinprobe=True)
    assert "CONFIG_VIRTIO_BLK" in reasons(test, by_guest(info, lacks), NEW)[0]
    assert reasons(test, by_guest(TargetInfo("vm:x", NEW, NEW, GUEST, {}), lacks), NEW) == []


def test_an_advice_that_a_release_has_not_is_a_reason() -> None:
    """MADV_COLLAPSE came with 6.1."""
    test = parse("scenario t\nmap P x anon\nmadvise P x collapse\n")
    assert any("MADV_COLLAPSE: since 6.1" in why for why in reasons(test, {}, "5.10.262"))
    assert reasons(test, {}, "6.1.192") == []


class Guest:
    """Stands in for a kernel that is booted."""

    def __init__(self, name: str, kernel: object) -> None:
        self.name = name

    def info(self) -> TargetInfo:
        """What it says of itself."""
        if "dies" in self.name:
            raise Unavailable("the guest ended; the end of its console: Kernel panic - not syncing: No working init")
        return TargetInfo("vm:x", "6.12.117-mine", NEW, GUEST, {"gup_test": "available", "vfio": "no edu device here"})

    def close(self) -> None:
        """Nothing is left."""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build tree with a configuration beside its image."""
    monkeypatch.setattr(kerneldoctor, "VmTarget", Guest)
    image = tmp_path / "dies" / "arch/x86/boot/bzImage"
    image.parent.mkdir(parents=True)
    image.write_bytes(bzimage())
    (tmp_path / "dies/Makefile").write_text("")
    (tmp_path / "dies/.config").write_text("".join(f"CONFIG_{n}={v}\n" for n, v in WHOLE.items() if n != "KSM"))
    return tmp_path


def test_a_kernel_that_comes_up(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its name, what of the options is off, that it boots, and what each suite will skip; status 0."""
    (tree / "dies").rename(tree / "lives")
    assert main(["doctor", f"vm:{tree}/lives/arch/x86/boot/bzImage"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "6.12.117-mine yes config" in out
    assert "1 of the options that guests can use is off: no CONFIG_KSM: the step ksm" in out
    assert "yes boots a guest comes up: Linux 6.12.117-mine" in out
    assert "yes seed all 162 tests can be run" in out
    assert "no pins 22 of 44 tests will be skipped: 23-33: needs a read-only short-term but held pin" in out


def test_a_kernel_that_dies(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its own last words, and status 4."""
    assert main(["doctor", f"vm:{tree}/dies/arch/x86/boot/bzImage"]) == 4
    out = " ".join(capsys.readouterr().out.split())
    assert "no boots the guest ended; the end of its console: Kernel panic - not syncing: No working init" in out


def test_what_a_release_refuses_is_foreseen() -> None:
    """io_uring takes no pages of ordinary files before 6.12; nothing is missing there, and the model says no."""
    told = {}
    for release in ("6.1.192", "6.12.117"):
        model = kerneldoctor.model_for(release)
        tests = suite("stock").tests[220:]
        told[release] = [t.number for t in tests if kerneldoctor.foreseen(t.scenario, {}, release, model)]
    assert told == {"6.1.192": [227, 228, 233, 234, 239, 240], "6.12.117": []}
    assert kerneldoctor.model_for("4.4") is None


def test_direct_io_needs_the_disk_of_an_ordinary_file() -> None:
    """Also where the mechanism itself is there, and the memory is none of a file's."""
    scenario = suite("stock").test(177).scenario
    assert reasons(scenario, {"an ordinary file": "no disk"}, "6.12") == ["needs an ordinary file: no disk"]
    assert reasons(scenario, {}, "6.12") == []
