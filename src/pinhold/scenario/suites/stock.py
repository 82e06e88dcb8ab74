"""The suite `stock`: what a kernel without gup_test can show.

The selftests' COW, vmsplice and io_uring cases under their own names; short read-only pins, what ends a mapping under a
pin, pins in three generations of processes, direct I/O and forced writes.  Each states what a correct kernel does; what
is known to be open is `xfail`, as in present-day selftests.  A test is the lines of a type of memory, then those of a
case, {x} being the range under test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pinhold.scenario.parse import parse
from pinhold.scenario.suites import seed
from pinhold.scenario.suites.case import Test
from pinhold.scenario.suites.seed import NO_LEAK_INTO_CHILD, NO_LEAK_INTO_PARENT, NOT_MODIFIED
from pinhold.scenario.titles import title_of
from pinhold.scenario.watch import PMD_PAGES, PUD_PAGES

RW_PIN_IS_RELIABLE = "Longterm R/W pin is reliable"
PIN_OUTLIVES = "Pinned page outlives its mapping"
BREAKS_COW = "Short R/O pin breaks COW"
SNAPSHOT = "Short R/O pin is a snapshot"
STAYS_SHARED = "Shared mapping stays shared"

HUGETLB_VMSPLICE = "hugetlb_wp() reuses a page that only references (FOLL_GET) hold besides: known and open"

# -- Cases ------------------------------------------------------------------------------------------------------------

_FORK_AND_READ = """
fork P C
read C {x}
"""

_PIN_STILL_SEES = f"""
write P {{x}} 0xff
expect p sees P {{x}} "{RW_PIN_IS_RELIABLE}"
unpin p
"""


@dataclass(frozen=True, slots=True)
class Case:
    """not_on: beginnings of the names of memory that the case has no meaning for."""

    name: str
    lines: str
    result_text: str
    not_on: tuple[str, ...] = ()


_IO_URING = (
    Case(
        "R/O-mapping a page registered as iouring fixed buffer",
        "io_uring P {x} as p\nmprotect P {x} read\nclear_softdirty P\nmprotect P {x} rw\n" + _PIN_STILL_SEES,
        RW_PIN_IS_RELIABLE,
    ),
    Case(
        "mprotect() of a page registered as iouring fixed buffer",
        "io_uring P {x} as p\nmprotect P {x} read\nmprotect P {x} rw\n" + _PIN_STILL_SEES,
        RW_PIN_IS_RELIABLE,
    ),
    Case(
        "fork() with an iouring fixed buffer",
        "io_uring P {x} as p\nfork P C\n" + _PIN_STILL_SEES + "exit C\n",
        RW_PIN_IS_RELIABLE,
    ),
    Case(
        "fork() of a child with iouring fixed buffers in each",
        f"""
io_uring P {{x}} as p
fork P C
io_uring C {{x}} as q
fork C G
io_uring G {{x}} as r
write P {{x}} 0x11
write C {{x}} 0x22
write G {{x}} 0x33
expect p sees P {{x}} "{RW_PIN_IS_RELIABLE}"
expect q sees C {{x}} "{RW_PIN_IS_RELIABLE}"
expect r 0x33 "{RW_PIN_IS_RELIABLE}"
exit G
exit C
expect p 0x11 "{RW_PIN_IS_RELIABLE}"
unpin p
""",
        RW_PIN_IS_RELIABLE,
    ),
)

# What is mapped where the pinned page was must not be that page.
_END_OF_MAPPING = (
    Case(
        "MADV_DONTNEED of a page registered as iouring fixed buffer",
        f"""
write P {{x}} 0x11
io_uring P {{x}} as p
madvise P {{x}} dontneed
write P {{x}} 0xff
expect p 0x11 "{PIN_OUTLIVES}"
expect P {{x}} 0xff
unpin p
""",
        PIN_OUTLIVES,
    ),
    Case(
        "munmap() of a page registered as iouring fixed buffer",
        f"""
write P {{x}} 0x11
io_uring P {{x}} as p
unmap P {{x}}
map P n anon pages 16
write P n 0xff
expect p 0x11 "{PIN_OUTLIVES}"
unpin p
""",
        PIN_OUTLIVES,
    ),
    Case(
        "mremap() of a page registered as iouring fixed buffer",
        f"""
io_uring P {{x}} as p
mremap P {{x}} to z
write P z 0xff
expect p sees P z "{RW_PIN_IS_RELIABLE}"
unpin p
""",
        RW_PIN_IS_RELIABLE,
    ),
)

_SHORT_PINS = (
    Case(
        "process_vm_readv() of R/O-mapped shared page in parent",
        _FORK_AND_READ
        + f"""
