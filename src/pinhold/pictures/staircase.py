"""Which release has which rule: sorted by when a rule first changed, so that the history of mm/ goes down in steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pinhold.pictures.chart import Cell, Chart, Column, Row

AS_BEFORE = "\N{MIDDLE DOT}"


@dataclass(frozen=True, slots=True)
class Switched:
    """A rule.  values, commits: a release each; a commit is "" where none is known."""

    name: str
    values: Sequence[str]
    commits: Sequence[str]

    @property
    def first_change(self) -> int:
        """The number of the release that first has another value; of a rule that never changes, how many there are."""
        return next((k for k in range(1, len(self.values)) if self.changes(k)), len(self.values))

    def changes(self, release: int) -> bool:
        return self.values[release] != self.values[release - 1]


def staircase(releases: Sequence[str], rules: Sequence[Switched]) -> Chart:
    """Rules down, releases across."""
    rows = [
        Row(rule.name, [_cell(rule, k) for k in range(len(releases))])
        for rule in sorted(rules, key=lambda rule: (rule.first_change, rule.name))
    ]
    changing = sum(rule.first_change < len(releases) for rule in rules)
    about = (
        f"{len(rules)} rules of mm/, of which {changing} change between {releases[0]} and {releases[-1]}. A bar: this "
        f"release decides otherwise than the one before it, by that commit; {AS_BEFORE} it decides as before. Rules "
        "are sorted by their first change."
    )
    return Chart("Which release has which rule", about, "rule", [Column(release) for release in releases], rows)


def _cell(rule: Switched, release: int) -> Cell:
    value = rule.values[release]
    if not release:
        return Cell(value, "faint")
    if rule.changes(release):
        return Cell(value, new=True, note=rule.commits[release])
    return Cell(AS_BEFORE, "faint", spoken=f"{value}, as before")
