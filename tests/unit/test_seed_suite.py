"""The suite `seed` is the selftest of the seed's series, to the letter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pinhold
from pinhold.scenario.parse import parse
from pinhold.scenario.printer import format_scenario
from pinhold.scenario.suites import SUITES, UnknownSuite, suite
from pinhold.scenario.suites.seed import scenarios

ANON_CASES = """\
Basic COW after fork()
Basic COW after fork() with mprotect() optimization
vmsplice() + unmap in child
vmsplice() + unmap in child with mprotect() optimization
vmsplice() before fork(), unmap in parent after fork()
vmsplice() + unmap in parent after fork()
R/O GUP pin on R/O-mapped shared page
R/O GUP-fast pin on R/O-mapped shared page
R/O GUP pin on R/O-mapped previously-shared page
R/O GUP-fast pin on R/O-mapped previously-shared page
R/O GUP pin on R/O-mapped exclusive page
R/O GUP-fast pin on R/O-mapped exclusive page
""".splitlines()

ANON_MEMORY = """\
base page
swapped out base page
THP
swapped-out THP
PTE-mapped THP
swapped-out, PTE-mapped THP
single PTE of THP
single PTE of swapped-out THP
partially mremap()'ed THP
partially shared THP
hugetlb (2048 kB)
hugetlb (1048576 kB)
""".splitlines()

NON_ANON_CASES = ["Basic COW", "R/O longterm GUP pin", "R/O longterm GUP-fast pin"]

NON_ANON_MEMORY = """\
shared zeropage
memfd
tmpfile
huge zeropage
memfd hugetlb (2048 kB)
memfd hugetlb (1048576 kB)
""".splitlines()

SEED_LINES = """\
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
"""


def test_names_and_order_are_the_selftests() -> None:
    """162 tests: 12 cases on 12 types of anonymous memory, then 3 cases on 6 other types."""
    expected = [f"{case} ... with {memory}" for case in ANON_CASES for memory in ANON_MEMORY]
    expected += [f"{case} ... with {memory}" for case in NON_ANON_CASES for memory in NON_ANON_MEMORY]
    tests = suite("seed").tests
    assert [test.scenario.title for test in tests] == expected
    assert [test.number for test in tests] == list(range(1, 163))


def test_result_texts_are_the_selftests() -> None:
    """Each case says what the selftest's result line says."""
    texts = [test.result_text for test in suite("seed").tests]
    assert texts[:48] == ["No leak from parent into child"] * 48
    assert texts[48:72] == ["No leak from child into parent"] * 24
    assert texts[72:144] == ["Longterm R/O pin is reliable"] * 72
    assert texts[144:150] == ["Other mapping not modified"] * 6
    assert texts[150:] == ["Longterm R/O pin is reliable"] * 12


def test_the_twelve_lines_of_the_seed() -> None:
    """Numbers 151 to 162 are the lines that the seed prints."""
    lines = [f"# [RUN] {t.scenario.title}\nok {t.number} {t.result_text}\n" for t in suite("seed").tests[150:]]
    assert "".join(lines) == SEED_LINES


def test_each_scenario_states_the_result_text_once() -> None:
    """The one expectation of a test is the one that its result line is about."""
    for test in suite("seed").tests:
        expectations = [line for line in format_scenario(test.scenario).splitlines() if line.startswith("expect")]
        assert len(expectations) == 1
        assert expectations[0].endswith(f'"{test.result_text}"')


def test_the_printed_scenarios_run_the_same() -> None:
    """The text of each test, saved and read again, is the same scenario."""
    for test in suite("seed").tests:
        assert parse(format_scenario(test.scenario)) == test.scenario


