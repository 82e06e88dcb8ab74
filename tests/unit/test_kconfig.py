"""What a kernel was built without, and what is missing then."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest

from pinhold.lab.kconfig import configuration, embedded, suspected, unbootable
from pinhold.lab.store import Kernel
from pinhold.targets.live import kconfig
from pinhold.targets.live.kconfig import OPTIONS, lacks, parse, without

WHOLE = {name: str(option.least or "y") for name, option in OPTIONS.items()}
"""A kernel that has everything."""


def test_a_configuration_says_what_is_not_set() -> None:
    """y, m, numbers and texts as they stand, n for what is not set; the rest is not there."""
    text = '# a comment\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_N=32\nCONFIG_T="x y"\n# CONFIG_OFF is not set\n'
    assert parse(text) == {"A": "y", "B": "m", "N": "32", "T": '"x y"', "OFF": "n"}


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_is_missed_by_its_name(name: str) -> None:
    """A kernel that lacks one option lacks that one, with words for what is missing; absent is not set."""
    for config in ({**WHOLE, name: "n"}, {n: v for n, v in WHOLE.items() if n != name}):
        (found,) = lacks(config)
        assert found.name == name
        assert found.gives
        assert f"CONFIG_{name}" in (without(*OPTIONS, config=config) or "")
    assert without(name, config=WHOLE) is None


def test_what_nobody_tells_is_not_missing() -> None:
    """Without a configuration no option is put down as the reason for anything."""
    assert list(lacks({})) == []
    assert without("KSM", config={}) is None


def test_one_serial_port_is_too_few() -> None:
    """An option that is a number has its least value in the sentence."""
    words = without("SERIAL_8250_NR_UARTS", config={**WHOLE, "SERIAL_8250_NR_UARTS": "1"})
    assert words == "this kernel was built with CONFIG_SERIAL_8250_NR_UARTS=1, and 2 are needed"


def test_a_module_counts_once_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the kernel that runs an option that is m is there when its module is."""
    monkeypatch.setattr(kconfig, "running", lambda: {**WHOLE, "EXT4_FS": "m"})
    monkeypatch.setattr(kconfig.os.path, "exists", lambda path: path != "/sys/module/ext4")
    assert without("EXT4_FS") == "CONFIG_EXT4_FS is a module of this kernel that is not loaded: ext4"
    monkeypatch.setattr(kconfig.os.path, "exists", lambda path: True)
    assert without("EXT4_FS") is None


def bzimage(path: Path, config: str) -> Path:
    """An image with a compressed kernel in which a configuration lies, as CONFIG_IKCONFIG puts it."""
    kernel = b"\x7fELF" + b"code" + b"IKCFG_ST" + gzip.compress(config.encode()) + b"IKCFG_ED" + b"data"
    packed = gzip.compress(kernel) + struct.pack("<I", len(kernel))
    head = bytearray(5 * 512)
    head[0x1F1] = 4
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, 0, len(packed))
    path.write_bytes(bytes(head) + packed)
    return path


def test_an_image_tells_its_own_configuration(tmp_path: Path) -> None:
    """Without a .config beside it, from the image; an image that has none, and a file that is none, tell nothing."""
    image = bzimage(tmp_path / "bzImage", "CONFIG_KSM=y\n")
    assert configuration(Kernel("mine", image)) == {"KSM": "y"}
    other = tmp_path / "other"
    other.write_bytes(image.read_bytes().replace(b"HdrS", b"none"))
    assert embedded(other) == embedded(tmp_path / "absent") == ""


def test_a_kernel_that_does_not_come_up_is_told_what_may_be_off(tmp_path: Path) -> None:
    """By its last words, where its configuration is not known; where it is, it was looked at before the boot."""
    kernel = Kernel("mine", tmp_path / "absent")
    assert "CONFIG_BINFMT_SCRIPT" in (suspected(kernel, "Kernel panic: No working init found.") or "")
    said = "the guest said, where a result belongs: Traceback (most recent call last)"
    assert "CONFIG_SERIAL_8250_NR_UARTS" in (suspected(kernel, said) or "")
    assert suspected(kernel, "Kernel panic - not syncing: Fatal exception") is None
    known = Kernel("mine", bzimage(tmp_path / "bzImage", "CONFIG_KSM=y\n"))
    assert suspected(known, "No working init found") is None


@pytest.mark.parametrize("name", ["BINFMT_SCRIPT", "SERIAL_8250_NR_UARTS"])
def test_a_kernel_that_cannot_be_a_guest_is_not_booted(tmp_path: Path, name: str) -> None:
    """The option that is off is told, with what the guest needs it for; what is missing besides does not count."""
    file = tmp_path / "config"
    file.write_text("".join(f"CONFIG_{n}={v}\n" for n, v in WHOLE.items() if n not in (name, "KSM")))
    kernel = Kernel("mine", tmp_path / "bzImage", config=file)
    assert f"CONFIG_{name}" in (unbootable(kernel) or "")
    assert OPTIONS[name].gives in (unbootable(kernel) or "")
    file.write_text("".join(f"CONFIG_{n}={v}\n" for n, v in WHOLE.items() if n != "KSM"))
    assert unbootable(kernel) is None
