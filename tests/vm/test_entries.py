"""What pinprobe tells of entries in a real guest, beside the specification of its release."""

import pytest
from corpus_cases import names
from corpus_cases import scenario as case

from beside import all_wrong, results_of, unlike
from pinhold.commands.registry import model_of
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget
from pinhold.scenario.parse import parse

pytestmark = pytest.mark.slow

SWAPPED = parse(
    "scenario t\nobserve\nmap P x anon pages 2\nwrite P x 0x01\ndrain\nswapout P x[0]\nfork P C\nread C x\n"
    "map P f file shared\nread P f\nwrite P f 0x01\nmap P h hugetlb 2M\nread P h\nwrite P h 0x02\n"
)


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "6.12", "7.3"], indirect=True)
def test_entries_are_as_the_model_says(kernel: Kernel, guest: VmTarget) -> None:
    """Level, writable, dirty, soft-dirty of every watched page, and exclusive of swap entries, are seen and alike."""
    if kernel.pinprobe is None:
        pytest.skip("needs pinprobe, which could not be built for this kernel")
    scenarios = [SWAPPED, *(case(name) for name in names() if "soft" in name or "split" in name or "fork" in name)]
    wrong = unlike(model_of(guest.info()))
    results = results_of(guest, scenarios, wrong)
    assert all_wrong(results, wrong) == {}
    pages = [page for result in results for seen in result.observations for page in seen.pages]
    present = [page for page in pages if page.state == "present"]
    assert {page.level for page in present} == {"pte", "pmd"}
    for mark in ("writable", "dirty", "soft_dirty"):
        assert {getattr(page, mark) for page in present} == {False, True}, mark
    swapped = {page.exclusive for page in pages if page.state == "swapped"}
    assert swapped == ({None} if kernel.release.startswith("5.10.") else {False, True})
