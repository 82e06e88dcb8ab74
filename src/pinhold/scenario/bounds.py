"""What a scenario may cost at most.  A text from a stranger can take neither much time nor much memory."""

from __future__ import annotations

MAX_TEXT = 64 * 1024
"""Bytes of the text, UTF-8."""
MAX_TITLE = 200
"""Characters of the title, and of an expectation's text."""
MAX_STEPS = 400
MAX_PROCESSES = 8
MAX_REGIONS = 32
MAX_PINS = 32
MAX_NAME = 16
MAX_PAGES = 1 << 19
"""Base pages of one region: 2 GiB."""
MAX_TOTAL_PAGES = 1 << 20
"""Base pages of all regions together: 4 GiB."""
MAX_WATCHED = 1024
"""Pages that `watch` lines may add."""
MAX_MEMLOCK = 1 << 30
"""Pages of an RLIMIT_MEMLOCK."""
MAX_TASKS = 4
MAX_ADVANCE = 1000
"""Atomic steps of one `advance`."""
MAX_CHANCE = 1 << 20
