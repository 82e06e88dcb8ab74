"""What a guest tells of a scenario, record by record."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from pinhold.lab.agent import _run
from pinhold.lab.records import plain_step, step_record
from pinhold.scenario.observation import Observation, PageView, PinView
from pinhold.scenario.parse import parse
from pinhold.targets.base import Outcome
from pinhold.targets.runner import StepRecord

SCENARIO = parse("scenario x\nmap P x anon pages 4\nwrite P x 1\nread P x\n")
PAGES = tuple(PageView("P", "x", page, "present", page, "anon", byte=7) for page in range(4))


def sent(record: StepRecord, before: Observation | None) -> Any:
    """As it arrives."""
    return json.loads(json.dumps(plain_step(record, before)))


def test_pages_that_look_as_they_did_are_not_told_again() -> None:
    """The host has every observation whole, however little of it was sent: nothing, a page in the middle, all."""
    seen = [
        Observation(0, PAGES[:3], (PinView("p", 0, 1),)),
        Observation(0, PAGES[:3]),
        Observation(5, (PAGES[0], replace(PAGES[1], byte=8), PAGES[2], PAGES[3])),
    ]
    told, heard, lengths = None, None, []
    for index, observation in enumerate(seen):
        record = StepRecord(index, SCENARIO.steps[index], Outcome(), observation)
        plain = sent(record, told)
        lengths.append(len(plain["seen"][1]))
        assert step_record(plain, SCENARIO, heard) == record
        told, heard = observation, step_record(plain, SCENARIO, heard).observation
    assert lengths == [3, 1, 4]


@pytest.mark.parametrize("pages", [[[0, 4]], [[3, 1]], [[-1, 1]], [[0, 0]]])
def test_pages_that_were_never_told_are_refused(pages: list[list[int]]) -> None:
    """A record that refers to more than the observation before has is none."""
    plain = {"index": 0, "outcome": None, "check": None, "seen": [0, pages, []]}
    with pytest.raises(ValueError, match="in the observation before"):
        step_record(plain, SCENARIO, Observation(0, PAGES[:3]))


def test_a_scenario_that_cannot_be_read_is_an_error_in_words() -> None:
    """The guest lives on, and says what it could not read."""
    said: list[Any] = []
    _run(SimpleNamespace(send=said.append), SimpleNamespace(name="live"), "scenario x\nmapp P x anon\n", None)  # type: ignore[arg-type]
    (message,) = said
    assert message["verdict"]["verdict"]["kind"] == "error"
    assert "the guest cannot read what the host sent: line 2, column 1:" in message["verdict"]["verdict"]["reason"]
