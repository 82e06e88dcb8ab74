"""The last pass before numba compiles: what it does not know it refuses."""

from __future__ import annotations

import pytest

from pinhold.compiler.lower import lower
from pinhold.compiler.subset import OutsideSubset
from pinhold.mm.state import TINY, layout

LAYOUT = layout(TINY)


@pytest.mark.parametrize(
    "statement",
    [
        "del m.folio_refcount[0]",
        "return [1]",
        "try:\n        return 1\n    finally:\n        pass",
        "while (x := 1):\n        return 1",
    ],
)
def test_what_specialised_source_never_has_is_refused(statement: str) -> None:
    """It would be kept as it is, and loads and stores in it would not become those of addresses."""
    with pytest.raises(OutsideSubset):
        lower(f"def f(m):\n    {statement}\n", LAYOUT, "jit")


def test_loads_and_stores_become_those_of_addresses() -> None:
    """Nothing of the record is left in the source."""
    lowered = lower("def f(m, i):\n    m.folio_refcount[i] = m.folio_refcount[0] + 1\n    return 0\n", LAYOUT, "jit")
    assert "folio_refcount" not in lowered
    assert lowered.count("load") == lowered.count("store") == 1
