"""The known cases: scenario, target and the verdict that is right, from expected.toml."""

import tomllib
from pathlib import Path
from typing import Any

from pinhold.commands.select import Selected
from pinhold.mm import releases
from pinhold.scenario.parse import parse
from pinhold.scenario.steps import Scenario

HERE = Path(__file__).parent
EXPECTED: dict[str, dict[str, Any]] = tomllib.loads((HERE / "expected.toml").read_text())


def scenario(case: str) -> Scenario:
    """The case's scenario."""
    return parse((HERE / "cases" / f"{case}.pin").read_text())


def by_itself(case: str) -> Selected:
    """The case as a test."""
    found = scenario(case)
    return Selected(1, case, found, found.title)


def on_models() -> list[tuple[str, str, str]]:
    """(case, release, verdict), for every release with a row and those that a case names."""
    found = []
    for case, expected in EXPECTED.items():
        by_release = dict.fromkeys(releases.releases(), expected["model"]) if "model" in expected else {}
        by_release |= {name[6:]: verdict for name, verdict in expected.items() if name.startswith("model:")}
        found += [(case, release, verdict) for release, verdict in by_release.items()]
    return found


def on_guests(series: str) -> dict[str, str]:
    """case -> verdict, of those that say what vm:SERIES is to give."""
    return {case: expected[f"vm:{series}"] for case, expected in EXPECTED.items() if f"vm:{series}" in expected}
