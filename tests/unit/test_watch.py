"""How large regions are and which pages a run observes."""

import pytest

from pinhold.scenario.parse import parse
from pinhold.scenario.steps import Map
from pinhold.scenario.watch import huge_unit, region_pages, region_sizes, watched


@pytest.mark.parametrize(
    ("line", "pages"),
    [
        ("anon", 1),
        ("zeropage", 1),
        ("memfd", 1),
        ("tmpfile", 1),
        ("file pages 3", 3),
        ("thp", 512),
        ("hugezero", 512),
        ("thp pages 700", 700),
        ("hugetlb 2M", 512),
        ("hugetlb 1G", 262144),
        ("memfd_hugetlb 1G", 262144),
        ("hugetlb 2M pages 1024", 1024),
    ],
)
def test_region_pages(line: str, pages: int) -> None:
    """A region has the pages that its map says, or one unit of its kind."""
    (step,) = parse(f"scenario t\nmap P x {line}").steps
    assert isinstance(step, Map)
    assert region_pages(step) == pages


def test_another_geometry() -> None:
    """Defaults follow the huge pages of the machine; counts that were given do not."""
    assert region_pages(Map("P", "x", "thp"), 4, 16) == 4
    assert region_pages(Map("P", "x", "hugetlb", size="1G"), 4, 16) == 16
    assert region_pages(Map("P", "x", "thp", pages=7), 4, 16) == 7
    assert huge_unit(Map("P", "x", "hugetlb", size="2M"), 4, 16) == 4
    assert huge_unit(Map("P", "x", "thp"), 4, 16) == 1


def test_a_second_mapping_and_a_moved_part_have_sizes() -> None:
    """`of` has the size of its region; what mremap moved is a region of the moved pages."""
    text = "scenario t\nmap P x thp\nmremap P x[256:] to y\nmap P m memfd pages 5\nmap P n of m\nmremap P x[3] to z"
    assert region_sizes(parse(text)) == {"x": 512, "y": 256, "m": 5, "n": 5, "z": 1}


def test_watched_pages_stand_on_both_sides_of_each_boundary() -> None:
    """First, last, both sides of what steps' ranges make, in both ranges of a comparison, and the watch lines."""
    text = """scenario t
watch x[200:202]
map P x thp
write P x 0x00
mprotect P x[1] read
mremap P x[256:] to y
map P z anon pages 9
expect P x[3] different P z[4:6]
"""
    assert watched(parse(text)) == {
        "x": (0, 1, 2, 3, 4, 200, 201, 255, 256, 511),
        "y": (0, 255),
        "z": (0, 3, 4, 5, 6, 8),
    }


def test_of_hugetlb_only_the_first_page_of_each_huge_page() -> None:
    """A huge page is one page to look at, wherever ranges and watch lines point into it."""
    text = "scenario t\nwatch x[700] y[5]\nmap P x hugetlb 2M pages 2048\nread P x[1024:]\nmap P y hugetlb 1G\nread P y"
    assert watched(parse(text)) == {"x": (0, 512, 1024, 1536), "y": (0,)}


def test_a_base_page_is_watched_once() -> None:
    """A region of one page has one page to watch."""
    assert watched(parse("scenario t\nmap P x anon\nread P x\nread P x[0]")) == {"x": (0,)}
