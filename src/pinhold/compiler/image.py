"""Images: Python modules of generated text that numba compiles.

An image is written below the user's cache directory, under a hash of everything that it is made from, and the
machine code beside it: an edit of `mm/`, another numba or another scope is another image.  Whoever wants to see what is
compiled can read it there.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numba

from pinhold.compiler import memory
from pinhold.compiler.cache import cache_directory, put

INNER = "nogil=True, error_model='numpy', no_cpython_wrapper=True, no_cfunc_wrapper=True"
OUTER = "nogil=True, error_model='numpy', cache=True"

FILE = "image.py"


def store(source: str) -> str:
    """Put a module's text where it is compiled, if it is not there yet; gives the directory's name."""
    directory = cache_directory() / digest(source)
    directory.mkdir(exist_ok=True)
    if not (directory / FILE).exists():
        put(directory / FILE, source)
    return directory.name


def load(name: str) -> ModuleType:
    """The module in that directory.  Its functions are compiled when they are first called, and kept on disk."""
    file = cache_directory() / name / FILE
    module_name = f"pinhold_image_{name}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    setattr(numba.config, "CACHE_DIR", "")  # noqa: B010  # machine code lies beside the module
    spec.loader.exec_module(module)
    return module


def digest(source: str) -> str:
    """What machine code is valid for: the text, the loads and stores, numba and Python."""
    parts = (source, inspect.getsource(memory), numba.__version__, sys.version)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


@contextmanager
def alone(module: ModuleType) -> Iterator[None]:
    """Keeps other processes from compiling the same: they wait, and find it on disk."""
    assert module.__file__ is not None
    with open(Path(module.__file__).with_name("lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
