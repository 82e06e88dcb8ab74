"""What a search can be asked, how it is answered in words, and the exit status of each answer."""

from __future__ import annotations

import argparse
from dataclasses import replace
from difflib import get_close_matches
from itertools import pairwise

from pinhold.commands import UsageError
from pinhold.commands.explore_given import EXIT_HELD, EXIT_UNKNOWN, EXIT_VIOLATED, in_memory
from pinhold.explore.budget import Watch
from pinhold.explore.facts import decisions_of
from pinhold.explore.find import goals, unreached
from pinhold.explore.livelock import livelock
from pinhold.explore.result import SearchResult
from pinhold.explore.run import Options, explore, maker_for, walker_for
from pinhold.explore.search import Stepper
from pinhold.explore.shorten import Short
from pinhold.explore.story import verdict
from pinhold.explore.switches import SwitchSearch
from pinhold.explore.walk import Plan, walk
from pinhold.explore.world import World
from pinhold.scenario.ran import FIND

TELL_ODDS = 1e-9
"""Odds of a mistake that are told."""


class Question:
    """Whether something bad is reachable: what is asked if nothing else is."""

    asked = ""

    def ask(self, ready: World, how: Options, watch: Watch) -> SearchResult:
        return explore(ready, how, watch)

    def far(self, result: SearchResult) -> str:
        """How far the search went."""
        return f"{result.states:,} states, {result.transitions:,} transitions, depth {result.depth}"

    def answer(self, ready: World, result: SearchResult) -> str:
        """A sentence or two."""
        if result.violation is not None:
            return f"Found: {verdict(result.violation)}, {len(result.path)} steps from the start."
        if result.limit:
            return f"Not exhausted: {result.limit}. Nothing bad up to depth {result.depth}."
        if vacuous := unreached(ready, result):
            return (
                f"Exhausted: nothing bad is reachable. But it never decides what it is there for: {', '.join(vacuous)}."
            )
        odds = f" The odds that two states were mistaken for one are below {result.odds:.0e}."
        return f"Exhausted: nothing bad is reachable.{odds if result.odds > TELL_ODDS else ''}"

    def status(self, ready: World, result: SearchResult) -> int:
        if result.violation is not None or unreached(ready, result):
            return EXIT_VIOLATED
        return EXIT_HELD if result.exhausted else EXIT_UNKNOWN


class Find(Question):
    """The shortest way to a decision, or to a state that violates a property."""

    def __init__(self, name: str) -> None:
        """Raises UsageError."""
        if name not in goals():
            near = get_close_matches(name, goals(), n=3, cutoff=0.5)
            meant = f"did you mean {' or '.join(near)}?" if near else "--find list tells all"
            raise UsageError(f"no decision, property or invariant is called {name!r}: {meant}")
        self.name, self.goal = name, goals()[name]
        self.asked = f"{FIND}{name}"

    def ask(self, ready: World, how: Options, watch: Watch) -> SearchResult:
        return explore(ready, self.goal.options(how), watch)

    def answer(self, ready: World, result: SearchResult) -> str:
        if self.goal.found(result):
            return f"Found: {self.name}, {len(result.path)} steps from the start."
        if result.violation is not None:
            return f"Ended before {self.name} was found: {verdict(result.violation)}."
        if result.limit:
            return f"Not found: {self.name}, up to depth {result.depth}; {result.limit}."
        return f"Exhausted: {self.name} is not reachable ({self.goal.words})."

    def status(self, ready: World, result: SearchResult) -> int:
        if self.goal.found(result):
            return EXIT_HELD
        return EXIT_VIOLATED if result.exhausted else EXIT_UNKNOWN


class Livelock(Question):
    """Whether operations can go round for ever, in a cycle in which none ends."""

    asked = "livelock"

    def ask(self, ready: World, how: Options, watch: Watch) -> SearchResult:
        return livelock(
            maker_for(ready, replace(how, properties=0, invariants=False)), len(ready.actions), how.budget, watch
        )

    def answer(self, ready: World, result: SearchResult) -> str:
        if result.violation is not None:
            steps = f"{result.violation.cycle} steps, {len(result.path) - result.violation.cycle} from the start"
            return f"Found: operations go round for ever, in a cycle of {steps}."
        if result.limit:
            return f"Not exhausted: {result.limit}. Cycles are looked for when all states are known."
        return "Exhausted: every operation ends, unless others begin again and again."


class Switches(Question):
    """Whether something bad is reachable by so many changes from one task to another at most."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.asked = f"switches {most}"

    def ask(self, ready: World, how: Options, watch: Watch) -> SearchResult:
        return SwitchSearch(maker_for(ready, how), self.most, len(ready.actions)).run(how.budget, watch)

    def answer(self, ready: World, result: SearchResult) -> str:
        if result.violation is not None:
            changes = sum(one.task != other.task for one, other in pairwise(result.path))
            steps = f"{len(result.path)} steps from the start, with {changes} context switches"
            return f"Found: {verdict(result.violation)}, {steps}: the fewest, and so the fewest steps."
        if result.limit:
            return f"Not exhausted: {result.limit}. Nothing bad up to there."
        return f"Exhausted: with more than {self.most} switches nothing more is reachable, and nothing bad is."


class Walks(Question):
    """Whether random walks come to something bad."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.asked = f"walk {plan.walks} seed {plan.seed}"
        self.short: Short | None = None

    def ask(self, ready: World, how: Options, watch: Watch) -> SearchResult:
        stepper = Stepper(ready, symmetric=how.symmetric, invariants=how.invariants)
        result, self.short = walk(walker_for(ready, how, stepper), stepper, self.plan, how.budget, watch)
        return result

    def far(self, result: SearchResult) -> str:
        return f"about {result.states:,} states, {result.transitions:,} steps of walks with seed {self.plan.seed}"

    def answer(self, ready: World, result: SearchResult) -> str:
        told = f"Decisions passed: {len(result.sites)} of {len(decisions_of(ready) | result.sites)}."
        if result.violation is not None and self.short is not None:
            shortest = "no way of these operations is shorter" if self.short.proven else "there may be a shorter way"
            return f"Found: {verdict(result.violation)}, {len(result.path)} steps from the start; {shortest}. {told}"
        return f"Not exhausted: {result.limit}. Nothing bad was met. {told}"


def question_of(options: argparse.Namespace) -> Question:
    """What the command line asks.  Raises UsageError."""
    asked = [word for word in ("find", "livelock", "switches", "walk") if getattr(options, word) is not None]
    if options.seed is not None and "walk" not in asked:
        raise UsageError("--seed is of --walk")
    if len(asked) > 1:
        raise UsageError(f"one question at a time: not {' and '.join(f'--{word}' for word in asked)}")
    if not asked:
        return Question()
    in_memory(options, f"--{asked[0]}")
    if options.find:
        return Find(options.find)
    if options.livelock:
        return Livelock()
    if options.switches is not None:
        return Switches(options.switches)
    return Walks(
        Plan(options.seed if options.seed is not None else Plan.seed, options.walk, options.depth or Plan.steps)
    )
