"""The random numbers of walks, and how the states that they see are counted: the same for Python and for machine code.

Needs nothing but Python; the functions are put into a scope's image as well (searched.py).
"""

NUMBER = 0xFFFFFFFF
SKETCH_BITS = 14
SKETCH = 1 << SKETCH_BITS
RANKS = 50
"""The sketch of the states that were seen (HyperLogLog): SKETCH bytes, each the greatest rank of a fingerprint whose
lowest bits are its number; the rank is that of the lowest bit that is set of the RANKS bits above."""


def turned(x: int) -> int:
    """The next random number of 32 bits behind x, which is not 0 (xorshift, Marsaglia 2003)."""
    x ^= (x << 13) & NUMBER
    x ^= x >> 17
    x ^= (x << 5) & NUMBER
    return x


def started(seed: int, walk: int) -> int:
    """The first random number of a walk: neighbours have nothing in common."""
    x = ((seed & NUMBER) * 0x9E3779B1 + (walk & NUMBER) * 0x85EBCA6B + 0x2545F491) & NUMBER
    for _ in range(4):
        x = turned(x if x else 1)
        x = (x * 0x2C1B3C6D + 0x297A2D39) & NUMBER
    return x if x else 1


def rank_of(h: int) -> int:
    """Of a fingerprint, for the sketch."""
    found = 1
    bits = h >> SKETCH_BITS
    while found <= RANKS and not bits & 1:
        bits >>= 1
        found += 1
    return found
