"""docs/findings.md, taken apart: of each finding its scenario, and what the document says that each kernel does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pinhold.scenario.parse import parse
from pinhold.scenario.steps import Scenario

ROOT = Path(__file__).parents[1]
CHANCE = "fork-passes-over-1g-page"
"""Where a guest may show it or not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """rows: who is asked ("model", "guest", ...), and by release the verdict that the document tells."""

    name: str
    text: str
    rows: dict[str, dict[str, str]]

    @property
    def file(self) -> Path:
        return ROOT / "examples/findings" / f"{self.name}.pin"

    @property
    def scenario(self) -> Scenario:
        return parse(self.text)


def findings() -> list[Finding]:
    """In the document's order."""
    sections = re.split(r"^## ", (ROOT / "docs/findings.md").read_text(), flags=re.MULTILINE)[1:]
    return [_finding(section) for section in sections]


def _finding(section: str) -> Finding:
    (text,) = re.findall(r"^```pin\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")
    ]
    table = {who: dict(zip(head[1:], cells, strict=True)) for who, *cells in rows}
    return Finding(head[0].strip("`"), text, table)
