"""--allow-change: what a run may change on this machine, until it ends."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

from pinhold.commands import NothingToRun, NotPutBack, UsageError, nearest
from pinhold.commands.select import Selected
from pinhold.system.needs import ALLOWABLE


def allowed(areas: str | None, targets: Iterable[str], tests: Sequence[Selected]) -> AbstractContextManager[None]:
    """Changes what the tests need and the machine misses, for the block; nothing unless a target is the kernel here.

    Raises UsageError; NothingToRun where another run's changes are in the way; NotPutBack.
    """
    chosen = _areas(areas)
    if not chosen or "live" not in targets:
        return nullcontext()
    return _changed(chosen, tests)


def _areas(text: str | None) -> list[str]:
    names = [] if text is None else text.split(",")
    for name in names:
        if name not in ALLOWABLE:
            raise UsageError(f"--allow-change cannot change {name!r}: {nearest(name, ALLOWABLE)}")
    return names


@contextmanager
def _changed(areas: Sequence[str], tests: Sequence[Selected]) -> Iterator[None]:
    from pinhold.system.changed import CannotChange, NotRestored, changed
    from pinhold.system.host import Host
    from pinhold.system.needs import needs_of

    needs = needs_of(test.scenario for test in tests if test.left_out is None)
    try:
        with ExitStack() as stack:
            try:
                stack.enter_context(changed(Host(), needs, areas, tell))
            except CannotChange as reason:
                if reason.in_the_way:
                    raise NothingToRun(f"nothing was run: {reason}") from None
                tell(f"--allow-change changes nothing: {reason}")
            yield
    except NotRestored as failure:
        raise NotPutBack(str(failure)) from None


def tell(sentence: str) -> None:
    """One line for the user, beside what is printed."""
    print(f"pinhold: {sentence}", file=sys.stderr, flush=True)
