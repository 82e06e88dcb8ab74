"""Lines of a scenario cut into tokens, each with its column, and the error that names both."""

from __future__ import annotations


class ScenarioError(ValueError):
    """A text that is no scenario.  line and column count from 1; str() is "line L, column C: MESSAGE"."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.line = line
        self.column = column
        self.message = message
