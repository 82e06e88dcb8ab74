"""A long way to something bad made short: steps are left out, and what is near is searched.

What is left is the shortest way of the operations that it has, if `proven`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pinhold.explore.budget import Budget
from pinhold.explore.result import Violation
from pinhold.explore.search import Stepper, search
from pinhold.explore.shortest import fewest_context_switches
from pinhold.explore.via import WENT_ON, ActionNumber, Via
from pinhold.explore.world import World

NEAR = 64 << 20
"""Bytes of states that are looked at before a way is taken as it is: some 100,000 states."""


@dataclass(frozen=True)
class Short:
    path: tuple[Via, ...]
    violation: Violation
    proven: bool


class FewOperations(Stepper):
    """The moves of a scope in which nothing else can begin."""

    def __init__(self, world: World, only: frozenset[ActionNumber], like: Stepper) -> None:
        super().__init__(
            world,
            symmetric=like.symmetric,
            properties=like.properties,
            invariants=like.invariants,
            stuck=like.stuck,
        )
        self.only = only

    def successors(self, state: bytes) -> Iterator[tuple[Via, bytes]]:
        allowed = {WENT_ON, *self.only}
        return ((via, after) for via, after in super().successors(state) if via.action in allowed)


def shortened(stepper: Stepper, path: tuple[Via, ...]) -> Short:
    """path: leads to a state that is bad, or in which everybody waits."""
    path = without_detours(stepper, path)
    used = frozenset(via.action for via in path if via.action != WENT_ON)
    few = FewOperations(stepper.world, used, stepper)
    near = search(few, Budget(bytes=NEAR, depth=len(path) - 1)) if len(path) > 1 else None
    if near is not None and near.violation is not None:
        path = near.path
    proven = near is None or near.violation is not None or not near.limit.startswith("the memory")
    violation = end(stepper, path)
    assert violation is not None
    if not violation.stuck:
        path = fewest_context_switches(few, path)
        violation = end(stepper, path) or violation
    return Short(path, violation, proven)


def without_detours(stepper: Stepper, path: tuple[Via, ...]) -> tuple[Via, ...]:
    """Parts are left out as long as what is left still leads to something bad: large ones first, then single steps."""
    size = len(path)
    while size:
        start = 0
        while start < len(path):
            rest = walked(stepper, path[:start] + path[start + size :])
            if rest is not None and len(rest) < len(path):
                path = rest
            else:
                start += size
        size = min(size // 2, len(path))
    return path


def walked(stepper: Stepper, path: tuple[Via, ...]) -> tuple[Via, ...] | None:
    """Of these steps those that can be taken, one after the other, up to the first bad state; None: there is none."""
    state = stepper.first()
    taken: list[Via] = []
    for via in path:
        after = successor(stepper, state, via)
        if after is None:
            continue
        state = after
        taken.append(via)
        if stepper.wrong(state):
            return tuple(taken)
    return tuple(taken) if stepper.stuck and is_stuck(stepper, state) else None


def successor(stepper: Stepper, state: bytes, via: Via) -> bytes | None:
    """The state after that step, or None where it cannot be taken."""
    stepper.put(state)
    if (stepper.m.task_depth[via.task] != 0) != (via.action == WENT_ON):
        return None
    if not stepper.step(state, via.task, stepper.world.numbers(via.action), via.chance):
        return None
    return stepper.taken() if via.chance < stepper.m.choices[0] else None


def is_stuck(stepper: Stepper, state: bytes) -> bool:
    return not any(True for _ in stepper.successors(state)) and stepper.busy


def end(stepper: Stepper, path: tuple[Via, ...]) -> Violation | None:
    """What is wrong at the end of a way."""
    state = stepper.first()
    for via in path:
        after = successor(stepper, state, via)
        if after is None:
            return None
        state = after
    return stepper.wrong(state) or (Violation(stuck=True) if is_stuck(stepper, state) else None)
