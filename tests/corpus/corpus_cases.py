"""The corpus: every difference between the model and a kernel that random scenarios ever showed, as small as it got."""

from pathlib import Path

from pinhold.scenario.parse import parse
from pinhold.scenario.steps import Scenario

CASES = Path(__file__).parent / "cases"


def names() -> list[str]:
    """The cases."""
    return sorted(path.stem for path in CASES.glob("*.pin"))


def scenario(name: str) -> Scenario:
    """One case."""
    return parse((CASES / f"{name}.pin").read_text())
