"""The suite `seed`: the kernel's cow selftest as of the seed's series, built without liburing.

12 cases on anonymous memory, each on 12 types of memory, then 3 cases on memory that is not anonymous, each on 6
types: 162 tests, in the selftest's order, with its names and result texts.  A case and a type of memory are written
in the scenario language, {x} being the range under test; a test is the type's lines, then the case's.

Anonymous memory is filled with 0x01, as today's selftest does, and not with zeros: a kernel from 6.12 on that has to
split a THP before it swaps it out maps the shared zero page where the THP is all zeros, and swaps nothing out.
"""

from __future__ import annotations

from pinhold.scenario.parse import parse
from pinhold.scenario.suites.case import Test
from pinhold.scenario.titles import title_of
from pinhold.scenario.watch import PMD_PAGES, PUD_PAGES

NO_LEAK_INTO_CHILD = "No leak from parent into child"
NO_LEAK_INTO_PARENT = "No leak from child into parent"
PIN_IS_RELIABLE = "Longterm R/O pin is reliable"
NOT_MODIFIED = "Other mapping not modified"

NO_SWAP = "MADV_PAGEOUT did not work, is swap enabled?"
NO_THP = "Did not get a THP populated"
NO_THPS = "Did not get THPs populated"

HUGETLB_SIZES = {"2M": 2048, "1G": 1048576}
"""Size as the language has it, and in kB as the selftest prints it."""

# -- Memory -----------------------------------------------------------------------------------------------------------

_PAGEOUT = f"""
madvise P {{x}} pageout
require P {{x}} swapped "{NO_SWAP}"
"""

_BASE_PAGE = """
map P x anon
write P x 0x01
"""

# A touch of the first page has to populate its neighbour.
_THP = f"""
map P x thp
write P x[0] 0x01
require P x[1] present "{NO_THP}"
write P x 0x01
"""

_PTE_MAPPED_THP = (
    _THP
    + """
mprotect P x[1] read
mprotect P x[1] rw
"""
)

_SINGLE_PTE_OF_THP = (
    _THP
    + """
madvise P x[1:] dontneed
"""
)

_PARTIALLY_MREMAPPED_THP = (
    _THP
    + """
mremap P x[{half}:] to y
"""
)

# The child takes the first page only, and is gone at once: the other pages have never been shared.
_PARTIALLY_SHARED_THP = (
    _THP
    + """
madvise P x[1:] dontfork
fork P Q
exit Q
madvise P x[1:] dofork
"""
)

# Copy-on-write needs a second huge page: a mapping that reserves one shows that there is one.
_HUGETLB = """
map P x hugetlb {size}
write P x 0x01
map P dummy hugetlb {size}
unmap P dummy
"""

_ZEROPAGE = """
map P x zeropage
map P s zeropage read
read P x
read P s
"""

_FILE = """
map P x {kind}
map P s of x shared read
read P x
read P s
"""

_HUGE_ZEROPAGE = f"""
map P x hugezero
map P s hugezero read
read P x[0]
read P s[0]
require P x[1] present "{NO_THPS}"
require P s[1] present "{NO_THPS}"
"""

Memory = tuple[str, str, str]
"""Name, lines, and the range under test."""


def anon_memory(half: int) -> tuple[Memory, ...]:
    """The types of private anonymous memory; half: base pages of half a THP."""
    mremapped = _PARTIALLY_MREMAPPED_THP.replace("{half}", str(half))
    return (
        ("base page", _BASE_PAGE, "x"),
        ("swapped out base page", _BASE_PAGE + _PAGEOUT, "x"),
        ("THP", _THP, "x"),
        ("swapped-out THP", _THP + _PAGEOUT, "x"),
        ("PTE-mapped THP", _PTE_MAPPED_THP, "x"),
        ("swapped-out, PTE-mapped THP", _PTE_MAPPED_THP + _PAGEOUT, "x"),
        ("single PTE of THP", _SINGLE_PTE_OF_THP, "x[0]"),
        ("single PTE of swapped-out THP", _SINGLE_PTE_OF_THP + _PAGEOUT, "x[0]"),
        ("partially mremap()'ed THP", mremapped, f"x[:{half}]"),
        ("partially shared THP", _PARTIALLY_SHARED_THP, "x"),
        *((f"hugetlb ({kb} kB)", _HUGETLB.replace("{size}", size), "x") for size, kb in HUGETLB_SIZES.items()),
    )


def non_anon_memory() -> tuple[Memory, ...]:
    """The types of memory that a private mapping shares with others: x under test, s the other mapping."""
    return (
        ("shared zeropage", _ZEROPAGE, "x"),
        ("memfd", _FILE.replace("{kind}", "memfd"), "x"),
        ("tmpfile", _FILE.replace("{kind}", "tmpfile"), "x"),
        ("huge zeropage", _HUGE_ZEROPAGE, "x"),
        *(
            (f"memfd hugetlb ({kb} kB)", _FILE.replace("{kind}", f"memfd_hugetlb {size}"), "x")
            for size, kb in HUGETLB_SIZES.items()
        ),
    )


# -- Cases ------------------------------------------------------------------------------------------------------------

_MPROTECT = """
mprotect P {x} read
mprotect P {x} rw
"""

