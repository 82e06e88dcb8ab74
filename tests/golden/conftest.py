"""Golden files: printed output that changes only when somebody means it to.

`PINHOLD_PROMOTE=1 pytest tests/golden` accepts what is printed now; look at the difference before you commit it.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """golden(name, text): text is what the golden file of that name has."""

    def check(name: str, text: str) -> None:
        file = Path(__file__).parent / name
        if os.environ.get("PINHOLD_PROMOTE"):
            file.write_text(text)
        assert text.splitlines() == file.read_text().splitlines()

    return check
