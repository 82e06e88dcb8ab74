"""What a guest does before its first scenario."""

import re
from pathlib import Path

import pytest

from pinhold.lab.guest import khugepaged_at_rest
from pinhold.targets.live.kernel import RunningKernel


def wants_huge_pages() -> int:
    """How many mappings of this process are advised to be of huge pages, and are not inherited."""
    return len(re.findall(r"^VmFlags:(?=.* dc\b).* hg\b", Path("/proc/self/smaps").read_text(), re.MULTILINE))


def test_khugepaged_has_its_scan_before_the_first_scenario(tmp_path: Path) -> None:
    """A process that wants huge pages is there as long as the scenarios are, and was scanned: khugepaged wakes up
    for no other."""
    if reason := RunningKernel().missing_thp():
        pytest.skip(reason)
    (tmp_path / "full_scans").write_text("1\n")
    before = wants_huge_pages()
    with khugepaged_at_rest(str(tmp_path)):
        assert wants_huge_pages() == before + 1
    assert wants_huge_pages() == before


def test_a_kernel_without_khugepaged_is_no_matter(tmp_path: Path) -> None:
    """Scenarios run all the same, and what goes wrong in them is their own."""
    with pytest.raises(FileNotFoundError, match="absent"), khugepaged_at_rest(str(tmp_path)):
        Path("/absent").read_text()
