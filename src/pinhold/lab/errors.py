"""What ends the lab's work."""

from __future__ import annotations


class LabError(Exception):
    """What was asked for cannot be done here; the message is the one line that the user reads."""
