"""What `--on` names, opened as a view: the running kernel, a dump, or a guest."""

from __future__ import annotations

from pinhold.inspect import KINDS
from pinhold.inspect.errors import CannotLook
from pinhold.inspect.memory import kcore, qmp, vmcore
from pinhold.inspect.view import View


def opened(on: str) -> View:
    """Raises CannotLook."""
    kind, colon, where = on.partition(":")
    if on == "live":
        source = kcore.source()
    elif colon and where and kind == "vmcore":
        source = vmcore.source(where)
    elif colon and where and kind == "qmp":
        source = qmp.source(where)
    else:
        raise CannotLook(f"{on!r} names no kernel that can be looked at: {', '.join(KINDS)}")
    try:
        with source.pause():
            return View(source)
    except BaseException:
        source.close()
        raise