process_vm_readv P {{x}} as s
expect P {{x}} different C {{x}} "{BREAKS_COW}"
write P {{x}} 0xff
expect s 0x01
expect C {{x}} 0x01 "{BREAKS_COW}"
exit C
""",
        BREAKS_COW,
    ),
    Case(
        "process_vm_readv() of R/O-mapped shared page in child",
        _FORK_AND_READ
        + f"""
read P {{x}}
process_vm_readv C {{x}} as s
expect C {{x}} different P {{x}} "{BREAKS_COW}"
write P {{x}} 0xff
expect s 0x01
expect C {{x}} 0x01 "{BREAKS_COW}"
exit C
""",
        BREAKS_COW,
    ),
)

_DIRECT_IO = (
    Case(
        "O_DIRECT write() in child",
        _FORK_AND_READ
        + f"""
direct write C {{x}} as s
write P {{x}} 0xff
expect s 0x01 "{NO_LEAK_INTO_CHILD}"
expect C {{x}} 0x01 "{NO_LEAK_INTO_CHILD}"
exit C
""",
        NO_LEAK_INTO_CHILD,
    ),
    Case(
        "O_DIRECT read() in parent",
        _FORK_AND_READ
        + f"""
direct read P {{x}} 0x22
expect P {{x}} 0x22
expect C {{x}} 0x01 "{NO_LEAK_INTO_CHILD}"
exit C
""",
        NO_LEAK_INTO_CHILD,
    ),
    Case(
        "O_DIRECT read() in child",
        _FORK_AND_READ
        + f"""
read P {{x}}
direct read C {{x}} 0x22
expect C {{x}} 0x22
expect P {{x}} 0x01 "{NO_LEAK_INTO_PARENT}"
exit C
""",
        NO_LEAK_INTO_PARENT,
    ),
)

_FORCED = (
    Case(
        "Forced write to R/O mapping after fork()",
        _FORK_AND_READ
        + f"""
mprotect P {{x}} read
poke P {{x}} 0xff
expect P {{x}} 0xff
expect C {{x}} 0x01 "{NO_LEAK_INTO_CHILD}"
exit C
""",
        NO_LEAK_INTO_CHILD,
        not_on=("hugetlb",),
    ),
)


_LAZYFREE = (
    Case(
        "MADV_FREE and reclaim of a page registered as iouring fixed buffer",
        "io_uring P {x} as p\nmadvise P {x} free\nmadvise P {x} pageout\n" + _PIN_STILL_SEES,
        RW_PIN_IS_RELIABLE,
        ("hugetlb",),
    ),
)


def anon_cases() -> tuple[Case, ...]:
    """On private anonymous memory: the selftest's that take no gup_test, then our own."""
    selftest = (Case(*case) for case in seed.ANON_CASES if "GUP" not in case[0])
    return (*selftest, *_IO_URING, *_END_OF_MAPPING, *_SHORT_PINS, *_DIRECT_IO, *_FORCED, *_LAZYFREE)


_OTHER_STILL_READS = f"""
read P s
expect P s 0x00 "{NOT_MODIFIED}"
"""

NON_ANON_CASES: tuple[Case, ...] = (
    *(Case(*case) for case in seed.NON_ANON_CASES if "GUP" not in case[0]),
    Case(
        "iouring fixed buffer",
        "io_uring P {x} as p\n" + _PIN_STILL_SEES + _OTHER_STILL_READS,
        RW_PIN_IS_RELIABLE,
    ),
    _IO_URING[2],
    Case(
        "MADV_DONTNEED of a page registered as iouring fixed buffer",
        f"""
write P {{x}} 0x11
io_uring P {{x}} as p
madvise P {{x}} dontneed
read P {{x}}
expect P {{x}} 0x00
expect p 0x11 "{PIN_OUTLIVES}"
unpin p
""",
        PIN_OUTLIVES,
    ),
    Case(
        "process_vm_readv()",
        f"""
process_vm_readv P {{x}} as t
expect P {{x}} same P s "{SNAPSHOT}"
write P {{x}} 0xff
expect t 0x00 "{SNAPSHOT}"
"""
        + _OTHER_STILL_READS,
        SNAPSHOT,
    ),
    Case(
        "O_DIRECT write()",
        f"""
direct write P {{x}} as t
expect P {{x}} same P s "{SNAPSHOT}"
write P {{x}} 0xff
expect t 0x00 "{SNAPSHOT}"
"""
        + _OTHER_STILL_READS,
        SNAPSHOT,
    ),
    Case("O_DIRECT read()", "direct read P {x} 0x22\nexpect P {x} 0x22\n" + _OTHER_STILL_READS, NOT_MODIFIED),
    Case(
        "Forced write to R/O mapping",
        "mprotect P {x} read\npoke P {x} 0xff\nexpect P {x} 0xff\n" + _OTHER_STILL_READS,
        NOT_MODIFIED,
        not_on=("memfd hugetlb",),
    ),
)

