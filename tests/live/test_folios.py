"""Folios of this kernel are those of the model of its release."""

from __future__ import annotations

import pytest

from beside import all_wrong, results_of
from pinhold.commands.registry import model_of
from pinhold.scenario.parse import parse
from pinhold.targets.live.target import LiveTarget
from pinhold.targets.runner import Result, run_scenario

SCENARIO = """\
scenario a huge page, mapped whole and by its pages; a child; base pages; a file
map P x thp
write P x 0x01
vmsplice P x[0:4] as p
fork P C
write C x 0x02
mprotect P x[0:100] read
map P y anon pages 3
write P y 0x03
map P f memfd
write P f 0x04
"""


def folios(result: Result) -> list[list[tuple[str, int | None, int | None]]]:
    """Of each observation: where, the folio by the first of its appearance, and which page of it."""
    told = []
    for observation in result.observations:
        pages = [(f"{v.proc} {v.region}[{v.page}]", v.folio, v.offset) for v in observation.pages]
        pins = [(f"{v.pin}[{v.page}]", v.folio, v.offset) for v in observation.pins]
        names = list(dict.fromkeys(folio for _, folio, _ in pages + pins if folio is not None))
        told.append([(at, None if f is None else names.index(f), offset) for at, f, offset in pages + pins])
    return told


@pytest.mark.usefixtures("frames_visible", "thp")
def test_folios_are_as_the_model_has_them(live: LiveTarget) -> None:
    """Which pages are one folio's, and which each is: of a THP that one entry maps or many, of base pages, of a pin."""
    scenario = parse(SCENARIO)
    model = folios(run_scenario(model_of(live.info()), scenario))
    assert {offset for step in model for _, _, offset in step} >= {0, 3, 100, 511}

    def wrong(result: Result) -> str | None:
        ours = folios(result)
        return None if ours == model[: len(ours)] else str(ours)

    results = results_of(live, [scenario], wrong)
    assert [result.verdict.kind for result in results] == ["unknown"]
    assert all_wrong(results, wrong) == {}
