"""Dumps as kdump writes them, by makedumpfile, and debug symbols that are installed: what is pinned is told as it is
without."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from held import Held, holding
from lab_kernels import nightly
from pinhold.lab.store import Kernel

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")

from drgn import ModuleFileStatus

from pinhold.cli import main
from pinhold.inspect.memory import ram
from pinhold.inspect.memory.qmp import Monitor
from pinhold.inspect.pinned import Look
from pinhold.inspect.records import Selection, Told
from pinhold.inspect.view import View

pytestmark = pytest.mark.slow

FORMS = {"zlib": ("-c", "-d", "0"), "lzo": ("-l", "-d", "0"), "filtered": ("-c", "-d", "31"), "ELF": ("-E", "-d", "31")}
"""What makedumpfile is told; -d 31 leaves out all that a crash needs not, pages of processes too."""

TOO_NEW = "The kernel version is not supported"
"""What makedumpfile says of a kernel that is newer than it: what it then takes for pages of processes may be others."""

DEBUG = Path("/usr/lib/debug")


def look(held: Held, debug: Path = DEBUG) -> tuple[Told, ModuleFileStatus]:
    """What is pinned there, and whether debug symbols were found below that directory."""
    source = ram.source("its memory", held.ram)
    source.program.debug_info_options.directories = (str(debug),)
    with View(source) as view:
        return Look(view).look(Selection()), view.program.main_module().debug_file_status


def folios(told: Told) -> Any:
    """As JSON has them."""
    return json.loads(json.dumps([asdict(folio) for folio in told.folios]))


def as_kdump(path: Path) -> None:
    """QEMU before 8 has section headers first, which makedumpfile takes for program headers: it reads these where a
    kernel's /proc/vmcore has them."""
    with open(path, "r+b") as file:
        head = bytearray(file.read(4096))
        (table,), (count,) = struct.unpack_from("<Q", head, 32), struct.unpack_from("<H", head, 56)
        head[64 : 64 + 56 * count] = head[table : table + 56 * count]
        struct.pack_into("<QQ", head, 32, 64, 0)
        struct.pack_into("<6H", head, 52, 64, 56, count, 64, 0, 0)
        file.seek(0)
        file.write(head)


@pytest.mark.nightly
@pytest.mark.parametrize("kernel", ["6.1", "6.12"], indirect=True)
def test_a_dump_by_makedumpfile(kernel: Kernel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Compressed in two ways, without the pages of processes, and as ELF: each tells every holder and state that the
    guest's memory shows, or, where makedumpfile is too old for this kernel, what it has left out too much."""
    if (program := shutil.which("makedumpfile")) is None:
        pytest.skip("needs makedumpfile: apt-get install makedumpfile")
    whole = tmp_path / "vmcore"
    with holding(kernel, extra=("-device", "vmcoreinfo")) as held:
        held.do("holders")
        held.do("only_read")
        held.do("written")
        before, _ = look(held)
        monitor = Monitor(held.qmp, seconds=600)
        try:
            monitor("dump-guest-memory", paging=False, protocol=f"file:{whole}", format="elf")
        finally:
            monitor.close()
    whole.chmod(0o600)
    as_kdump(whole)
    assert len(before.folios) > 20
    for form, options in FORMS.items():
        dump = tmp_path / form
        done = subprocess.run([program, *options, whole, dump], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        status = main(["pins", "--on", f"vmcore:{dump}", "--format", "json"])
        out, err = capsys.readouterr()
        if status == 4 and TOO_NEW in done.stdout + done.stderr:
            assert "makedumpfile has left it out (-d); a newer one, which knows this kernel, or -d 0 keeps it" in err
            assert "-d 31" in " ".join(options)
        else:
            assert status == 0 and json.loads(out)["folios"] == folios(before), form
        dump.unlink()


@pytest.mark.nightly
@pytest.mark.parametrize("kernel", ["6.1", *nightly("5.10", "6.12", "6.18", "newest")], indirect=True)
def test_debug_symbols_that_are_installed(kernel: Kernel, tmp_path: Path) -> None:
    """With DWARF of the kernel below /usr/lib/debug the same is told as by its BTF."""
    release = kernel.image.name.removeprefix("vmlinuz-")
    if not (DEBUG / "boot" / f"vmlinux-{release}").exists():
        pytest.skip(f"needs the debug symbols of this kernel: apt-get install linux-image-{release}-dbg")
    with holding(kernel) as held:
        held.do("holders")
        without, absent = look(held, tmp_path)
        told, there = look(held)
    assert (absent, there) == (ModuleFileStatus.WANT, ModuleFileStatus.HAVE)
    assert len(told.folios) > 20 and told == without
