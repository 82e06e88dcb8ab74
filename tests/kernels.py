"""Functions of the compiled subset that a test writes itself."""

from __future__ import annotations

import linecache
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from pinhold.compiler.source import Kernel
from pinhold.mm.kernel import REGISTRY, kernel
from pinhold.mm.state import State

NUMBERS = count()


@contextmanager
def written(text: str, **names: Any) -> Iterator[dict[str, Any]]:
    """The functions of the text, registered for as long as the test looks at them; names: what their module has."""
    source = textwrap.dedent(text)
    file = f"<written {next(NUMBERS)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    module: dict[str, Any] = {"__name__": "written", "kernel": kernel, "State": State, **names}
    before = dict(REGISTRY)
    try:
        exec(compile(source, file, "exec"), module)
        yield module
    finally:
        REGISTRY.clear()
        REGISTRY.update(before)


@contextmanager
def function(text: str, **names: Any) -> Iterator[Kernel]:
    """The last function of the text."""
    with written(text, **names) as module:
        yield list(REGISTRY)[-1] if "@kernel" in text else list(module.values())[-1]
