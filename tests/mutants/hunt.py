"""The search for mistakes: random scenarios on a lab kernel that does what is specified, and on specifications with a
mistake each, compared as `pinhold conform` compares.

All are given the same steps, which are made by the specification without a mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import FunctionType

from lab_sight import LabTarget, lab, lab_config
from pinhold.conform.differ import judged
from pinhold.conform.generate import generate
from pinhold.conform.profiles import PROFILES
from pinhold.conform.wanted import wanted
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario
from planted import Mutant, mistaken


@dataclass(frozen=True, slots=True)
class Hunted:
    """steps: that were done, that at which both sides differ included.  scenario: its title.  told: the difference, or
    what the specification broke at."""

    steps: int
    scenario: str
    told: str


class Unlike(Exception):
    """What was found is no mistake's: the lab differs from the specification that has none."""


def hunt(mutants: list[Mutant], seed: int, most: int) -> Iterator[tuple[Mutant, Hunted]]:
    """What is found of mistakes in one release, by steps of all profiles in turn, until all is found or so many are
    done.  A mistake in a function that is not called shows nowhere: it is looked for where it is.  Raises Unlike."""
    (release,) = {mutant.release for mutant in mutants}
    config = lab_config(release)
    real, right = LabTarget(release, config), ModelTarget(release, config)
    models = {mutant: mistaken(mutant, config) for mutant in mutants}
    profiles = [wanted(name, right, disposable=True, info=lab(release)) for name in PROFILES]
    steps = number = 0
    while steps < most and models:
        scenario = generate(right, profiles[number % len(profiles)], seed, number)
        with calls(models) as called:
            shown = run_scenario(real, scenario)
        for mutant in called:
            compared = judged(shown, models[mutant], scenario)
            told = compared.trouble if shown.verdict.kind == "unknown" else ""  # what breaks both tells nothing
            if compared.difference is not None:
                told = compared.words()
            if told:
                if judged(shown, right, scenario).difference is not None:
                    raise Unlike(f"{scenario.title}: the lab does not do what is specified without a mistake: {told}")
                del models[mutant]
                yield mutant, Hunted(steps + len(compared.scenario.steps), scenario.title, told)
        steps += len(shown.observations)
        number += 1


@contextmanager
def calls(mutants: Mapping[Mutant, object]) -> Iterator[set[Mutant]]:
    """The mutants whose function the specification, which has no mistake, calls meanwhile."""
    called: set[Mutant] = set()
    functions: list[tuple[FunctionType, FunctionType]] = []
    for number, mutant in enumerate(mutants):
        function = getattr(import_module(mutant.module), mutant.function)
        same = FunctionType(function.__code__, function.__globals__, function.__name__)
        name = f"_{mutant.function}_{number}"
        function.__globals__[name] = lambda *args, mutant=mutant, same=same: called.add(mutant) or same(*args)
        functions.append((function, same))
        function.__code__ = eval(f"lambda *args: {name}(*args)").__code__
    try:
        yield called
    finally:
        for function, same in reversed(functions):
            function.__code__ = same.__code__
