"""The records of kinds of memory and of advice."""

from __future__ import annotations

import mmap
from dataclasses import fields

import pytest

from pinhold.mm import state
from pinhold.scenario.advice import ADVICE
from pinhold.scenario.kinds import KINDS, Backing, Kind
from pinhold.scenario.small import OFF, SWITCHES, Small
from pinhold.targets.model.target import CONFIG


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_kind_is_one_thing(kind: Kind) -> None:
    """Anonymous memory has no descriptor and no name; only anonymous memory is advised to be in THPs or read first."""
    assert not (kind.anonymous and (kind.descriptor or kind.linked))
    assert kind.anonymous or not (kind.thp or kind.zero)
    assert kind.descriptor or not kind.linked


def test_every_backing_has_a_kind() -> None:
    """What the page cache can be of is something that a scenario can map again."""
    assert {kind.backing for kind in KINDS.values() if kind.descriptor} == set(Backing)


def test_an_advice_has_the_number_that_python_knows() -> None:
    """Python's own mmap module names the same numbers, as far as it goes."""
    known = {name: getattr(mmap, advice.constant, None) for name, advice in ADVICE.items()}
    assert {name for name, number in known.items() if number is None} <= {"pageout", "populate_read", "populate_write"}
    assert all(number in (None, ADVICE[name].number) for name, number in known.items())
    assert len({advice.number for advice in ADVICE.values()}) == len(ADVICE)


def test_a_configuration_has_the_same_names_everywhere() -> None:
    """What a release is taken to have, what a small machine can be asked for, and the fields of the specification."""
    config = {name.removeprefix("config_") for name, _ in state.fields() if name.startswith("config_")}
    assert set(OFF) == set(CONFIG) == config
    assert set(SWITCHES) == {f.name for f in fields(Small)} & config - {"swap"}  # there it is a number of slots
