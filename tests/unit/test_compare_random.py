"""`compare --random`: where two sides part in random scenarios, as small as it gets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.commands import registry
from pinhold.conform import wanted
from pinhold.conform.beside import Both, Difference, beside, part, scenarios
from pinhold.scenario.parse import parse
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.steps import Scenario
from pinhold.scenario.verdict import Verdict
from pinhold.targets.live.pins import holders
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result, run_scenario

PINNED = parse(
    "scenario pinned\nobserve\nmap P x anon pages 2\nread P x\nmap P y anon\npin P x as p longterm\nread P y\n"
)
MECHANISMS = tuple(holders("6.1").values())
BEFORE, AFTER = ModelTarget("6.1"), ModelTarget("6.2")


def both(scenario: Scenario) -> Both:
    """On the release before the patch and on the one with it."""
    return run_scenario(BEFORE, scenario), run_scenario(AFTER, scenario)


def test_a_rule_is_found_and_made_small(capsys: pytest.CaptureFixture[str]) -> None:
    """Two models that differ in one rule: a mapping and a pin are left; the same seed, the same words."""
    words = ["compare", "model:6.12", "model:6.12,gup_unshares=anon", "--random", "9", "--seed", "1"]
    assert main(words) == 1
    out = capsys.readouterr().out
    assert "memlock 1:8: after pin P a as p longterm, P a[0]: kind: anon on model:6.12, zero on model:6.12,gup_u" in out
    assert "    map     P a anon pages 1\n    pin     P a as p longterm\n" in out
    assert "9 random scenarios, " in out and "1 difference; seed 1" in out
    assert main(words) == 1
    assert capsys.readouterr().out == out


def test_alike_and_beside_a_suite(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing differs; with tests both are told, and the worse status counts."""
    assert main(["compare", "model:6.12", "model:6.12", "--random", "3"]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert main(["compare", "model:6.1", "model:6.2", "seed/151", "--random", "1"]) == 1
    out = capsys.readouterr().out
    assert "differ in 1 test" in out and "1 random scenario, " in out


@pytest.mark.parametrize(
    "words",
    [
        ["model:6.1", "vm:6.1", "--random", "3"],
        ["model:6.1", "model:6.2", "--random", "3", "--bisect"],
        ["model:6.1", "model:6.2", "--seed", "3"],
        ["model:6.1", "model:6.2", "--random", "0"],
    ],
    ids=lambda words: words[-1],
)
def test_what_does_not_go_together(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence each."""
    assert main(["compare", *words]) == 3 + 128 * ("--bisect" in words)
    assert "--" in capsys.readouterr().err


def test_no_saved_run_is_run_again(tmp_path: Path) -> None:
    """It has what it has."""
    saved = tmp_path / "run.json"
    assert main(["run", "seed/151", "--on", "model:6.1", "--format", "json", "-o", str(saved)]) == 1
    assert main(["compare", str(saved), "model:6.2", "--random", "3"]) == 3


def turns(*given: Callable[[Scenario], Both]) -> Callable[[Scenario], Both]:
    """Each does one run, the last one all that follow."""
    left = deque(given)

    def run(scenario: Scenario) -> Both:
        do = left.popleft() if len(left) > 1 else left[0]
        return do(scenario)

    return run


def alike(scenario: Scenario) -> Both:
    """The same on both sides."""
    return run_scenario(AFTER, scenario), run_scenario(AFTER, scenario)


def test_what_comes_once_does_not_count() -> None:
    """On kernels a difference is looked at in three runs; one of three is chance, two are not.  Each is told, too."""
    heard: list[Difference] = []
    chance = beside([both(PINNED)], turns(alike), False, heard.append)
    assert [(d.came, d.counts) for d in chance.differences] == [(1, False)]
    assert chance.differences[0].scenario == part(*both(PINNED)).scenario  # type: ignore[union-attr]
    often = beside([both(PINNED), both(PINNED)], turns(alike, both), False, heard.append)
    assert [(d.came, d.counts) for d in often.differences] == [(2, True)]
    assert often.like == 1
    assert heard == chance.differences + often.differences
    assert len(often.differences[0].scenario.steps) == 2


def test_a_kernel_that_goes_on_no_more_differs() -> None:
    """From one that does; the tool's own trouble is no difference."""
    ours = run_scenario(AFTER, PINNED)

    def ended(kind: str) -> Result:
        return replace(ours, target="vm:x", steps=ours.steps[:2], verdict=Verdict(kind, None, "why", 2))

    parted = part(ours, ended("livelock"))
    assert parted is not None
    assert parted.words == "at map P y anon, vm:x is livelock and model:6.2 is not: why"
    assert len(parted.scenario.steps) == 3
    assert part(ended("crashed"), ended("crashed")) is None
    assert part(ours, ended("error")) is None
    assert beside([(ours, ended("error"))], both, False, print).trouble == ["pinned: vm:x: why"]


def test_scenarios_take_turns_and_harm_no_kernel() -> None:
    """Of all profiles, the same each time; none is for virtual machines alone."""
    made = [*scenarios(AFTER, None, 3, 14)]
    assert made == [*scenarios(AFTER, None, 3, 14)]
    assert len({scenario.title.split()[0] for scenario in made}) == 12
    assert not any(scenario.vm_only for scenario in made)


class Guest:
    """A kernel in QEMU that does what a model does."""

    def __init__(self, name: str, model: ModelTarget) -> None:
        self.name = self.what = name
        self.model = model
        self.closed = 0

    def unavailable(self) -> None:
        """It can be booted."""

    def info(self) -> TargetInfo:
        """Its release, and nothing else of it."""
        return TargetInfo(self.name, self.model.release, self.model.release, {}, {}, self.what)

    def run_all(self, scenarios: Sequence[Scenario]) -> Iterator[Result]:
        """One after the other."""
        return (replace(run_scenario(self.model, scenario), target=self.name) for scenario in scenarios)

    def share(self, guests: int) -> None:
        """One is enough."""

    def close(self) -> None:
        """It ends, and may be booted again."""
        self.closed += 1

    def stop(self) -> None:
        """Nothing runs."""


def test_two_kernels(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The scenarios are of the first one's model; what differs is run again on both, and both are closed at the end."""
    guests = {"vm:./base": Guest("vm:./base", BEFORE), "vm:./patched": Guest("vm:./patched", AFTER)}
    monkeypatch.setattr(registry, "make_target", lambda name, **_: guests[name])
    monkeypatch.setattr(wanted, "there", lambda info: MECHANISMS)
    assert main(["compare", *guests, "--random", "9"]) == 1
    out = capsys.readouterr().out
    assert "P a[0]: level: pmd on vm:./base, pte on vm:./patched (3 of 3 runs)" in out
    assert "vm:./base and vm:./patched: 9 random scenarios, " in out
    assert all(guest.closed for guest in guests.values())
    assert main(["compare", "vm:./base", "vm:./base", "--random", "5"]) == 0
