"""`pinhold watch`: looks at the pinned memory of a process again and again, and tells what changed, and when."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing

from pinhold.commands import UsageError
from pinhold.commands.looking import Looking
from pinhold.inspect.records import NotThere, Selection, Told
from pinhold.report import terminal
from pinhold.report.pinswatch import begun, changes
from pinhold.scenario.verdict import EXIT_HELD, EXIT_VIOLATED


def main(options: Namespace) -> int:
    """Until the process ends, --times looks are done, or Ctrl-C; 1 where something was seen to become STALE."""
    if options.source.startswith("vmcore:"):
        raise UsageError(f"nothing changes in {options.source}: `pinhold pins` tells what there is")
    stale = False
    try:
        with closing(Looking(options.source)) as looking:
            for words, worse in _told(looking, options):
                stale = stale or worse
                terminal.write([f"{time.strftime('%H:%M:%S')}  {words}"])
                sys.stdout.flush()  # a pipe's reader waits for it as well
    except KeyboardInterrupt:
        pass  # the usual end
    return EXIT_VIOLATED if stale else EXIT_HELD


def _told(looking: Looking, options: Namespace) -> Iterator[tuple[str, bool]]:
    """What to say, and whether it is that something has become STALE."""
    selection = Selection(pid=options.pid)
    before = looking.look(selection)
    yield begun(before), False
    yield from ((sentence, False) for sentence in before.missing)
    looks = 1
    while looks != options.times:
        time.sleep(options.every)
        after = _again(looking, selection)
        if after is None or after.processes[:1] == ():
            yield f"process {options.pid} has ended", False
            return
        yield from changes(before, after)
        before = after
        looks += 1


def _again(looking: Looking, selection: Selection) -> Told | None:
    """None: the process is not there any more."""
    try:
        return looking.again(selection)
    except NotThere:
        return None
