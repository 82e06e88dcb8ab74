"""A file of packed states, any stretch of which can be read by itself.

It holds blocks one behind the other (packing.py); its index says of each block how many states and words come before.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pinhold.explore import block
from pinhold.explore.external.files import lying, part_of, put_array
from pinhold.explore.external.runs import Array
from pinhold.explore.packing import Packing, blocks_of

WORD = np.dtype(np.int64)


def put_states(path: Path, states: Iterable[Array], packing: Packing) -> None:
    """Write states that come in some arrays, in this order.  Packed they are in memory all at once, unpacked not."""
    packed = np.concatenate([np.empty(0, WORD), *map(packing.pack, states)])
    sizes = [(int(piece[block.STATES // 8]), len(piece)) for piece in blocks_of(packed)]
    put_array(path.with_name(f"{path.name}.index"), np.cumsum([(0, 0), *sizes], axis=0, dtype=WORD))
    put_array(path, packed)


def states_part(path: Path, first: int, last: int, packing: Packing) -> Array:
    """The states from the number `first` to before `last`; there has to be one."""
    index = np.array(lying(path.with_name(f"{path.name}.index"), WORD)).reshape(-1, 2)
    low = int(np.searchsorted(index[:, 0], first, "right")) - 1
    high = int(np.searchsorted(index[:, 0], last, "left"))
    blocks = part_of(path, WORD, int(index[low, 1]), int(index[high, 1]))
    return packing.unpack(blocks)[first - int(index[low, 0]) : last - int(index[low, 0])]