# A writable long-term pin of a shared mapping of an ordinary file is refused since 6.5.
_ORDINARY_FILES = ("shared tmpfile", "shared file")

SHARED_CASES: tuple[Case, ...] = (
    Case(
        "iouring fixed buffer",
        f"""
io_uring P {{x}} as p
fork P C
write C {{x}} 0xff
read P {{x}}
expect P {{x}} 0xff "{STAYS_SHARED}"
expect p sees P {{x}} "{RW_PIN_IS_RELIABLE}"
unpin p
exit C
""",
        RW_PIN_IS_RELIABLE,
        not_on=_ORDINARY_FILES,
    ),
    Case(
        "MADV_DONTNEED of a page registered as iouring fixed buffer",
        "io_uring P {x} as p\nmadvise P {x} dontneed\n" + _PIN_STILL_SEES,
        RW_PIN_IS_RELIABLE,
        not_on=_ORDINARY_FILES,
    ),
    Case(
        "process_vm_writev()",
        f"""
fork P C
process_vm_writev C {{x}} 0xff
read P {{x}}
expect P {{x}} 0xff "{STAYS_SHARED}"
exit C
""",
        STAYS_SHARED,
    ),
    Case(
        "O_DIRECT read()",
        f"""
fork P C
direct read C {{x}} 0x22
read P {{x}}
expect P {{x}} 0x22 "{STAYS_SHARED}"
exit C
""",
        STAYS_SHARED,
    ),
)

# -- Memory -----------------------------------------------------------------------------------------------------------

_SIZE, _KB = "2M", seed.HUGETLB_SIZES["2M"]
"""1 GiB pages are left out: to copy one takes longer than all the other tests."""

# Three generations, each with a page of its own, and one more that a pin outlives: a mapping that reserves them shows
# that they are there.
_RESERVE = """
map P dummy hugetlb {size} pages {reserve}
unmap P dummy
"""

_HUGETLB = (
    """
map P x hugetlb {size}
write P x 0x01
"""
    + _RESERVE
)

_SHARED = """
map P x {kind} shared
read P x
"""


def _anon_memory(pmd_pages: int) -> Iterator[seed.Memory]:
    for memory in seed.anon_memory(pmd_pages // 2):
        if not memory[0].startswith("hugetlb"):
            yield memory
    yield f"hugetlb ({_KB} kB)", _reserving(_HUGETLB, 3 * pmd_pages), "x"


def _reserving(lines: str, pages: int) -> str:
    return lines.replace("{size}", _SIZE).replace("{reserve}", str(pages))


def _non_anon_memory(pmd_pages: int) -> Iterator[seed.Memory]:
    for name, lines, under_test in seed.non_anon_memory():
        if f"({_KB} kB)" in name:
            yield name, lines + _reserving(_RESERVE, pmd_pages), under_test
        elif not name.startswith("memfd hugetlb"):
            yield name, lines, under_test
        if name == "tmpfile":
            yield "file", lines.replace("tmpfile", "file"), under_test


def _shared_memory() -> Iterator[seed.Memory]:
    for kind in ("memfd", "tmpfile", "file"):
        yield f"shared {kind}", _SHARED.replace("{kind}", kind), "x"
    yield f"shared memfd hugetlb ({_KB} kB)", _SHARED.replace("{kind}", f"memfd_hugetlb {_SIZE}"), "x"


def scenarios(pmd_pages: int = PMD_PAGES, pud_pages: int = PUD_PAGES) -> tuple[Test, ...]:
    """The tests in order: each case on each type of private anonymous memory, then of other private, then of shared."""
    parts = (
        (anon_cases(), tuple(_anon_memory(pmd_pages))),
        (NON_ANON_CASES, tuple(_non_anon_memory(pmd_pages))),
        (SHARED_CASES, tuple(_shared_memory())),
    )
    pairs = [
        (case, memory)
        for cases, memories in parts
        for case in cases
        for memory in memories
        if not memory[0].startswith(case.not_on)
    ]
    return tuple(_test(number, *pair, pmd_pages, pud_pages) for number, pair in enumerate(pairs, 1))


def _test(number: int, case: Case, memory: seed.Memory, pmd_pages: int, pud_pages: int) -> Test:
    memory_name, memory_lines, under_test = memory
    known = case.name.startswith("vmsplice()") and memory_name.startswith("hugetlb")
    xfail = f'xfail "{HUGETLB_VMSPLICE}"\n' if known else ""
    lines = (memory_lines + case.lines).replace("{x}", under_test)
    text = f"scenario {title_of(case.name, memory_name)}\n{xfail}{lines}"
    return Test(number, parse(text, pmd_pages, pud_pages), case.result_text)
