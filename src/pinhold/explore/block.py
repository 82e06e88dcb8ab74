"""States packed: blocks of them in which each word is the number of one of the values that it has in the block.

States of one level are much alike.  Of some thousand that follow each other, most words have a handful of values, so
that a row of such numbers, each of as few bits as it takes, is a twentieth of the state.  Every block has its values
with it, so nothing is assumed of states, and nothing is lost.

This is text of the inner loop, compiled with it (engine.py).  A block consists of words of 64 bits: STATES, how many
are in it; SIZE, its bytes; ROWS, where its rows begin, in bytes from the block's start, and ROW_SIZE, the bytes of
each; COLUMNS, how many words of a state vary; the first state as it is; for each word that varies a column; the values;
the rows.  A column says WHERE the word is in a state, in bytes; in which BYTE of a row its number begins, how far to
SHIFT it, and its WIDTH in bits; and where its VALUES are, in bytes from the block's start.
"""

from __future__ import annotations

from pinhold.compiler.memory import fold, load2, load8, store2, store4, store8
from pinhold.explore.linked import STATE_WORDS

STATES, SIZE, ROWS, ROW_SIZE, COLUMNS, FIRST_STATE = range(0, 48, 8)
WHERE, BYTE, SHIFT, WIDTH, VALUES, COLUMN_SIZE = range(0, 48, 8)

SLOTS, MOST_VALUES = 1 << 12, 1 << 11
"""Of the table in which a block's values are looked up while it is made: its size, and how many values it may have."""

SLOT_SIZE = 16
"""Of each slot a value, and whose it is: the place of its word and 1 above INDEX_BITS, its number below."""

INDEX_BITS = 16
VALUE_KEY, WORD_KEY = 0x2D358DCCAA6C78A5, 0x4B33A62ED433D4A3


def pack_block(states: int, count: int, to: int, work: int) -> int:
    """Make a block of states that follow each other, as many of `count` as have few enough values; gives how many.

    to, work: room for the block, and to make it in (packing.py says how much).
    """
    clear_words(work, SLOTS * SLOT_SIZE + 8 * STATE_WORDS)
    known = work + SLOTS * SLOT_SIZE
    numbers = known + 8 * STATE_WORDS
    values = 0
    packed = 0
    while packed < count and values <= MOST_VALUES - STATE_WORDS:
        values += number_words(states + 8 * STATE_WORDS * packed, numbers + 2 * STATE_WORDS * packed, packed, work)
        packed += 1
    begin_block(states, packed, to, known)
    place_values(to, work, known)
    write_rows(to, numbers)
    return packed


def clear_words(place: int, size: int) -> None:
    for offset in range(0, size, 8):
        store8(place + offset, 0)


def number_words(state: int, numbers: int, before: int, work: int) -> int:
    """Write the number of each word's value; gives how many values are new.  before: states packed before this one."""
    known = work + SLOTS * SLOT_SIZE
    new = 0
    if before:  # most words are as they were
        for offset in range(0, 2 * STATE_WORDS, 8):
            store8(numbers + offset, load8(numbers + offset - 2 * STATE_WORDS))
    for word in range(STATE_WORDS):
        value = load8(state + 8 * word)
        if not before or value != load8(state + 8 * (word - STATE_WORDS)):
            slot = slot_of(work, word, value)
            if load8(slot + 8) == 0:
                number = load8(known + 8 * word)
                store8(slot, value)
                store8(slot + 8, ((word + 1) << INDEX_BITS) | number)
                store8(known + 8 * word, number + 1)
                new += 1
            store2(numbers + 2 * word, load8(slot + 8))
    return new


def slot_of(work: int, word: int, value: int) -> int:
    """Where a word's value is, or belongs."""
    place = fold(value ^ VALUE_KEY, WORD_KEY + 2 * word) & (SLOTS - 1)
    while True:
        slot = work + SLOT_SIZE * place
        held = load8(slot + 8)
        if held == 0 or (held >> INDEX_BITS == word + 1 and load8(slot) == value):
            return slot
        place = (place + 1) & (SLOTS - 1)


