"""Building a kernel module against a kernel's build tree, or against the headers that Debian packages of it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from pinhold import trust

_SECONDS = 300
_ELF = b"\x7fELF"


class BuildFailed(Exception):
    """The module cannot be built; the message is the compiler's first complaint."""


def headers_tree(root: Path, flavour: str, newer_libc: Callable[[], Path]) -> Path:
    """The build tree of the headers' packages that were unpacked in `root`, made to work there.

    newer_libc: unpacks a newer C library and says where; asked for only where the kernel's build tools, which come as
    binaries, need one.  Raises BuildFailed.
    """
    headers = [path for path in root.glob(f"usr/src/linux-headers-*-{flavour}") if (path / "Makefile").is_file()]
    if len(headers) != 1:
        raise BuildFailed("the headers' packages do not have the layout that this pinhold knows")
    _relocate(headers[0], root)
    _wrap(root, newer_libc)
    return headers[0]


def make(tree: Path, out: Path) -> Path:
    """The module whose sources and Kbuild are in the directory `out`, built in there.  Raises BuildFailed."""
    # The compiler that built the kernel is another one than this machine's: no plugin of it, no BTF by its pahole.
    options = ["CC=gcc", "CONFIG_DEBUG_INFO_BTF_MODULES=", "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=", "W="]
    try:
        options[0] = f"CC={trust.program('gcc')}"
        command = [trust.program("make"), "-C", str(tree), f"M={out}", *options, "modules"]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            env=trust.environment(LC_ALL="C", TMPDIR=str(out)),
            check=False,
        )
    except trust.NoProgram as reason:
        raise BuildFailed(f"building it needs {reason}") from None
    except subprocess.TimeoutExpired:
        raise BuildFailed(f"make did not end within {_SECONDS} s") from None
    modules = sorted(out.glob("*.ko"))
    if done.returncode or not modules:
        raise BuildFailed(_complaint(done.stdout + done.stderr))
    if len(modules) > 1:
        raise BuildFailed(
            f"it makes {len(modules)} modules, where one is expected: {', '.join(m.name for m in modules)}"
        )
    return modules[0]


def _complaint(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"error:|Error |not found|No rule", line)]
    return re.sub(r"(?:/[\w.+~-]+)+/", "", (telling or lines or ["make gave no reason"])[0])


def _relocate(headers: Path, root: Path) -> None:
    """The packages name their places from the root of the file system."""
    for makefile in [headers / "Makefile", *headers.glob("scripts/Makefile")]:
        text = makefile.read_text()
        makefile.write_text(re.sub(r"(?<![\w.])/usr/(src|lib)/linux-", rf"{root}/usr/\1/linux-", text))
    for link in _links(headers):
        target = os.readlink(link)
        if target.startswith("/usr/"):
            link.unlink()
            link.symlink_to(root / target.lstrip("/"))


def _links(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_symlink())


def _wrap(root: Path, newer_libc: Callable[[], Path]) -> None:
    """Let the build tools that this machine's C library is too old for run on a newer one."""
    stranded = [tool for tool in _tools(root) if _cannot_start(tool)]
    if not stranded:
        return
    libc = newer_libc()
    loader = next((path for path in libc.rglob("ld-linux-x86-64.so.2") if path.is_file()), None)
    if loader is None:
        raise BuildFailed("its build tools need a newer C library than this machine's, and none was found")
    places = ":".join(sorted({str(path.parent) for path in libc.rglob("*.so.*")}))
    for tool in stranded:
        real = tool.with_name(f"{tool.name}.elf")
        tool.rename(real)
        tool.write_text(f'#!/bin/sh\nexec "{loader}" --library-path "{places}" "{real}" "$@"\n')
        tool.chmod(0o755)


def _tools(root: Path) -> Iterator[Path]:
    for path in sorted(root.glob("usr/lib/linux-kbuild-*/**/*")):
        if path.is_file() and not path.is_symlink() and os.access(path, os.X_OK):
            with open(path, "rb") as file:
                if file.read(4) == _ELF:
                    yield path


def _cannot_start(tool: Path) -> bool:
    """Whether the loader misses a library, or a version of one."""
    done = subprocess.run([trust.program("ldd"), str(tool)], capture_output=True, text=True, timeout=30, check=False)
    return "not found" in done.stdout + done.stderr
