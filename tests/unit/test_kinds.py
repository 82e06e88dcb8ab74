"""The records of kinds of memory and of advice."""

from __future__ import annotations

import mmap
from dataclasses import fields

import pytest

from pinhold.mm import flags as k
from pinhold.mm import madvise, state
from pinhold.scenario.advice import ADVICE, Advice
from pinhold.scenario.kinds import KINDS, Backing, Kind
from pinhold.scenario.small import OFF, SWITCHES, Small
from pinhold.targets.model.target import CONFIG
from play import Play, row


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_kind_is_one_thing(kind: Kind) -> None:
    """Anonymous memory has no descriptor and no name; only anonymous memory is advised to be in THPs or read first."""
    assert not (kind.anonymous and (kind.descriptor or kind.linked))
    assert kind.anonymous or not (kind.thp or kind.zero)
    assert kind.descriptor or not kind.linked


def test_every_backing_has_a_kind() -> None:
    """What the page cache can be of is something that a scenario can map again."""
    assert {kind.backing for kind in KINDS.values() if kind.descriptor} == set(Backing)


def test_the_specification_follows_every_advice() -> None:
    """The language's advice and the specification's are the same, by the numbers of madvise()."""
    known = {number: name for name, number in vars(madvise).items() if name.startswith("MADV_")}
    assert {advice.number: advice.constant for advice in ADVICE.values()} == known
    assert {advice.number for advice in ADVICE.values()} == {advice.number for advice in madvise.ADVICES}


def test_an_advice_has_the_number_that_python_knows() -> None:
    """Python's own mmap module names the same numbers, as far as it goes."""
    known = {name: getattr(mmap, advice.constant, None) for name, advice in ADVICE.items()}
    assert {name for name, number in known.items() if number is None} <= {
        "pageout",
        "populate_read",
        "populate_write",
        "collapse",
    }
    assert all(number in (None, ADVICE[name].number) for name, number in known.items())
    assert len({advice.number for advice in ADVICE.values()}) == len(ADVICE)


def test_a_configuration_has_the_same_names_everywhere() -> None:
    """What a release is taken to have, what a small machine can be asked for, and the fields of the specification."""
    config = {name.removeprefix("config_") for name, _ in state.fields() if name.startswith("config_")}
    assert set(OFF) == set(CONFIG) == config
    assert set(SWITCHES) == {f.name for f in fields(Small)} & config - {"swap"}  # there it is a number of slots


@pytest.mark.parametrize("advice", ADVICE.values(), ids=lambda advice: advice.name)
def test_an_advice_that_came_later_says_since_when(advice: Advice) -> None:
    """The oldest release refuses those, and those alone, of memory that is fit for all."""
    text = f"map P x anon pages 512\nwrite P x 0x01\nmadvise P x hugepage\nmadvise P x {advice.name}"
    errnos = {release: Play(row(release), text).errnos[-1] for release in ("5.10", "7.3")}
    assert errnos == {"5.10": 0 if advice.since is None else k.EINVAL, "7.3": 0}