def begin_block(states: int, count: int, to: int, known: int) -> None:
    """Write what stands before the values, given how many values each word has."""
    columns = to + FIRST_STATE + 8 * STATE_WORDS
    column = columns
    bit = 0
    for word in range(STATE_WORDS):
        store8(to + FIRST_STATE + 8 * word, load8(states + 8 * word))
        if load8(known + 8 * word) > 1:
            width = 0
            while load8(known + 8 * word) > 1 << width:
                width += 1
            store8(column + WHERE, 8 * word)
            store8(column + BYTE, bit >> 3)
            store8(column + SHIFT, bit & 7)
            store8(column + WIDTH, width)
            bit += width
            column += COLUMN_SIZE
    offset = column - to
    last = column
    column = columns
    while column < last:
        store8(column + VALUES, offset)
        offset += 8 * load8(known + load8(column + WHERE))
        column += COLUMN_SIZE
    row_size = (bit + 7) >> 3
    size = (offset + row_size * count + 15) & -8  # a row is read and written 8 bytes at a time
    clear_words(to + offset, size - offset)
    store8(to + STATES, count)
    store8(to + SIZE, size)
    store8(to + ROWS, offset)
    store8(to + ROW_SIZE, row_size)
    store8(to + COLUMNS, (last - columns) // COLUMN_SIZE)


def place_values(to: int, work: int, known: int) -> None:
    """Put each value into its word's column; `known` is lost."""
    column = to + FIRST_STATE + 8 * STATE_WORDS
    clear_words(known, 8 * STATE_WORDS)
    for _ in range(load8(to + COLUMNS)):
        store8(known + load8(column + WHERE), to + load8(column + VALUES))
        column += COLUMN_SIZE
    for slot in range(work, work + SLOTS * SLOT_SIZE, SLOT_SIZE):
        held = load8(slot + 8)
        if held:
            values = load8(known + 8 * ((held >> INDEX_BITS) - 1))
            if values:
                store8(values + 8 * (held & ((1 << INDEX_BITS) - 1)), load8(slot))


def write_rows(to: int, numbers: int) -> None:
    columns = to + FIRST_STATE + 8 * STATE_WORDS
    last = columns + COLUMN_SIZE * load8(to + COLUMNS)
    row_size = load8(to + ROW_SIZE)
    row = to + load8(to + ROWS)
    for _ in range(load8(to + STATES)):
        place = row
        bits = 0
        have = 0
        column = columns
        while column < last:
            bits |= load2(numbers + (load8(column + WHERE) >> 2)) << have
            have += load8(column + WIDTH)
            column += COLUMN_SIZE
            if have >= 32:
                store4(place, bits)
                bits >>= 32
                have -= 32
                place += 4
        store8(place, bits)
        numbers += 2 * STATE_WORDS
        row += row_size


def unpack_row(block: int, number: int, state: int) -> None:
    """Write one state of a block as it was."""
    for word in range(STATE_WORDS):
        store8(state + 8 * word, load8(block + FIRST_STATE + 8 * word))
    row = block + load8(block + ROWS) + number * load8(block + ROW_SIZE)
    column = block + FIRST_STATE + 8 * STATE_WORDS
    for _ in range(load8(block + COLUMNS)):
        value = (load8(row + load8(column + BYTE)) >> load8(column + SHIFT)) & ((1 << load8(column + WIDTH)) - 1)
        store8(state + load8(column + WHERE), load8(block + load8(column + VALUES) + 8 * value))
        column += COLUMN_SIZE


def unpack_block(block: int, first: int, last: int, to: int) -> None:
    """Write the states first … last - 1 of a block as they were."""
    for number in range(first, last):
        unpack_row(block, number, to + 8 * STATE_WORDS * (number - first))
