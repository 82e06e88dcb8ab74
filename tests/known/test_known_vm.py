"""The known cases on stock kernels in QEMU: the verdict that is right, and the model's values."""

import pytest

from known import by_itself, on_guests
from lab_kernels import nightly
from pinhold.commands.agreement import agreement, run_again
from pinhold.commands.registry import model_of
from pinhold.commands.runs import run_tests
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "6.12", "7.3", *nightly("6.18")], indirect=True)
def test_a_stock_kernel_gives_what_is_right(kernel: Kernel, guest: VmTarget) -> None:
    """Every case that names this kernel, in its guests; one that loops costs the others nothing."""
    expected = on_guests(".".join(kernel.release.split(".")[:2]))
    if not expected:
        pytest.skip(f"no case names {guest.name}")
    tests = [by_itself(case) for case in expected]
    theirs = list(run_tests(model_of(guest.info()), tests))
    try:
        ours = run_again(guest, list(run_tests(guest, tests)), theirs)
    finally:
        guest.close()  # what some leave behind others would lack
    assert {r.name: r.verdict.kind for r in ours} == expected, [r.verdict for r in ours]
    assert agreement(ours, theirs).differences == ()
