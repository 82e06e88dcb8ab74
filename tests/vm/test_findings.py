"""What docs/findings.md says that guests did, they do."""

import pytest

from beside import results_of
from findings import CHANCE, findings
from lab_kernels import nightly
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget
from pinhold.targets.runner import Result

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "kernel",
    ["6.12", "7.3", *nightly("5.10", "6.1", "6.18")],
    indirect=True,
)
def test_a_guest_does_what_the_document_says(kernel: Kernel, guest: VmTarget) -> None:
    """Each finding's verdict on the kernel that the document names; where chance decides, one of both."""
    here = [finding for finding in findings() if kernel.release in finding.rows["guest"]]
    told = {finding.name: {finding.rows["guest"][kernel.release]} for finding in here}
    if CHANCE not in told:
        pytest.skip(f"the document is about another release of the series than {kernel.release}")
    told[CHANCE] = {"held", "violated"}
    did = {}
    for finding in here:

        def wrong(result: Result, right: set[str] = told[finding.name]) -> str | None:
            return None if result.verdict.kind in right else result.verdict.kind

        (result,) = results_of(guest, [finding.scenario], wrong)
        did[finding.name] = result.verdict.kind
        if did[finding.name] not in ("held", "skipped"):
            guest.close()  # what one leaves behind another would lack
    assert {name: kind for name, kind in did.items() if kind not in told[name]} == {}
