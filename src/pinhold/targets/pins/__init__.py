"""The pin mechanisms of live kernels, in order of preference."""

from __future__ import annotations

from pinhold.targets.pins.base import Mechanism
from pinhold.targets.pins.gup_test import GupTest
from pinhold.targets.pins.vmsplice import Vmsplice

MECHANISMS: dict[str, Mechanism] = {mechanism.name: mechanism for mechanism in (GupTest(), Vmsplice())}
