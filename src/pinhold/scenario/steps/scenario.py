"""A scenario: what the lines of one text state together."""

from __future__ import annotations

from dataclasses import dataclass

from pinhold.scenario.ranges import Range
from pinhold.scenario.small import Small
from pinhold.scenario.steps.schedule import Start
from pinhold.scenario.steps.table import Step


@dataclass(frozen=True, slots=True)
class Scenario:
    """A title, the steps, and the pages to watch besides the default ones.  The first process is `P`.

    xfail: why an expectation is known to be violated, in words; the verdict is then xfail instead of violated.
    vm_only: why it may crash or corrupt a vulnerable kernel, in words; then it runs on a kernel in a virtual machine
    that is thrown away afterwards, and never on the kernel that runs here.
    small: the machine that its schedule is made for; then it runs on models only.
    observe: it is for a comparison: every step is done and looked at, and one that fails, or that the target cannot do,
    ends nothing.
    """

    title: str
    steps: tuple[Step, ...]
    watch: tuple[Range, ...] = ()
    xfail: str | None = None
    vm_only: str | None = None
    small: Small | None = None
    observe: bool = False


def done_by(step: Step) -> Step:
    """What the step does: itself, or the operation that it starts."""
    return step.step if isinstance(step, Start) else step
