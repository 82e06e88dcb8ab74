"""What a scope's image defines for the inner loop, as a type checker sees it: nothing here is ever called.

In the image (searched.py) these are the scope's specialised functions over addresses, and the sizes of its record.
`m` is the address of a record.
"""

from __future__ import annotations

STATE_WORDS, RECORD_BYTES = 0, 0
"""Of a state, as it is stored; of a whole record."""


def move(m: int, task: int, kind: int, function: int, mm: int, addr: int, end: int, flags: int, arg: int) -> bool:
    """moves.move"""
    raise NotImplementedError


def in_operation(m: int, task: int) -> bool:
    """moves.in_operation"""
    raise NotImplementedError


def set_chance(m: int, chance: int) -> None:
    """moves.set_chance"""
    raise NotImplementedError


def get_chances(m: int) -> int:
    """moves.get_chances"""
    raise NotImplementedError


def canonical(m: int) -> None:
    """symmetry.canonical.canonical"""
    raise NotImplementedError


def check_properties(m: int) -> int:
    """mm.properties.check_properties"""
    raise NotImplementedError


def check_invariants(m: int) -> int:
    """mm.invariants.check_invariants"""
    raise NotImplementedError
