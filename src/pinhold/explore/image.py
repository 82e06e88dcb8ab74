"""A scope's image: its specialised functions and the search's inner loop, one Python module that numba compiles.

The module is written below the user's cache directory, under a hash of everything that it is made from, and the
machine code beside it: an edit of `mm/`, another numba or another scope is another image.  Whoever wants to see what is
compiled can read it there.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numba

from pinhold.explore import engine, memory
from pinhold.explore.known import cache_directory, known, put
from pinhold.explore.lower import lower
from pinhold.explore.moves import get_chances, in_operation, move, set_chance
from pinhold.explore.settled import settled
from pinhold.explore.specialise import Facts, Kernel, specialise
from pinhold.explore.symmetry.canonical import canonical
from pinhold.mm.invariants import check_invariants
from pinhold.mm.properties import check_properties
from pinhold.mm.state import Layout

SEARCHED: tuple[Kernel, ...] = (
    move,
    canonical,
    check_properties,
    check_invariants,
    in_operation,
    set_chance,
    get_chances,
)
"""What the inner loop calls."""

INNER = "nogil=True, error_model='numpy', no_cpython_wrapper=True, no_cfunc_wrapper=True"
OUTER = "nogil=True, error_model='numpy', cache=True"

FILE = "image.py"

LOOP = (
    engine.register,
    engine.fingerprint,
    engine.copy_state,
    engine.insert,
    engine.successors,
    engine.look,
    engine.flush,
)
ENTRIES = (engine.expand, engine.rehash, engine.fingerprint_of)

HEADER = """from numba import int64, njit

from pinhold.explore.memory import fold, load1, load2, load4, load8, store1, store2, store4, store8

"""

NUMBERS = "\n".join(f"{name} = {value}" for name, value in vars(engine).items() if isinstance(value, int))
"""The inner loop's constants."""


def image_source(facts: Facts, layout: Layout, functions: Iterable[Kernel] = SEARCHED) -> str:
    """The module's text: specialised functions over addresses, the inner loop, and the entries."""
    sizes = f"STATE_WORDS = {layout.mutable_size // 8}\nRECORD_BYTES = {layout.size}"
    parts = [HEADER, NUMBERS, sizes, lower(specialise(functions, facts), layout, decorator=f"njit({INNER})")]
    parts += [f"@njit({INNER})\n{inspect.getsource(f)}" for f in LOOP]
    parts += [f"@njit({OUTER})\n{inspect.getsource(f)}" for f in ENTRIES]
    return "\n\n".join(parts)


def image(facts: Facts, layout: Layout) -> ModuleType:
    """The search's image of a scope.  Raises Untrusted, OSError before any work where none can be kept."""
    kept = cache_directory()

    def made() -> str:
        return store(image_source(settled(SEARCHED, facts), layout))

    name = known(f"image for numba {numba.__version__}", facts, layout, made)
    return load(name if (kept / name / FILE).exists() else made())


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
