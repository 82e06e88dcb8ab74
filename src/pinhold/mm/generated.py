"""`@kernel` functions made from a table, of fields or of operations, so that a new line cannot be forgotten in them."""

from __future__ import annotations

import linecache
from collections.abc import Iterable
from typing import Any

from pinhold.mm.kernel import kernel


def made(lines: Iterable[str], module: dict[str, Any]) -> Any:
    """The function whose source text these lines are, of the module whose globals are given; inspect finds its source
    as if it stood in a file."""
    text = "\n".join(lines) + "\n"
    name = text[len("def ") : text.index("(")]
    file = f"<{module['__name__']}.{name}>"
    source = f"# Made by {module['__name__']} when it was imported: edit that.\n{text}"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), module)
    return kernel(module[name])
