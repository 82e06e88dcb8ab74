"""The model, pinning with flags that a scenario cannot say (FOLL_GET, FOLL_ANON …) and with rules turned back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from pinhold.mm import flags as k
from pinhold.mm.machine import create
from pinhold.mm.pinning import pin_start
from pinhold.mm.state import X86_64, Geometry
from pinhold.mm.step import run
from pinhold.scenario.steps import Hold, Pin, Scenario
from pinhold.targets.model.calls import USER
from pinhold.targets.model.room import roomy
from pinhold.targets.model.session import TASK, ModelSession
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.model.users import free_pin

SMALL = replace(X86_64, bits=5, pages=1024, file_pages=64, swap=64)
"""THPs of 32 pages and as many to a 2 MiB hugetlb page: no rule asks for more, and the answer is there sooner."""

_FUEL = 1 << 10
"""Steps of a pin of a few entries, and to spare: rules that no kernel had together can leave GUP and its faults waiting
for each other for ever."""


class AskTarget(ModelTarget):
    """`model:REL` where every `pin` step asks GUP for exactly `flags`.

    rules: switches that differ from the release's row, by value.  user: who pins, where that is not as the step says.
    """

    def __init__(
        self,
        release: str,
        flags: int,
        rules: Mapping[str, int] | None = None,
        geometry: Geometry = SMALL,
        user: str = "",
    ) -> None:
        super().__init__(release, geometry=geometry)
        self.flags = flags
        self.user = user
        self.row = self.row | dict(rules or {})

    @contextmanager
    def open(self, scenario: Scenario) -> Iterator[ModelSession]:
        machine = create(roomy(self.geometry, scenario), self.row, self.config, checked=self.checked)
        session = _AskSession(machine, scenario, self.release)
        session.flags, session.user = self.flags, self.user
        yield session


class _AskSession(ModelSession):
    flags: int
    user: str

    def wanted(self, a: Hold) -> tuple[int, int]:
        flags, user = super().wanted(a)
        if not isinstance(a, Pin):
            return flags, user
        return self.flags | (flags & k.WANT_FAST), USER[self.user] if self.user else user

    def take_pin(self, name: str, span: tuple[int, int, int], flags: int, user: int) -> int:
        pin = free_pin(self.m)
        pin_start(self.m, TASK, pin, *span, flags, user)
        result = run(self.m, TASK, _FUEL) or -k.EFAULT
        if result > 0:
            self.names.pins[name] = pin
        return result
