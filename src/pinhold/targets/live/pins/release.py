"""Which release a kernel is: what the kernel's own users of pages do depends on it."""

from __future__ import annotations

import re


def release_of(text: str) -> tuple[int, int]:
    """(6, 18) of "6.18.44-fc"; (0, 0) where there is no number."""
    match = re.match(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)