_FORK_AND_READ = """
fork P C
read C {x}
"""

_CHILD_STILL_READS = f"""
write P {{x}} 0xff
read C {{x}}
expect C {{x}} 0x01 "{NO_LEAK_INTO_CHILD}"
exit C
"""

_VMSPLICE_IN_CHILD = """
vmsplice C {x} as p
unmap C {x}
"""

_CHILD_PIPE_STILL_HOLDS = f"""
write P {{x}} 0xff
expect p 0x01 "{NO_LEAK_INTO_CHILD}"
exit C
"""

_VMSPLICE_BEFORE_FORK = """
read P {x}
vmsplice P {x} as p
fork P C
"""

_VMSPLICE_AFTER_FORK = """
read P {x}
fork P C
vmsplice P {x} as p
"""

_PARENT_PIPE_STILL_HOLDS = f"""
unmap P {{x}}
write C {{x}} 0xff
exit C
expect p 0x01 "{NO_LEAK_INTO_PARENT}"
unpin p
"""

_SHARED = """
fork P C
"""

_PREVIOUSLY_SHARED = """
fork P C
exit C
"""

# Soft-dirty tracking keeps mprotect() from mapping the page writable again at once.
_EXCLUSIVE = """
mprotect P {x} read
clear_softdirty P
mprotect P {x} rw
"""

_PIN = f"""
pin P {{x}} as p longterm{{fast}}
write P {{x}} 0xff
expect p sees P {{x}} "{PIN_IS_RELIABLE}"
unpin p
"""

_EXIT_CHILD = """
exit C
"""

_OTHER_MAPPING_STILL_READS = f"""
read P s
write P {{x}} 0xff
read P s
expect P s 0x00 "{NOT_MODIFIED}"
"""

Case = tuple[str, str, str]
"""Name, lines and result text."""


def _pin_cases(name: str, before: str, after: str = "") -> tuple[Case, Case]:
    """The case with GUP and with GUP-fast."""
    slow, fast = (before + _PIN.replace("{fast}", word) + after for word in ("", " fast"))
    return (name.format("GUP"), slow, PIN_IS_RELIABLE), (name.format("GUP-fast"), fast, PIN_IS_RELIABLE)


ANON_CASES: tuple[Case, ...] = (
    ("Basic COW after fork()", _FORK_AND_READ + _CHILD_STILL_READS, NO_LEAK_INTO_CHILD),
    (
        "Basic COW after fork() with mprotect() optimization",
        _FORK_AND_READ + _MPROTECT + _CHILD_STILL_READS,
        NO_LEAK_INTO_CHILD,
    ),
    (
        "vmsplice() + unmap in child",
        _FORK_AND_READ + _VMSPLICE_IN_CHILD + _CHILD_PIPE_STILL_HOLDS,
        NO_LEAK_INTO_CHILD,
    ),
    (
        "vmsplice() + unmap in child with mprotect() optimization",
        _FORK_AND_READ + _VMSPLICE_IN_CHILD + _MPROTECT + _CHILD_PIPE_STILL_HOLDS,
        NO_LEAK_INTO_CHILD,
    ),
    (
        "vmsplice() before fork(), unmap in parent after fork()",
        _VMSPLICE_BEFORE_FORK + _PARENT_PIPE_STILL_HOLDS,
        NO_LEAK_INTO_PARENT,
    ),
    (
        "vmsplice() + unmap in parent after fork()",
        _VMSPLICE_AFTER_FORK + _PARENT_PIPE_STILL_HOLDS,
        NO_LEAK_INTO_PARENT,
    ),
    *_pin_cases("R/O {} pin on R/O-mapped shared page", _SHARED, _EXIT_CHILD),
    *_pin_cases("R/O {} pin on R/O-mapped previously-shared page", _PREVIOUSLY_SHARED),
    *_pin_cases("R/O {} pin on R/O-mapped exclusive page", _EXCLUSIVE),
)

NON_ANON_CASES: tuple[Case, ...] = (
    ("Basic COW", _OTHER_MAPPING_STILL_READS, NOT_MODIFIED),
    *_pin_cases("R/O longterm {} pin", ""),
)


def scenarios(pmd_pages: int = PMD_PAGES, pud_pages: int = PUD_PAGES) -> tuple[Test, ...]:
    """The tests in the selftest's order; number 151 is `R/O longterm GUP pin ... with shared zeropage`."""
    anon = [(case, memory) for case in ANON_CASES for memory in anon_memory(pmd_pages // 2)]
    non_anon = [(case, memory) for case in NON_ANON_CASES for memory in non_anon_memory()]
    return tuple(
        _test(number, case, memory, pmd_pages, pud_pages) for number, (case, memory) in enumerate(anon + non_anon, 1)
    )


def _test(number: int, case: Case, memory: Memory, pmd_pages: int, pud_pages: int) -> Test:
    case_name, case_lines, result_text = case
    memory_name, memory_lines, under_test = memory
    lines = (memory_lines + case_lines).replace("{x}", under_test)
    text = f"scenario {title_of(case_name, memory_name)}\n{lines}"
    return Test(number, parse(text, pmd_pages, pud_pages), result_text)
