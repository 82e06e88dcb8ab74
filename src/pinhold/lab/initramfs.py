"""The guest's file system: the interpreter that runs here, what it imports, pinhold's own code, and modules.

Everything of the interpreter lies in the guest where it lies here, so that it finds itself.
"""

from __future__ import annotations

import json
import marshal
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path

from pinhold import trust
from pinhold.lab.cpio import Cpio
from pinhold.lab.errors import LabError
from pinhold.lab.layout import AGENT, CODE, MODULES, MOUNTS

_LATE = (
    *("encodings.ascii", "encodings.latin_1", "encodings.utf_8", "linecache", "tempfile", "zlib"),
    *("difflib", "pinhold.targets.live.helper"),
)
"""What is imported only when it is needed: by Python itself, by an error's message, by another program."""

_LIST = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    importlib.import_module(name)
files = sorted({m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)})
print(json.dumps([sys.executable, files]))
"""


@lru_cache(maxsize=1)
def runtime() -> tuple[str, Mapping[str, bytes]]:
    """(path of the interpreter in the guest, path to content of all that it needs).  Raises LabError."""
    root = str(Path(__file__).resolve().parents[2])
    if not sys.executable:
        raise LabError("the guest needs Python, and this program does not say where its own is")
    command = [sys.executable, "-I", "-S", "-c", _LIST, root, AGENT, *_LATE]
    done = _run(command)
    if done.returncode:
        raise LabError(f"the agent cannot be imported: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}")
    executable, files = json.loads(done.stdout)
    python = os.path.realpath(executable)
    content: dict[str, bytes] = {}
    binaries = [python]
    for file in files:
        if file.endswith(".py"):
            content[_place(file, root) + "c"] = _compiled(file)
        else:
            binaries.append(file)
    for binary in dict.fromkeys([*binaries, *libraries(binaries)]):
        content[binary] = Path(binary).read_bytes()
    return python, content


_PATIENCE_SECONDS = 600
"""Of wall time: what takes a second may take minutes on a busy machine, and must not take for ever."""


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Raises LabError where it does not end."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        what = os.path.basename(command[0])
        raise LabError(f"packing a guest: {what} did not end within {_PATIENCE_SECONDS // 60} minutes") from None


def _place(file: str, root: str) -> str:
    return CODE + file[len(root) :] if file.startswith(root + os.sep) else file


_UNCHECKED_HASH = (1).to_bytes(4, "little")
"""The second word of a .pyc file that is taken as it is: no source lies beside it."""


def _compiled(file: str) -> bytes:
    """The code of a source file, which Python imports from where the source would be."""
    source = Path(file).read_bytes()
    code = compile(source, os.path.basename(file), "exec", dont_inherit=True)
    return MAGIC_NUMBER + _UNCHECKED_HASH + source_hash(source) + marshal.dumps(code)


def libraries(binaries: Iterable[str]) -> list[str]:
    """The shared libraries and the loader of ELF files.  Raises LabError."""
    try:
        ldd = trust.program("ldd")
    except trust.NoProgram as reason:
        raise LabError(f"packing a guest needs {reason}") from None
    found: list[str] = []
    for binary in binaries:
        listing = _run([ldd, binary]).stdout
        found += re.findall(r"=> (/\S+)", listing) + re.findall(r"^\s+(/\S+/ld-linux\S+)", listing, re.MULTILINE)
    return list(dict.fromkeys(found))


def build(modules: Mapping[str, bytes], settings: Mapping[str, object], files: Mapping[str, bytes]) -> bytes:
    """The archive.  modules: name to code, in the order of loading; settings: for the agent; files: more to pack, path
    to content.  Raises LabError."""
    python, content = runtime()
    archive = Cpio()
    for folder in MOUNTS:
        archive.directory(folder)
    archive.device("dev/console", 5, 1)
    for path, data in sorted({**files, **content}.items()):
        archive.file(path, data)
    for name, code in modules.items():
        archive.file(f"{MODULES}/{name}.ko", code, 0o644)
    archive.file("settings.json", json.dumps({"modules": list(modules), **settings}).encode(), 0o644)
    archive.file("init", _INIT.format(python=python, code=CODE, agent=AGENT).encode())
    return archive.finish()


_INIT = """\
#!{python} -ISB
import sys
sys.path.insert(0, "{code}")
sys.executable = "{python}"
from {agent} import main
main()
"""
