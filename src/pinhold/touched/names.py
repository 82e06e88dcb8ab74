"""What the kernel calls the functions of the specification, in whatever release.

A function of mm/ has the kernel's name for it, or its docstring says behind "Linux:" of which functions it is; an
operation has the name that a reader knows, and a decision site names the function that decides.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pinhold.mm.kernel import REGISTRY, Function, load_specification
from pinhold.mm.operations import OPERATIONS
from pinhold.mm.sites import SITES

_OWN = frozenset({"access", "chance", "generated", "limits", "operations", "step", "task", "trap"})
"""Files of mm/ whose own names are none of the kernel's."""

_CALLED = re.compile(r"\b([A-Za-z_]\w+)\(\)")


@dataclass(frozen=True, slots=True)
class Means:
    """What a function of the kernel is in the specification: functions of mm/, and decisions by the site's name."""

    functions: frozenset[Function] = frozenset()
    sites: frozenset[str] = frozenset()


@cache
def known() -> Mapping[str, Means]:
    """Every name of the kernel that the specification knows."""
    load_specification()
    functions: dict[str, set[Function]] = {}
    for function in REGISTRY:
        own = function.__module__.rpartition(".")[2]
        words = _CALLED.findall((inspect.getdoc(function) or "").partition("Linux:")[2])
        for name in (*words, *(() if own in _OWN else (function.__name__,))):
            functions.setdefault(name, set()).add(function)
    for operation in OPERATIONS:
        if operation.name.isidentifier():
            functions.setdefault(operation.name, set()).add(operation.function)
    sites: dict[str, set[str]] = {}
    for site in SITES:
        sites.setdefault(site.function, set()).add(site.name)
    return {
        name: Means(frozenset(functions.get(name, ())), frozenset(sites.get(name, ())))
        for name in sorted({*functions, *sites})
    }
