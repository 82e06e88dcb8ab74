"""A chart: rows by columns of words, with a bar where the word is a count.  What it says; nothing is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SIGNS = {
    "good": "\N{CHECK MARK}",
    "bad": "\N{BALLOT X}",
    "part": "\N{CIRCLE WITH LEFT HALF BLACK}",
    "missed": "\N{WHITE CIRCLE}",
    "faint": "",
    "": "",
}
"""What stands before the words of a cell, by its tone: colour says nothing that the sign and the words do not."""


@dataclass(frozen=True, slots=True)
class Cell:
    """tone: of SIGNS.  new: a bar stands before it, as it differs from the cell at its left.  share: of the widest bar,
    0 to 1; None: no bar.  note: said small beside the words.  spoken: for a screen reader, where the words are a mark.
    """

    words: str = ""
    tone: str = ""
    new: bool = False
    share: float | None = None
    note: str = ""
    spoken: str = ""

    @property
    def sign(self) -> str:
        return SIGNS[self.tone]

    @property
    def text(self) -> str:
        return f"{self.sign} {self.words}".strip()


@dataclass(frozen=True, slots=True)
class Row:
    """group: a heading above the first row of those that have it; note: said small beside the name."""

    name: str
    cells: Sequence[Cell]
    note: str = ""
    group: str = ""

    @property
    def counts(self) -> bool:
        """Whether its words are counts, with bars."""
        return any(cell.share is not None for cell in self.cells)

    @property
    def numbered(self) -> bool:
        """Whether its name is a number, which stands at the right."""
        return self.name.isdigit()


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """about: how to read it; corner: what the rows are; notes: paragraphs below."""

    title: str
    about: str
    corner: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    notes: Sequence[str] = ()

    def groups(self) -> list[tuple[str, list[Row]]]:
        """Rows that have the same heading, one after the other."""
        found: list[tuple[str, list[Row]]] = []
        for row in self.rows:
            if not found or found[-1][0] != row.group:
                found.append((row.group, []))
            found[-1][1].append(row)
        return found

    def bars(self, column: int) -> bool:
        """Whether the column has bars."""
        return any(row.cells[column].share is not None for row in self.rows)
