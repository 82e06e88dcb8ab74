"""What a user gives a guest: modules, programs with their libraries, and the kind of swap."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.lab import initramfs
from pinhold.lab import target as vm
from pinhold.lab.errors import LabError
from pinhold.lab.luggage import Luggage
from pinhold.lab.store import Kernel

ELF = b"\x7fELF rest"


def test_a_program_is_packed_with_its_libraries() -> None:
    """The ELF file where it lies here, what it is linked with, and its command as it is called there."""
    program = os.path.realpath(sys.executable)
    luggage = Luggage(programs=(f"{program} 'one word' two",))
    files = luggage.files()
    assert files[program].startswith(b"\x7fELF")
    assert any("ld-linux" in path for path in files)
    assert luggage.commands() == [f"{program} 'one word' two"]


def test_packing_that_does_not_end_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback on a machine that is too busy, and the program that kept it waiting by its name."""

    def never(command: list[str], timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(initramfs.subprocess, "run", never)
    with pytest.raises(LabError, match="packing a guest: ldd did not end within 10 minutes"):
        initramfs.libraries(["/bin/sh"])


@pytest.mark.parametrize(("name", "content"), [("absent.ko", None), ("script.ko", b"#!/bin/sh\n")])
def test_what_cannot_be_taken_along_is_named(name: str, content: bytes | None, tmp_path: Path) -> None:
    """A file that is not there, or no ELF file, is a sentence with its name."""
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(LabError, match=name):
        Luggage(modules=(file,)).code()
    with pytest.raises(LabError, match=name):
        Luggage(programs=(str(file),)).files()


def test_a_module_is_a_usage_error_before_anything_boots(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 3, one line."""
    assert main(["run", "seed/151", "--on", "vm:6.1", "--module", "/absent.ko"]) == 3
    assert capsys.readouterr().err == "pinhold: --module /absent.ko: No such file or directory\n"


@pytest.mark.parametrize(("swap", "setting"), [("disk", "swap"), ("zram", "zram")])
def test_the_guest_is_told(swap: str, setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings have the kind of swap, the programs and the deadline; its modules end with the user's own."""
    module = tmp_path / "mine.ko"
    module.write_bytes(ELF)
    packed: list[tuple[dict[str, bytes], dict[str, object]]] = []

    def build(modules: dict[str, bytes], settings: dict[str, object], _files: object) -> bytes:
        packed.append((modules, settings))
        return b""

    monkeypatch.setattr(vm, "build", build)
    monkeypatch.setattr(vm.disk, "missing", lambda: None)
    kernel = Kernel("fake", Path("/dev/null"), "6.1.192", own=True)
    vm.VmTarget("fake", kernel, Luggage((module,), (), swap))._setup(gigantic=False)
    ((modules, settings),) = packed
    assert list(modules)[-1] == "mine"
    assert settings == {setting: vm.SWAP, "programs": [], "reply": 20.0, "deadline": vm.DEADLINE, "absent": {}}


def test_of_one_module_for_several_kernels_a_guest_takes_its_own(tmp_path: Path) -> None:
    """By what a module says of itself; where none is for its kernel, the sentence says for which they are."""
    paths = []
    for release in ("6.1.0-57", "6.12.117"):
        paths.append(tmp_path / f"mine-{release}.ko")
        paths[-1].write_bytes(ELF + f"\0name=mine\0vermagic={release} SMP \0".encode())
    luggage = Luggage(modules=tuple(paths))
    assert luggage.code("6.12.117") == {"mine": paths[1].read_bytes()}
    assert luggage.names() == ["module mine"]
    with pytest.raises(LabError, match=r"mine was built for 6\.1\.0-57, 6\.12\.117, and not for 7\.3\.4"):
        luggage.code("7.3.4")
    assert list(Luggage(modules=tuple(paths[:1])).code("7.3.4")) == ["mine"]


@pytest.mark.parametrize("option", [["--module", "mine.ko"], ["--swap", "zram"], ["--pin", "exec:true"]])
def test_what_is_for_guests_alone_needs_one(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing that was given is passed over in silence: without a target that takes it, it is a usage error."""
    assert main(["run", "seed/151", "--on", "model:6.2", *option]) == 3
    assert option[0] in capsys.readouterr().err


@pytest.mark.parametrize("command", ["'", "no-such-program x"])
def test_a_program_that_there_is_not_is_a_usage_error(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Bad quotes, and a name that no directory of PATH has: status 3, one line, before anything boots."""
    for subcommand, target in (("run", "vm:6.1"), ("step", "vm:6.1"), ("run", "live"), ("step", "live")):
        assert main([subcommand, "seed/151", "--on", target, "--pin", f"exec:{command}"]) == 3
        assert command in capsys.readouterr().err
