"""A kernel whose records are damaged, as in a dump from anybody: a look at it ends, as an answer or as a sentence."""

from __future__ import annotations

import random
from collections import Counter

import pytest

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")
pytest.importorskip("numpy", reason="needs numpy: pip install 'pinhold[inspect]'")

from drgn import FaultError

from pinhold.inspect.errors import CannotLook
from pinhold.inspect.pinned import Look
from pinhold.inspect.records import Selection
from synthetic import BASE, PAGE_OFFSET, SECTION, Machine

WORD = 8


def word(memory: bytes, at: int) -> int:
    return int.from_bytes(memory[at : at + WORD], "little")


def test_any_damage_ends_in_an_answer_or_a_sentence() -> None:
    """Pointers to each other, to themselves, to nowhere, flipped bits, sizes without an end: one word, or many."""
    machine = Machine(SECTION, 120)
    whole = bytes(machine.heap.memory)
    used = [at for at in range(0, len(whole), WORD) if word(whole, at)]
    ends: Counter[str] = Counter()
    for seed in range(600):
        dice = random.Random(seed)
        machine.heap.memory[:] = whole
        for _ in range(dice.choice([1, 3, 20, 200])):
            at, other = dice.choice(used), dice.choice(used)
            damaged = dice.choice([
                0, 1, (1 << 64) - 1, dice.getrandbits(64), word(whole, other), PAGE_OFFSET + BASE + other,
                word(whole, at) ^ 1 << dice.randrange(64),
            ])  # fmt: skip
            machine.heap.memory[at : at + WORD] = damaged.to_bytes(WORD, "little")
        try:
            told = Look(machine.view()).look(Selection())
        except CannotLook:
            ends["a sentence"] += 1
        else:
            ends["an answer"] += 1
            assert len(told.folios) <= 120
    assert min(ends["a sentence"], ends["an answer"]) > 100


def test_an_address_that_is_none_is_memory_that_is_not_there() -> None:
    """Below zero and beyond 64 bits, as sums of damaged words are."""
    view = Machine(SECTION, 1).view()
    for address in (-8, 1 << 64):
        with pytest.raises(FaultError):
            view.read(address, 8)
        with pytest.raises(FaultError):
            view.words(address, 1)
