"""The seed's suite, printed as the kernel's selftest prints it."""

from collections.abc import Callable
from functools import cache

import pytest

from pinhold.commands.registry import make_target
from pinhold.commands.runs import run_target
from pinhold.commands.select import select
from pinhold.report.ktap import ktap

QUOTED = """\
# [RUN] R/O longterm GUP pin ... with shared zeropage
ok 151 Longterm R/O pin is reliable
# [RUN] R/O longterm GUP pin ... with memfd
ok 152 Longterm R/O pin is reliable
# [RUN] R/O longterm GUP pin ... with tmpfile
ok 153 Longterm R/O pin is reliable
# [RUN] R/O longterm GUP pin ... with huge zeropage
ok 154 Longterm R/O pin is reliable
# [RUN] R/O longterm GUP pin ... with memfd hugetlb (2048 kB)
ok 155 Longterm R/O pin is reliable
# [RUN] R/O longterm GUP pin ... with memfd hugetlb (1048576 kB)
ok 156 Longterm R/O pin is reliable
# [RUN] R/O longterm GUP-fast pin ... with shared zeropage
ok 157 Longterm R/O pin is reliable
# [RUN] R/O longterm GUP-fast pin ... with memfd
ok 158 Longterm R/O pin is reliable
# [RUN] R/O longterm GUP-fast pin ... with tmpfile
ok 159 Longterm R/O pin is reliable
# [RUN] R/O longterm GUP-fast pin ... with huge zeropage
ok 160 Longterm R/O pin is reliable
# [RUN] R/O longterm GUP-fast pin ... with memfd hugetlb (2048 kB)
ok 161 Longterm R/O pin is reliable
# [RUN] R/O longterm GUP-fast pin ... with memfd hugetlb (1048576 kB)
ok 162 Longterm R/O pin is reliable
""".splitlines()
"""As the message of the patch has them."""


@cache
def printed(target_name: str) -> list[str]:
    """The KTAP document of the suite on that target."""
    target = make_target(target_name)
    return list(ktap([run_target(target, target.info(), select(["seed"]))]))


def results(target_name: str) -> dict[int, bool]:
    """Test number to whether its line is `ok`."""
    lines = [line.removeprefix("not ").split() for line in printed(target_name) if line.startswith(("ok ", "not ok "))]
    failed = {int(line.split()[2]) for line in printed(target_name) if line.startswith("not ok ")}
    return {int(words[1]): int(words[1]) not in failed for words in lines}


def test_the_twelve_lines_of_the_patch_are_printed_to_the_letter() -> None:
    """model:6.2 prints the plan 1..162 and the very lines that the patch quotes."""
    lines = printed("model:6.2")
    assert lines[:2] == ["TAP version 13", "1..162"]
    assert lines[-25:-1] == QUOTED


def test_exactly_the_twelve_change_with_the_patch() -> None:
    """From model:6.1 to model:6.2 tests 151 to 162 turn from not ok to ok, and no other test changes."""
    old, new = results("model:6.1"), results("model:6.2")
    assert set(old) == set(range(1, 163))
    assert [n for n in old if old[n] != new[n]] == list(range(151, 163))
    assert not any(old[n] for n in range(151, 163))


@pytest.mark.parametrize("release", ["6.1", "6.2"])
def test_the_whole_document_is_the_golden_one(release: str, golden: Callable[[str, str], None]) -> None:
    """Every line of the document is as it was when somebody last looked at it."""
    golden(f"seed-model-{release}.ktap", "\n".join(printed(f"model:{release}")) + "\n")
