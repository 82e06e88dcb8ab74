"""KSM of real kernels in QEMU, beside the model."""

import pytest

from beside import all_wrong, results_of, unlike
from pinhold.commands.agreement import compare_results
from pinhold.commands.registry import model_of
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget
from pinhold.scenario.parse import parse
from pinhold.targets.runner import Result, run_scenario

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
def test_ksm_merges_as_the_model_says(kernel: Kernel, guest: VmTarget) -> None:
    """Verdicts, of which 5.10 alone leaves a read-only pin behind; and every page and frame where pages were merged.

    What ksmd cannot merge it tries again in every scan, and each attempt may copy the other page.
    """
    model = model_of(guest.info())
    left_behind = kernel.release.startswith("5.10.")
    merged = {MERGES} | ({LEAVES_BEHIND} if left_behind else set())
    values = unlike(model)

    def wrong(result: Result) -> str | None:
        kind = "violated" if left_behind and result.scenario == LEAVES_BEHIND else "held"
        if result.verdict.kind != kind or run_scenario(model, result.scenario).verdict.kind != kind:
            return result.verdict.kind
        return values(result) if result.scenario in merged else None

    results = results_of(guest, (MERGES, KEEPS, LEAVES_BEHIND), wrong)
    assert all_wrong(results, wrong) == {}
    assert compare_results(results[0], run_scenario(model, MERGES)).compared > 30
