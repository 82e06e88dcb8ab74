"""The registry of specification functions, and what stands at a function about it.

`@kernel` marks a function as part of the subset that compiles: signed integers only; no exceptions, allocation,
strings, closures or default arguments; errors are returned as negative errno values.  Marking does nothing else here:
whoever compiles walks `REGISTRY`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import ParamSpec, TypeVar, overload

P = ParamSpec("P")
R = TypeVar("R")
Function = Callable[..., object]


class Part(Enum):
    """What a machine may be without, for good: a kind of memory, or what happens to it."""

    THP = auto()
    HUGETLB = auto()
    LARGE = auto()
    """Folios of more than one page of the buddy's: without THPs and hugetlb pages there are none."""
    SWAP = auto()
    FILE = auto()
    LRU_BATCH = auto()
    """A batch of more than one page, or a step that looks whether a page is in it."""
    CONTENT = auto()
    """Stores: where nothing is stored that differs, nothing is copied either."""


Given = int | bool | str | None
"""What a function gives: a number, a truth value, nothing and no effect, or what the parameter of that name is."""


@dataclass(frozen=True)
class Marks:
    """needs: the part without which a function is never entered.  without: what it comes to without a part."""

    needs: Part | None = None
    without: Mapping[Part, Given] = field(default_factory=dict)


REGISTRY: dict[Function, Marks] = {}
_NOTHING: Mapping[Part, Given] = {}


@overload
def kernel(function: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def kernel(
    *, needs: Part | None = None, without: Mapping[Part, Given] = _NOTHING
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def kernel(
    function: Callable[P, R] | None = None, /, *, needs: Part | None = None, without: Mapping[Part, Given] = _NOTHING
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a function of the specification and return it unchanged.

    What is said of it here shortens what is compiled for a machine that is without a part; tests hold it against what
    the function does there (tests/model/test_marks.py).
    """

    def register(marked: Callable[P, R]) -> Callable[P, R]:
        for given in without.values():
            assert not isinstance(given, str) or given in marked.__annotations__, f"{given} is no parameter of {marked}"
        REGISTRY[marked] = Marks(needs, without)
        return marked

    return register if function is None else register(function)


@dataclass(frozen=True)
class Patch:
    """Functions of a user's file that stand in for those of the same name.

    file: as the user names it; name: its last part; digest: of its text, in hex.
    """

    file: str
    name: str
    digest: str
    functions: tuple[str, ...]

    def __str__(self) -> str:
        return f"{' and '.join(self.functions)} of {self.name}"


PATCHES: list[Patch] = []
"""Those in force, in every model of this process."""


def patched_name() -> str:
    """What the name of a model ends with: nothing where no patch is in force."""
    return "".join(f",with={patch.name}" for patch in PATCHES)


def patched_words() -> str:
    """The same in a sentence, behind a release."""
    return f" with {' and '.join(patch.name for patch in PATCHES)}" if PATCHES else ""


def patch_digests() -> dict[str, str]:
    """Of the patches in force, by name."""
    return {patch.name: patch.digest for patch in PATCHES}


def place_of(error: BaseException) -> str:
    """Where in a patch's file an exception comes from, as file, line and function; "": from elsewhere."""
    files = {patch.file for patch in PATCHES}
    trace, found = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename in files:
            found = f"{code.co_filename}:{trace.tb_lineno}: {code.co_name}"
        trace = trace.tb_next
    return found


def load_specification() -> None:
    """Import every file of mm/, so that REGISTRY has every function of it."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"pinhold.mm.{module.name}")