@pytest.mark.parametrize(
    ("number", "body"),
    [
        (1, "map P x anon/write P x 0x01/fork P C/read C x/write P x 0xff/read C x/"
            'expect C x 0x01 "No leak from parent into child"/exit C'),
        (14, "map P x anon/write P x 0x01/madvise P x pageout/"
             'require P x swapped "MADV_PAGEOUT did not work, is swap enabled?"/fork P C/read C x/'
             "mprotect P x read/mprotect P x rw/write P x 0xff/read C x/"
             'expect C x 0x01 "No leak from parent into child"/exit C'),
        (29, 'map P x thp/write P x[0] 0x01/require P x[1] present "Did not get a THP populated"/write P x 0x01/'
             "mprotect P x[1] read/mprotect P x[1] rw/fork P C/read C x/vmsplice C x as p/unmap C x/write P x 0xff/"
             'expect p 0x01 "No leak from parent into child"/exit C'),
        (56, 'map P x thp/write P x[0] 0x01/require P x[1] present "Did not get a THP populated"/write P x 0x01/'
             "madvise P x[1:] dontneed/madvise P x[0] pageout/"
             'require P x[0] swapped "MADV_PAGEOUT did not work, is swap enabled?"/'
             "read P x[0]/vmsplice P x[0] as p/fork P C/unmap P x[0]/write C x[0] 0xff/exit C/"
             'expect p 0x01 "No leak from child into parent"/unpin p'),
        (69, 'map P x thp/write P x[0] 0x01/require P x[1] present "Did not get a THP populated"/write P x 0x01/'
             "mremap P x[256:] to y/read P x[:256]/fork P C/vmsplice P x[:256] as p/unmap P x[:256]/"
             'write C x[:256] 0xff/exit C/expect p 0x01 "No leak from child into parent"/unpin p'),
        (83, "map P x hugetlb 2M/write P x 0x01/map P dummy hugetlb 2M/unmap P dummy/fork P C/"
             'pin P x as p longterm/write P x 0xff/expect p sees P x "Longterm R/O pin is reliable"/unpin p/exit C'),
        (118, 'map P x thp/write P x[0] 0x01/require P x[1] present "Did not get a THP populated"/write P x 0x01/'
              "madvise P x[1:] dontfork/fork P Q/exit Q/madvise P x[1:] dofork/fork P C/exit C/"
              'pin P x as p longterm fast/write P x 0xff/expect p sees P x "Longterm R/O pin is reliable"/unpin p'),
        (121, "map P x anon/write P x 0x01/mprotect P x read/clear_softdirty P/mprotect P x rw/"
              'pin P x as p longterm/write P x 0xff/expect p sees P x "Longterm R/O pin is reliable"/unpin p'),
        (146, "map P x memfd/map P s of x shared read/read P x/read P s/read P s/write P x 0xff/read P s/"
              'expect P s 0x00 "Other mapping not modified"'),
        (151, "map P x zeropage/map P s zeropage read/read P x/read P s/pin P x as p longterm/write P x 0xff/"
              'expect p sees P x "Longterm R/O pin is reliable"/unpin p'),
        (160, "map P x hugezero/map P s hugezero read/read P x[0]/read P s[0]/"
              'require P x[1] present "Did not get THPs populated"/'
              'require P s[1] present "Did not get THPs populated"/pin P x as p longterm fast/write P x 0xff/'
              'expect p sees P x "Longterm R/O pin is reliable"/unpin p'),
        (162, "map P x memfd_hugetlb 1G/map P s of x shared read/read P x/read P s/pin P x as p longterm fast/"
              'write P x 0xff/expect p sees P x "Longterm R/O pin is reliable"/unpin p'),
    ],
)  # fmt: skip
def test_the_steps_are_the_selftests(number: int, body: str) -> None:
    """Samples of every case and kind of set-up do what the selftest does, step by step."""
    text = "scenario t\n" + body.replace("/", "\n").replace("R\nO", "R/O")
    assert suite("seed").test(number).scenario.steps == parse(text).steps


def test_a_tiny_geometry() -> None:
    """The same suite on a machine with other huge page sizes has the same tests on its sizes."""
    tests = scenarios(pmd_pages=4, pud_pages=16)
    assert [t.scenario.title for t in tests] == [t.scenario.title for t in suite("seed").tests]
    assert "mremap P x[2:] to y" in " ".join(format_scenario(tests[8].scenario).split())


def test_unknown_suites_and_tests_are_named() -> None:
    """A wrong name or number is answered with the valid ones."""
    assert SUITES == ("seed", "stock", "pins")
    with pytest.raises(UnknownSuite, match="no suite 'sed': the suites are seed"):
        suite("sed")
    for number in (0, 163, -1):
        with pytest.raises(UnknownSuite, match=f"suite seed has no test {number}: its tests are 1 to 162"):
            suite("seed").test(number)


def test_importing_the_suites_builds_none() -> None:
    """`pinhold --help` needs the names of the suites, not their scenarios."""
    code = (
        "import sys, pinhold.scenario.suites as s; assert s.SUITES; "
        "assert 'pinhold.scenario.suites.seed' not in sys.modules; assert 'pinhold.scenario.parse' not in sys.modules"
    )
    source = str(Path(pinhold.__file__).parent.parent)
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": source})
