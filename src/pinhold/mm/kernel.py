"""The registry of specification functions.

`@kernel` marks a function as part of the subset that compiles: signed integers only; no exceptions, allocation,
strings, closures or default arguments; errors are returned as negative errno values.  Marking does nothing else here:
whoever compiles (the explorer) walks `REGISTRY`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

REGISTRY: list[Callable[..., object]] = []


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Register a function of the specification and return it unchanged."""
    REGISTRY.append(function)
    return function


def load_specification() -> None:
    """Import every file of mm/, so that REGISTRY has every function of it."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"pinhold.mm.{module.name}")
