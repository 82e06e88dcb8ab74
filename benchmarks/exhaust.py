"""Exhaust one scope, compiled, and say in JSON what it took: what peers.py measures as one process.

seconds: of processor time, all threads; wall; load: of the machine, over the last minute; bytes: at most, of the search
itself."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

from pinhold.explore.compiled_search import CompiledSearch
from pinhold.explore.scope import library
from pinhold.explore.search import ALL_PROPERTIES
from pinhold.explore.world import world
from pinhold.mm import releases
from pinhold.mm.properties import LONGTERM_PIN_RELIABLE


class CompileTimes(event.Listener):
    """Seconds that numba spends on each function, without those that it spends on others meanwhile."""

    def __init__(self) -> None:
        self.open: list[tuple[float, list[float]]] = []
        self.seconds: dict[str, float] = {}

    def on_start(self, event: Any) -> None:
        self.open.append((time.perf_counter(), []))

    def on_end(self, event: Any) -> None:
        start, inner = self.open.pop()
        whole = time.perf_counter() - start
        if self.open:
            self.open[-1][1].append(whole)
        name = event.data["dispatcher"].py_func.__name__
        self.seconds[name] = self.seconds.get(name, 0.0) + whole - sum(inner)


@contextmanager
def compile_times() -> Iterator[CompileTimes]:
    times = CompileTimes()
    with event.install_listener("numba:compile", times):
        yield times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scope")
    parser.add_argument("--no-symmetry", action="store_true")
    parser.add_argument("--one-property", action="store_true", help="look at the long-term pin alone, as the peers do")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="threads; default: 1")
    options = parser.parse_args()
    scope = library()[options.scope]
    ready = world(scope, releases.row(scope.rules))
    with compile_times() as times:
        search = CompiledSearch(
            ready,
            symmetric=not options.no_symmetry,
            properties=LONGTERM_PIN_RELIABLE if options.one_property else ALL_PROPERTIES,
            invariants=not options.one_property,
            jobs=options.jobs,
        )
        compiling = search.compile()
    start, wall = time.process_time(), time.monotonic()
    result = search.run()
    seconds, wall = time.process_time() - start, time.monotonic() - wall
    said = {
        "exhausted": result.exhausted,
        "states": result.states,
        "transitions": result.transitions,
        "compile_seconds": compiling,
        "seconds": seconds,
        "wall": wall,
        "load": os.getloadavg()[0],
        "bytes": result.bytes,
        "functions": times.seconds,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
