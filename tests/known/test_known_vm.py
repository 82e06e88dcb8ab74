"""The known cases on stock kernels in QEMU: the verdict that is right, and the model's values."""

import pytest

from known import by_itself, on_guests
from pinhold.commands.agreement import agreement
from pinhold.commands.registry import model_of
from pinhold.commands.runs import run_tests
from pinhold.lab.errors import LabError
from pinhold.lab.qemu import missing
from pinhold.lab.store import Store
from pinhold.lab.target import VmTarget

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("series", ["5.10", "6.1", "6.12", "6.18", "7.3"])
def test_a_stock_kernel_gives_what_is_right(series: str) -> None:
    """Every case that names this kernel, in its guests; one that loops costs the others nothing."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    try:
        kernel = Store().find(series)
    except LabError as absent:
        pytest.skip(str(absent))
    expected = on_guests(series)
    if not expected:
        pytest.skip(f"no case names vm:{series}")
    tests = [by_itself(case) for case in expected]
    target = VmTarget(kernel.name, kernel)
    try:
        model = model_of(target.info())
        ours = list(run_tests(target, tests))
    finally:
        target.close()
    assert {r.name: r.verdict.kind for r in ours} == expected, [r.verdict for r in ours]
    assert agreement(ours, list(run_tests(model, tests))).differences == ()
