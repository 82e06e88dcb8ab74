"""A mistake planted in the specification: one line of a file of mm/ reads otherwise, nothing is written to disk.

The rooms that run the specification are imported anew from the changed text, beside the ones that are there: two
specifications in one process, which share the language and what they report in.  Also a program: `planted.py NAME
conform --on vm:6.12` is pinhold with that mistake in it, given steps that are made without.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pinhold.targets.model.target import ModelTarget

ROOMS = ("pinhold.mm", "pinhold.targets.model")
"""What is imported anew: the specification, and what runs it."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """name: of the mistake.  place: module of mm/ and function.  before, after: the line, as far as it differs; before
    stands once in the file.  belief: the misunderstanding.  release: of the kernel that it is compared with.  steps: of
    test_mutants.SEED until it was found, when that was last measured; 0: it was not."""

    name: str
    place: str
    before: str
    after: str
    belief: str
    release: str
    steps: int = 0

    @property
    def module(self) -> str:
        return "pinhold.mm." + self.place.partition(":")[0]

    @property
    def function(self) -> str:
        return self.place.partition(":")[2]

    def text(self, source: str) -> str:
        """The file with the mistake in it."""
        if source.count(self.before) != 1 or self.before == self.after:
            raise ValueError(f"{self.name}: {self.before!r} stands {source.count(self.before)} times in {self.module}")
        return source.replace(self.before, self.after)


class Planted(SourceFileLoader):
    """Loads a module from its file's text with a mistake in it."""

    mutant: Mutant

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        source = self.get_data(path).decode()
        return self.source_to_code(self.mutant.text(source).encode(), path)  # type: ignore[arg-type]


class Finder(MetaPathFinder):
    """Finds the module that has the mistake; asked before all others."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self._mutant.module:
            return None
        spec = PathFinder.find_spec(name, path)
        assert spec is not None
        assert spec.origin is not None
        loader = Planted(name, spec.origin)
        loader.mutant = self._mutant
        spec.loader = loader
        return spec


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """What is imported of the ROOMS meanwhile is another one than before, and has the mistake."""
    aside = {name: module for name, module in sys.modules.items() if name.startswith(ROOMS)}
    for name in aside:
        del sys.modules[name]
    finder = Finder(mutant)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.startswith(ROOMS)]:
            del sys.modules[name]
        sys.modules |= aside
        for name, module in aside.items():
            parent, _, child = name.rpartition(".")
            setattr(sys.modules[parent], child, module)


def mistaken(mutant: Mutant, config: Mapping[str, int]) -> ModelTarget:
    """The model of the mutant's release, with the mistake in it."""
    with planted(mutant):
        target: ModelTarget = import_module("pinhold.targets.model.target").ModelTarget(mutant.release, config)
        return target


def steps_by(right: type[ModelTarget]) -> None:
    """From now on `pinhold conform` makes its steps by a specification without the mistake, which so cannot hide what
    it does wrong by never coming to it.  No film is kept: it would be one of the right specification."""
    lane = import_module("pinhold.conform.lane")
    make = lane.make

    def made(model: ModelTarget, *which: Any) -> Any:
        without = right(model.release, model.config)
        without.row = model.row
        return replace(make(without, *which), film=None)

    lane.make = made  # type: ignore[attr-defined]


def main(name: str, arguments: Sequence[str]) -> int:
    """pinhold with a mistake in it; its steps are made without."""
    from pinhold.targets.model.target import ModelTarget as Right
    from table import MUTANTS

    with planted(next(mutant for mutant in MUTANTS if mutant.name == name)):
        from pinhold.cli import main as pinhold

        steps_by(Right)
        return pinhold(arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
