"""What `pinhold doctor vm:…` foresees of a kernel is what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_kernels import KERNELS
from pinhold.commands.kerneldoctor import foreseen, model_for
from pinhold.commands.select import select
from pinhold.lab.kconfig import configuration
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget
from pinhold.scenario.watch import gigantic
from pinhold.system.foreseen import by_configuration, by_guest

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

TESTS = [test for test in select(["seed", "pins", "stock"]) if not gigantic(test.scenario)]


@pytest.mark.parametrize("modules", [True, False], ids=["as fetched", "its image alone"])
@pytest.mark.parametrize("kernel", KERNELS, indirect=True)
def test_what_is_foreseen_to_be_skipped_is_skipped(kernel: Kernel, modules: bool) -> None:
    """All suites but for 1 GiB pages.  A stock image without its modules has no disks, no VFIO, no pinprobe."""
    own = kernel if modules else Kernel("own", Path(kernel.image), kernel.release, own=True)
    target = VmTarget(own.name, own)
    try:
        info = target.info()
        lacks = by_guest(info, by_configuration(configuration(own), info.rules, modules, own.pinprobe is not None))
        expected = {test.name for test in TESTS if foreseen(test.scenario, lacks, info.rules, model_for(info.rules))}
        results = list(target.run_all([test.scenario for test in TESTS]))
    finally:
        target.close()
    skipped = {
        test.name: r.verdict.reason for test, r in zip(TESTS, results, strict=True) if r.verdict.kind == "skipped"
    }
    assert set(skipped) == expected, {name: skipped.get(name) for name in set(skipped) ^ expected}
    assert modules or len(skipped) > 60
