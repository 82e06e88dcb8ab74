"""What a search compiles: a scope's specialised functions and the inner loop, one image."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from types import ModuleType

import numba

from pinhold.compiler.cache import cache_directory, worked_out
from pinhold.compiler.facts import Facts
from pinhold.compiler.image import FILE, INNER, OUTER, load, store
from pinhold.compiler.lower import lower
from pinhold.compiler.settled import settled
from pinhold.compiler.source import Kernel
from pinhold.compiler.specialise import specialise
from pinhold.explore import block, engine, lots, walks
from pinhold.explore.moves import get_chances, in_operation, move, set_chance
from pinhold.explore.symmetry.canonical import canonical
from pinhold.explore.via import begun, packed
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

LOOP = (
    packed,
    begun,
    engine.register,
    engine.hashed,
    engine.fingerprint,
    engine.copy_state,
    engine.place_of,
    engine.put,
    engine.part_of,
    engine.touch,
    engine.insert,
    engine.known,
    engine.successors,
    engine.look,
    lots.turned,
    lots.started,
    lots.rank_of,
    walks.sketched,
    engine.flush,
    block.clear_words,
    block.slot_of,
    block.number_words,
    block.begin_block,
    block.place_values,
    block.write_rows,
    block.unpack_row,
)
ENTRIES = (
    engine.expand,
    engine.make_moves,
    walks.walk_on,
    engine.take_over,
    engine.keep,
    engine.rehash,
    engine.fingerprints_of,
    engine.rest_of,
    block.pack_block,
    block.unpack_block,
)

HEADER = """# Made by pinhold/explore/searched.py: the @kernel functions of mm/ and explore/, and explore/engine.py.

from numba import int64, njit

from pinhold.compiler.memory import fold, high, load1, load2, load4, load8, store1, store2, store4, store8
"""


def constants(functions: Iterable[Kernel], layout: Layout) -> Iterator[str]:
    """The numbers that the inner loop's functions read by name, among them the record's sizes."""
    sizes = {"STATE_WORDS": layout.mutable_size // 8, "RECORD_BYTES": layout.size}
    values = dict(sizes)
    for function in functions:
        for name in function.__code__.co_names:
            value = function.__globals__.get(name)
            if isinstance(value, int) and name not in sizes:
                assert values.setdefault(name, value) == value, f"{name}: two numbers in one image"
    return (f"{name} = {value}" for name, value in sorted(values.items()))


def image_source(facts: Facts, layout: Layout, functions: Iterable[Kernel] = SEARCHED) -> str:
    """The module's text: specialised functions over addresses, the inner loop, and the entries."""
    numbers = "\n".join(constants((*LOOP, *ENTRIES), layout))
    parts = [HEADER, numbers, lower(specialise(functions, facts), layout, decorator=f"njit({INNER})")]
    parts += [f"@njit({INNER})\n{inspect.getsource(f)}" for f in LOOP]
    parts += [f"@njit({OUTER})\n{inspect.getsource(f)}" for f in ENTRIES]
    return "\n\n".join(parts)


def image(facts: Facts, layout: Layout) -> ModuleType:
    """The search's image of a scope.  Raises Untrusted, OSError before any work where none can be kept."""
    kept = cache_directory()

    def made() -> str:
        return store(image_source(settled(SEARCHED, move, facts), layout))

    name = worked_out(f"image for numba {numba.__version__}", SEARCHED, facts, layout, made)
    return load(name if (kept / name / FILE).exists() else made())
