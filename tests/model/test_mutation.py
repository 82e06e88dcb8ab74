"""The mutation check: a wrong rule is noticed.  Switching any rule of 6.2, by itself, changes what some probe sees."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from pinhold.mm import releases, rules
from pinhold.targets.base import Livelock
from play import BASE, Row, row
from rule_probes import PROBES, Probe

MUTATIONS = [
    (rule.name, value)
    for rule in rules.RULES
    for index, value in enumerate(rule.names)
    if index != releases.row(BASE)[rule.name]
]


def outcome(probe: Probe, mutated: Row) -> Any:
    """What the probe sees; a GUP that asks in vain is one of the things to see."""
    try:
        return probe(mutated)
    except Livelock:
        return "livelock"


@cache
def unchanged(rule: str) -> Any:
    """What the rule's probe sees on 6.2."""
    return PROBES[rule](row())


@pytest.mark.parametrize(("rule", "value"), MUTATIONS, ids=[f"{rule}-{value}" for rule, value in MUTATIONS])
def test_switching_one_rule_of_6_2_is_noticed(rule: str, value: str) -> None:
    """With this one rule switched, the rule's own probe sees the difference."""
    assert outcome(PROBES[rule], row(**{rule: value})) != unchanged(rule)


@pytest.mark.nightly
@pytest.mark.parametrize(("rule", "value"), MUTATIONS, ids=[f"{rule}-{value}" for rule, value in MUTATIONS])
def test_nothing_hangs_with_one_rule_of_6_2_switched(rule: str, value: str) -> None:
    """Every probe, whatever rule it is of, comes to an end, as a livelock that is told at the most."""
    mutated = row(**{rule: value})
    for probe in PROBES.values():
        outcome(probe, mutated)


def test_there_is_a_mutation_of_every_rule() -> None:
    """No rule is left out."""
    assert {rule for rule, _ in MUTATIONS} == {rule.name for rule in rules.RULES}
