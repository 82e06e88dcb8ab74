"""Small machines that a probe steps by hand."""

from __future__ import annotations

from pinhold.mm import flags as k
from pinhold.mm.machine import Machine
from pinhold.mm.state import TINY
from pinhold.mm.step import step
from play import Play, Row


def machine(chosen: Row, text: str) -> tuple[Play, Machine]:
    """A played scenario on a small machine of three tasks, for stepping on by hand."""
    played = Play(chosen, text, geometry=TINY)
    return played, played.m


def step_while(m: Machine, task: int, *, limit: int = 200) -> int:
    """Let the task step until it is done or blocked."""
    for _ in range(limit):
        outcome = step(m, task)
        if outcome != k.AGAIN:
            return outcome
    raise AssertionError("the task does not end")
