"""What the doctor foresees of a kernel is what becomes of it."""

from pathlib import Path

import pytest

from pinhold.commands.select import select
from pinhold.lab.kconfig import configuration
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget
from pinhold.scenario.watch import gigantic
from pinhold.system.foreseen import by_configuration, by_guest, reasons

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

TESTS = [test for test in select(["seed/1-24", "seed/145-162", "pins", "stock"]) if not gigantic(test.scenario)]


@pytest.mark.parametrize("kernel", ["6.1"], indirect=True)
def test_what_is_foreseen_to_be_skipped_is_skipped(kernel: Kernel) -> None:
    """A stock image without its modules: no disks, no VFIO, no pinprobe.  Exactly those tests are skipped of which it
    was told before, and for the reason that was told first or another one of those."""
    image = Kernel("own", Path(kernel.image), kernel.release, own=True)
    target = VmTarget(image.name, image)
    target.big = False
    try:
        info = target.info()
        lacks = by_guest(info, by_configuration(configuration(image), info.rules, modules=False, pinprobe=False))
        foreseen = {test.name for test in TESTS if reasons(test.scenario, lacks, info.rules)}
        results = list(target.run_all([test.scenario for test in TESTS]))
    finally:
        target.close()
    skipped = {
        test.name: r.verdict.reason for test, r in zip(TESTS, results, strict=True) if r.verdict.kind == "skipped"
    }
    assert set(skipped) == foreseen, {name: skipped.get(name) for name in set(skipped) ^ foreseen}
    assert len(skipped) > 60
