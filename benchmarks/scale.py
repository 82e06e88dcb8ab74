"""What `pinhold pins` takes of a large machine: time and peak memory of a scan of all its struct pages with the owners
of what is pinned, on a machine made by hand (synthetic.py).

    python benchmarks/scale.py                    # 256 GiB, 10,000 pins
    python benchmarks/scale.py --gib 64 --pins 1000

A scan alone, then the whole look: by wall and by processor time.  The machine is made before the clock starts; peak
memory is that of the whole process: Python, drgn, numpy, the machine.
Status 1 where the answer is not what was made.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from pinhold.inspect.pinned import Look
from pinhold.inspect.records import Selection
from pinhold.inspect.scan import pinned
from synthetic import Machine

Made = TypeVar("Made")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=int, default=256, help="memory of the machine; default: 256")
    parser.add_argument("--pins", type=int, default=10_000, help="pinned pages; default: 10,000")
    options = parser.parse_args()
    machine = Machine(options.gib << 18, options.pins)
    view = machine.view()
    before = _peak()
    found, scan = _timed(lambda: sum(1 for _ in pinned(view)))
    told, look = _timed(lambda: Look(view).look(Selection()))
    states = Counter(folio.state for folio in told.folios)
    said = {
        "struct_pages": machine.frames,
        "pinned": found,
        "scan": scan,
        "owners": sum(len(folio.owners) for folio in told.folios),
        "states": dict(states),
        "look": look,
        "peak_mib_before": before,
        "peak_mib": _peak(),
    }
    print(json.dumps(said, indent=2))
    return int(not found == len(told.folios) == options.pins or states != machine.states)


def _timed(work: Callable[[], Made]) -> tuple[Made, dict[str, float]]:
    wall, processor = time.perf_counter(), time.process_time()
    made = work()
    took = {"seconds": time.perf_counter() - wall, "processor_seconds": time.process_time() - processor}
    return made, {name: round(seconds, 1) for name, seconds in took.items()}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


if __name__ == "__main__":
    raise SystemExit(main())
