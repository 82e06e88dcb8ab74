"""The table of steps: each record is whole, and every table of handlers is about just the steps that it has to be."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields

import pytest

from pinhold.explore.world import NUMBERS
from pinhold.scenario import steps as s
from pinhold.scenario.forms import Chosen, Field, Form, Keyed, Role, Thing
from pinhold.targets import expect
from pinhold.targets.live import session as live
from pinhold.targets.live import taking
from pinhold.targets.model import calls, tasks
from pinhold.targets.model import session as model

HOLDS = {each for each in s.STEPS if issubclass(each, s.Hold)}


def written(form: Form) -> set[str]:
    """The fields that a form says something of."""
    parts = {part.name for part in form.parts if isinstance(part, Field)}
    options = {option.name for option in form.options if isinstance(option, Chosen)}
    keyed = {option.part.name for option in form.options if isinstance(option, Keyed)}
    return parts | options | keyed | set(form.fixed) | ({"text"} if form.text else set())


@pytest.mark.parametrize("each", s.STEPS, ids=lambda each: each.__name__)
def test_a_line_states_every_field(each: type[s.Step]) -> None:
    """What a step has is written by its forms, and they write nothing else."""
    inner = {s.Map: {"kind", "size"}, s.Start: {"step"}}.get(each, set())
    assert set().union(*map(written, each.forms)) | inner == {field.name for field in fields(each)}


@pytest.mark.parametrize("each", s.STEPS, ids=lambda each: each.__name__)
def test_a_step_is_either_done_or_looked_at(each: type[s.Step]) -> None:
    """It is an action of a target or a statement for the runner; only an action can be started."""
    assert issubclass(each, s.Action) != issubclass(each, s.Statement)
    assert issubclass(each, s.Action) or not each.startable
    assert not (each.startable and issubclass(each, s.Schedule))


@pytest.mark.parametrize("each", s.STEPS, ids=lambda each: each.__name__)
def test_what_takes_pages_under_a_name_is_a_hold_or_a_copy(each: type[s.Step]) -> None:
    """The classes and what their lines make say the same."""
    makes = {part.thing for form in each.forms for part in form.names() if part.role is Role.MAKES}
    assert (Thing.PIN in makes) == issubclass(each, (s.Hold, s.Copy))
    assert len(makes) <= 1


@pytest.mark.parametrize(
    ("table", "steps"),
    [
        pytest.param(model.DO, s.actions(), id="model"),
        pytest.param(live.DO, s.actions(), id="live"),
        pytest.param(tasks.BEGIN, s.startable(), id="tasks"),
        pytest.param(NUMBERS, {*s.startable(), s.SwapIn, s.DeviceWrite}, id="scopes"),
        pytest.param(calls.WANTS, HOLDS, id="model pins"),
        pytest.param(taking.NEEDS, HOLDS, id="live pins"),
        pytest.param(taking.ITS_OWN, HOLDS - {s.Pin}, id="live mechanisms"),
        pytest.param(
            expect.CHECKS, {each for each in s.STEPS if issubclass(each, s.Expectation)} - {s.ExpectErrno}, id="expect"
        ),
    ],
)
def test_a_table_of_handlers_has_every_step(table: Collection[type[s.Step]], steps: Collection[type[s.Step]]) -> None:
    """A step without a handler, and a handler without a step, is told here by its name."""
    assert {each.__name__ for each in table} == {each.__name__ for each in steps}
