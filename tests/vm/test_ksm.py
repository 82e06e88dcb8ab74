"""KSM of real kernels in QEMU, beside the model."""

import pytest

from pinhold.commands.agreement import compare_results
from pinhold.commands.registry import model_of
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget
from pinhold.scenario.parse import parse
from pinhold.targets.runner import run_scenario

pytestmark = pytest.mark.slow

MERGES = parse("""scenario KSM merges equal pages, and the next write copies
map    P x anon pages 2
write  P x 0x11
ksm    P x[1] with P x[0]
expect P x[0] same P x[1] "merged"
write  P x[0] 0x22
expect P x[1] 0x11 "the other page is unchanged"
expect P x[0] different P x[1] "a copy"
""")
KEEPS = parse("""scenario KSM leaves a page alone that is pinned for writing
map    P x anon pages 2
write  P x 0x11
pin    P x[0] as p write longterm
ksm    P x[1] with P x[0]
expect P x[0] different P x[1] "not merged"
write  P x[0] 0x22
expect p sees P x[0] "the pin sees what its owner sees"
""")
LEAVES_BEHIND = parse("""scenario KSM and a page that was read back from swap and pinned for reading
map     P x anon pages 2
write   P x 0x11
swapout P x[0]
read    P x[0]
pin     P x[0] as p longterm
ksm     P x[1] with P x[0]
write   P x[0] 0x22
expect  p sees P x[0] "the pin sees what its owner sees"
""")


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "6.12"], indirect=True)
def test_ksm_merges_as_the_model_says(kernel: Kernel) -> None:
    """Verdicts, of which 5.10 alone leaves a read-only pin behind; and every page and frame where pages were merged.

    What ksmd cannot merge it tries again in every scan, and each attempt may copy the other page.
    """
    scenarios = (MERGES, KEEPS, LEAVES_BEHIND)
    target = VmTarget(kernel.name, kernel)
    try:
        model = model_of(target.info())
        results = list(target.run_all(scenarios))
    finally:
        target.close()
    left_behind = kernel.release.startswith("5.10.")
    kinds = [result.verdict.kind for result in results]
    assert kinds == ["held", "held", "violated" if left_behind else "held"]
    for scenario, result, merged in zip(scenarios, results, (True, False, left_behind), strict=True):
        told = run_scenario(model, scenario)
        assert told.verdict.kind == result.verdict.kind, scenario.title
        if merged:
            comparison = compare_results(result, told)
            assert comparison.difference is None, scenario.title
            assert comparison.compared > 30
