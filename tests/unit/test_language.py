"""The scenario language: what it reads, what it prints, and what it says about what it cannot read."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinhold.scenario import steps as s
from pinhold.scenario.bounds import MAX_TEXT
from pinhold.scenario.parse import ScenarioError, parse
from pinhold.scenario.printer import format_range, format_scenario, format_step
from pinhold.scenario.steps import Range
from strategies import scenarios

SEED_152 = """\
# The seed's own example.
scenario R/O longterm GUP pin ... with memfd   # this belongs to the title
watch  x[0]

map    P x memfd private   # the defaults may be said
read\tP x
pin    P x as p fast longterm user vfio via gup_test
write  P x 255
expect p sees P x "Longterm \\"R/O\\" pin \\\\ is reliable"
"""


def _steps(*lines: str) -> tuple[s.Step, ...]:
    return parse("\n".join(["scenario t", *lines])).steps


def _error(*lines: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        parse("\n".join(["scenario t", *lines]))
    return str(caught.value)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios())
def test_printing_and_parsing_round_trip(scenario: s.Scenario) -> None:
    """Parsing what is printed gives an equal scenario, and printing that gives the same text."""
    text = format_scenario(scenario)
    again = parse(text)
    assert again == scenario
    assert format_scenario(again) == text
    lines = 1 + len(scenario.steps) + bool(scenario.watch)
    lines += (scenario.xfail is not None) + (scenario.vm_only is not None) + (scenario.small is not None)
    assert len(text.splitlines()) == lines


def test_a_text_becomes_its_steps() -> None:
    """Comments, blanks, defaults, options in any order, numbers and escapes are read as the manual says."""
    scenario = parse(SEED_152)
    assert scenario.title == "R/O longterm GUP pin ... with memfd   # this belongs to the title"
    assert scenario.watch == (Range("x", 0, 1),)
    assert scenario.steps == (
        s.Map("P", "x", "memfd"),
        s.Read("P", Range("x")),
        s.Pin("P", Range("x"), "p", longterm=True, fast=True, user="vfio", via="gup_test"),
        s.Write("P", Range("x"), 255),
        s.ExpectPinSees("p", "P", Range("x"), 'Longterm "R/O" pin \\ is reliable'),
    )


def test_printing_is_canonical() -> None:
    """Defaults are left out, options have one order, bytes are two hex digits, verbs make a column."""
    assert format_scenario(parse(SEED_152)) == (
        "scenario R/O longterm GUP pin ... with memfd   # this belongs to the title\n"
        "watch  x[0]\n"
        "map    P x memfd\n"
        "read   P x\n"
        "pin    P x as p longterm fast user vfio via gup_test\n"
        "write  P x 0xff\n"
        'expect p sees P x "Longterm \\"R/O\\" pin \\\\ is reliable"\n'
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", Range("x")),
        ("x[0:]", Range("x")),
        ("x[3]", Range("x", 3, 4)),
        ("x[3:4]", Range("x", 3, 4)),
        ("x[1:5]", Range("x", 1, 5)),
        ("x[1:]", Range("x", 1)),
        ("x[:5]", Range("x", 0, 5)),
        ("x[0:512]", Range("x", 0, 512)),
    ],
)
def test_ranges(text: str, expected: Range) -> None:
    """Each way to write a range is read, and printed in the shortest way."""
    (_, step) = _steps("map P x thp", f"read P {text}")
    assert step == s.Read("P", expected)
    assert _steps("map P x thp", f"read P {format_range(expected)}")[1] == step


def test_a_second_mapping_takes_kind_size_and_pages_of_its_file() -> None:
    """`of` completes the Map, so that whoever runs it needs no look-up; it prints as `of` again."""
    first, second, third = _steps(
        "map P x memfd_hugetlb 2M pages 1024", "map P y of x shared read", "map P z of y private"
    )
    assert first == s.Map("P", "x", "memfd_hugetlb", pages=1024, size="2M")
    assert second == s.Map("P", "y", "memfd_hugetlb", True, "read", 1024, "2M", of="x")
    assert third == s.Map("P", "z", "memfd_hugetlb", False, "rw", 1024, "2M", of="y")
    assert format_step(second) == "map P y of x shared read"


def test_windows_line_ends_and_a_missing_last_one() -> None:
    """Line ends of either kind are read, and the last line needs none."""
    assert parse("scenario t\r\nmap P x anon\r\nread P x").steps == _steps("map P x anon", "read P x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1: expected 'scenario TITLE', found end of file"),
        ("# only this\n", "line 2, column 1: expected 'scenario TITLE', found end of file"),
        ("  map P x anon", "line 1, column 3: expected 'scenario TITLE' before anything else, found 'map'"),
        ("scenario", "line 1, column 10: expected a title of 1 to 200 characters, found one of 0"),
        ("scenario " + "t" * 201, "line 1, column 10: expected a title of 1 to 200 characters, found one of 201"),
        ("scenario a\tb", "line 1, column 11: expected a title without tabs, found a tab"),
        ("scenario t\nscenario u", "line 2, column 1: expected one scenario in a text, found a second one"),
        ("scenario a\u202eb", "line 1, column 11: expected printable text, found '\\u202e'"),
        ("scenario t\nread \x00", "line 2, column 6: expected printable text, found '\\x00'"),
    ],
)
def test_errors_of_the_whole_text(text: str, message: str) -> None:
    """What is no scenario at all is told by line and column."""
    with pytest.raises(ScenarioError) as caught:
        parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("map P x memdf", "9: expected 'of', anon, zeropage, memfd, tmpfile, file, thp, hugezero, hugetlb or "
         "memfd_hugetlb, found 'memdf'; did you mean memfd?"),
        ("map P x hugetlb", "16: expected 2M or 1G, found end of line"),
        ("map P x hugetlb 4M", "17: expected 2M or 1G, found '4M'"),
        ("map P x anon 2M", "14: expected shared, private, none, read, rw, readonly, pages or end of line, found '2M'"),
        ("map P x anon read rw", "19: expected shared, private, readonly, pages or end of line, found 'rw'"),
        ("map P x anon pages 0", "20: expected a number of pages (1 to 524288), found '0'"),
        ("map P x anon pages 9999999999999", "20: expected a number of pages (1 to 524288), found '9999999999999'"),
        ("map P x anon pages 524289", "20: expected a number of pages (1 to 524288), found '524289'"),
        ("map P x hugetlb 2M pages 700", "26: expected a multiple of 512 pages, the huge page size, found '700'"),
        (
            "map P x anon readonly",
            "14: expected a file, which could be opened read-only (anon is none), found 'readonly'",
        ),
        ("map P x of m readonly shared read", None),
        ("map P x thp shared", "13: expected private (thp is private memory; use memfd to share), found 'shared'"),
        ("map P 9x anon", "7: expected a region (a name of at most 16 letters, digits and _), found '9x'"),
        ("map P " + "x" * 17 + " anon", "7: expected a region (a name of at most 16 letters, digits and _), found "
         "'xxxxxxxxxxxxxxxxx'"),
        ("map P a anon", "7: expected a new name for this region, found 'a', which exists"),
        ("map P y of t", "12: expected a mapped file of P (m), found 't'"),
        ("map Q y anon", "5: expected a running process (P), found 'Q'"),
        ("read P y", "8: expected a region of P (a, m, t, h), found 'y'"),
        ("read P a[1]", "8: expected a range within the 1 page of a, found 'a[1]'"),
        ("read P t[500:513]", "8: expected a range within the 512 pages of t, found 't[500:513]'"),
        ("read P t[5:5]", "8: expected a range such as x, x[3], x[1:5], x[1:] or x[:5], found 't[5:5]'"),
        ("read P t[:]", "8: expected a range such as x, x[3], x[1:5], x[1:] or x[:5], found 't[:]'"),
        ("read P h[3]", "8: expected a range of whole huge pages of h (512 pages each), found 'h[3]'"),
        ("write P a 256", "11: expected a byte (0..255 or 0x00..0xff), found '256'"),
        ("write P a 0x100", "11: expected a byte (0..255 or 0x00..0xff), found '0x100'"),
        ("write P a", "10: expected a byte (0..255 or 0x00..0xff), found end of line"),
        ("write P a 1 # c", None),
        ("write P a 1 2", "13: expected end of line, found '2'"),
        ("fork P P", "8: expected a new name for the child, found 'P', which exists"),
        ("fork P errno", "8: expected a process (a name of at most 16 letters, digits and _), found 'errno'"),
        ("mprotect P a rx", "14: expected none, read or rw, found 'rx'"),
        ("madvise P a dontned", "13: expected dontneed, pageout, populate_read, populate_write, hugepage, nohugepage, "
         "dontfork, dofork, mergeable, unmergeable, free or collapse, found 'dontned'; did you mean dontneed?"),
        ("mremap P t[1:] into b", "16: expected 'to', found 'into'; did you mean to?"),
        ("capability P ipc_lock yes", "23: expected on or off, found 'yes'"),
        ("pin P a as q fast fast", "19: expected write, longterm, force, user, via or end of line, found 'fast'"),
        ("pin P a as q via exec:/bin/sh", "18: expected the name of a pin mechanism, found 'exec:/bin/sh'"),
        ("unpin q", "7: expected a pin (there is none yet), found 'q'"),
        ("device look q", "8: expected 'read' or 'write', found 'look'"),
        ("require P a mapped", "13: expected present, swapped, none or huge, found 'mapped'; did you mean swapped?"),
        ("expect P a foo", "12: expected same, different or a byte (0..255 or 0x00..0xff), found 'foo'"),
        ('expect P a 1 ""', '14: expected a quoted text of 1 to 200 characters, found one of 0'),
        ('expect P a 1 "\\n"', "15: expected \\\" or \\\\ (the only escapes of a quoted text), found '\\n'"),
        ('expect P a 1 "no end', "14: expected a closing \" for this quoted text, found end of line"),
        ('expect P a 1 "a" "b"', "18: expected end of line, found a quoted text"),
        ('expect P a 1 "a"b', "17: expected a blank or end of line after a quoted text, found 'b'"),
        ('read "P" a', "6: expected a process (a name of at most 16 letters, digits and _), found a quoted text"),
        ("expect errno EINVALID", "14: expected OK or the name of an errno such as EINVAL, found 'EINVALID'"),
        ("direct copy P a", "8: expected 'write' or 'read', found 'copy'"),
        ("poke P a 1 via exec", "16: expected proc_mem or ptrace, found 'exec'"),
        ("process_vm_readv P a", "21: expected 'as', found end of line"),
        ("xfail reason", "7: expected a quoted text: why it is known to fail, found 'reason'"),
        ('xfail "reason" 1', "16: expected end of line, found '1'"),
        ("vm_only", "8: expected a quoted text: why it runs in a virtual machine only, found end of line"),
        ("watch", "6: expected a range such as x, x[3], x[1:5], x[1:] or x[:5], found end of line"),
        ("watch z", "7: expected a region (a, m, t, h), found 'z'"),
        ("watch a[1]", "7: expected a range within the 1 page of a, found 'a[1]'"),
    ],
)  # fmt: skip
def test_errors_of_one_line(line: str, error: str | None) -> None:
    """Each error names line, column, what was expected there and what was found."""
    before = ("map P a anon", "map P m memfd", "map P t thp", "map P h hugetlb 2M")
    if error is None:
        assert len(_steps(*before, line)) == 5
    else:
        assert _error(*before, line) == f"line 6, column {error}"


def test_an_unknown_verb_names_the_nearest() -> None:
    """A misspelt verb is answered with the verbs and the one that was probably meant."""
    error = _error("mpa P x anon")
    assert error.startswith("line 2, column 1: expected scenario, watch, xfail, vm_only, observe, small, map, unmap, ")
    assert error.endswith("found 'mpa'; did you mean map?")


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (["read C x"], "line 2, column 6: expected a running process (P), found 'C'"),
        (["fork P C", "exit C", "map C x anon"],
         "line 4, column 5: expected a running process (P), found 'C', which exited in line 3"),
        (["fork P C", "map P x anon", "read C x"],
         "line 4, column 8: expected a region of C (there is none yet), found 'x'"),
        (["map P x anon", "pin P x as p", "unpin p", "unpin p"],
         "line 5, column 7: expected a pin (there is none yet), found 'p', which was released in line 4"),
        (["map P x anon", "fork P C", "vmsplice C x as p", "exit C", "expect p 0x00"],
         "line 6, column 8: expected a pin (there is none yet), found 'p', which was released when C exited in "
         "line 5"),
        (["map P x anon", "pin P x as p", "unpin p", "pin P x as p"],
         "line 5, column 12: expected a new name for this pin, found 'p', which exists"),
        (["map P x thp", "mremap P x[256:] to y", "read P y[256]"],
         "line 4, column 8: expected a range within the 256 pages of y, found 'y[256]'"),
        (["map P x memfd", "mremap P x to y", "map P z of y"],
         "line 4, column 12: expected a mapped file of P (x), found 'y'"),
        (["map P x anon", "expect P x 0x00", "expect errno OK"],
         "line 4, column 14: expected an action in the step before expect errno, found none"),
        (["map P x anon", "start a read P x"],
         "line 3, column 7: expected a small line before the steps, for a schedule of atomic steps, found none"),
        (["map P x anon", "small"],
         "line 3, column 1: expected one small line in a text, before all steps, found one behind a step"),
        (["small", "small"],
         "line 3, column 1: expected one small line in a text, before all steps, found a second one"),
        (["small", "map P x anon", "start a read P x", "advance b"],
         "line 5, column 9: expected a task that has started something (a), found 'b'"),
        (["small", "map P x anon", "start a start b read P x"],
         "line 4, column 9: expected unmap, read, write, fork, exit, mprotect, madvise, swapout, uffdio_continue, "
         "writeback, numa_hint, ksm, clear_softdirty, pin, unpin, vmsplice, io_uring or poke, found 'start'"),
        (["small", "map P x anon", "start a read P y"], "line 4, column 16: expected a region of P (x), found 'y'"),
        (["small levels 2 thps 1", "map P x thp", "start a read P x[2]"],
         "line 4, column 16: expected a range within the 2 pages of x, found 'x[2]'"),
        (["watch x[1]", "map P x anon"],
         "line 2, column 7: expected a range within the 1 page of x, found 'x[1]'"),
    ],
)  # fmt: skip
def test_errors_of_what_exists_when(lines: list[str], error: str) -> None:
    """A step can only name what the steps before it have made and not ended."""
    assert _error(*lines) == error


TWO_HUGE = "map P x {} pages 1024"


@pytest.mark.parametrize("kind", ["hugetlb 2M", "memfd_hugetlb 2M private"])
def test_a_part_of_a_private_hugetlb_mapping_moves_in_virtual_machines_only(kind: str) -> None:
    """The kernel loses the reserve of the rest for good: the text says that it is for a guest, before or after."""
    lines = [TWO_HUGE.format(kind), "mremap P x[512:] to y"]
    assert _error(*lines) == (
        "line 3, column 10: expected the whole region, or a vm_only line in the text: the kernel loses the reserve of"
        " what stays, found a part of a private hugetlb mapping"
    )
    for text in ([*lines, 'vm_only "leaks"'], ['vm_only "leaks"', *lines], [lines[0], "mremap P x to y"]):
        assert parse("\n".join(["scenario t", *text])).steps
    small = ["small levels 2 bits 1 hugetlb 2", lines[0].replace("1024", "4"), "mremap P x[2:] to y"]
    assert parse("\n".join(["scenario t", *small])).small


@pytest.mark.parametrize("kind", ["hugetlb 2M shared", "memfd_hugetlb 2M", "thp"])
def test_a_part_of_other_memory_moves_anywhere(kind: str) -> None:
    """A shared mapping's reserve is its file's, and other memory has none."""
    kind += " shared" if kind.startswith("memfd") else ""
    assert parse(f"scenario t\n{TWO_HUGE.format(kind)}\nmremap P x[512:] to y\n").vm_only is None


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (["drain"] * 401, "line 402, column 1: expected at most 400 steps, found one more"),
        ([f"fork P C{n}" for n in range(8)], "line 9, column 8: expected at most 8 processes, found one more"),
        ([f"map P x{n} anon" for n in range(33)], "line 34, column 7: expected at most 32 regions, found one more"),
        (["map P x anon"] + [f"pin P x as p{n}" for n in range(33)],
         "line 35, column 12: expected at most 32 pins, found one more"),
        ([f"map P x{n} anon pages 524288" for n in range(3)],
         "line 4, column 7: expected at most 1048576 pages in all regions, found 1572864"),
        (["map P x hugetlb 1G pages 786432"],
         "line 2, column 26: expected a number of pages (1 to 524288), found '786432'"),
        (["small pages 61"], "line 2, column 13: expected a number (0 to 60), found '61'"),
        (["small", "map P x anon"] + [f"start t{n} read P x" for n in range(5)],
         "line 8, column 7: expected at most 4 tasks, found one more"),
        (["small", "map P x anon", "start t read P x", "advance t steps 1001"],
         "line 5, column 17: expected a number of steps (1 to 1000), found '1001'"),
        (["map P x anon pages 2000", "watch x[:1000]", "watch x[1000:1025]"],
         "line 4, column 7: expected at most 1024 watched pages, found 1025"),
    ],
)  # fmt: skip
def test_bounds(lines: list[str], error: str) -> None:
    """Each bound on what a scenario may cost is kept, and told where it is passed."""
    assert _error(*lines) == error


def test_a_text_over_the_bound_is_refused_unread() -> None:
    """A text longer than the bound, in characters or in bytes, costs nothing but its length."""
    for text in ("x" * (MAX_TEXT + 1), "scenario " + "\u00e9" * (MAX_TEXT // 2)):
        with pytest.raises(ScenarioError, match="line 1, column 1: expected at most 65536 bytes"):
            parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "\ud800",
        "scenario \ud800",
        "scenario t\nexpect P x 0x00 " + '"' * 60000,
        "scenario t\n" + " " * 65000,
        "scenario t\nread P " + "x[" * 30000,
        "scenario t\nmap P x anon pages " + "9" * 60000,
        "scenario t\nmap P x anon " + "shared " * 9000,
        "scenario t\n" + "(" * 65000,
        "scenario t\n" * 5000,
        "scenario t\nsmall\n" + "start a " * 8000,
        "scenario t\nread \uff30 x",
        "scenario t\nmap P x anon pages \u0661",
    ],
)
def test_hostile_texts_are_refused_quickly(text: str) -> None:
    """Surrogates, foreign digits, and long runs of anything end in one error within a second of computing."""
    started = time.process_time()
    if text.strip() == "scenario t":
        assert parse(text).steps == ()
    else:
        with pytest.raises(ScenarioError) as caught:
            parse(text)
        assert len(str(caught.value)) < 600
    assert time.process_time() - started < 1


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from('mapredCPxy \n\t"\\#[]:0123abcscenario\u202e\ud800'), max_size=200))
def test_any_text_is_a_scenario_or_an_error(text: str) -> None:
    """No text makes the parser fail in another way than by ScenarioError."""
    for candidate in (text, "scenario t\n" + text, "scenario t\nmap P x thp\npin P x as " + text):
        try:
            scenario = parse(candidate)
        except ScenarioError as error:
            assert error.line >= 1 and error.column >= 1
        else:
            assert parse(format_scenario(scenario)) == scenario


def test_another_geometry() -> None:
    """Page counts are checked against the huge pages of the machine that the caller names."""
    text = "scenario t\nmap P x thp\nmap P h hugetlb 1G\nread P x[3]\nread P h[16:]"
    with pytest.raises(ScenarioError, match="line 5, column 8"):
        parse(text, pmd_pages=4, pud_pages=16)
    assert len(parse(text.replace("h[16:]", "h"), pmd_pages=4, pud_pages=16).steps) == 4
