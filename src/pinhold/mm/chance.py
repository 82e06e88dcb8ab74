"""Outcomes that nobody decides, such as which of the free frames an allocation gets.

Whoever explores all of them sets `choice` to 0, 1, … and `choices` to 1 before each try of a step, and finds in
`choices` how many outcomes the step has.  Left at zero, the first outcome is taken.
"""

from __future__ import annotations

from pinhold.mm.kernel import kernel
from pinhold.mm.state import State


@kernel
def choose(m: State, total: int) -> int:
    """One of 0 … total - 1."""
    if total <= 1:
        return 0
    picked = m.choice[0] % total
    m.choice[0] //= total
    m.choices[0] *= total
    return picked
