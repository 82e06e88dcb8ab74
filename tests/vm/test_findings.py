"""What docs/findings.md says that guests did, they do."""

import pytest

from findings import CHANCE, findings
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "6.12", "6.18", "7.3"], indirect=True)
def test_a_guest_does_what_the_document_says(kernel: Kernel) -> None:
    """Each finding's verdict on the kernel that the document names; where chance decides, one of both."""
    here = [finding for finding in findings() if kernel.release in finding.rows["guest"]]
    told = {finding.name: finding.rows["guest"][kernel.release] for finding in here}
    if CHANCE not in told:
        pytest.skip(f"the document is about another release of the series than {kernel.release}")
    results = []
    for finding in here:  # each on a kernel of its own: what one leaves behind another would lack
        target = VmTarget(kernel.name, kernel)
        try:
            results += target.run_all([finding.scenario])
        finally:
            target.close()
    did = {finding.name: result.verdict.kind for finding, result in zip(here, results, strict=True)}
    assert did.pop(CHANCE) in ("held", "violated")
    del told[CHANCE]
    assert did == told
