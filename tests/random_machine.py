"""Random operations of several tasks and processes on a tiny machine, interleaved step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from pinhold.mm import flags as k
from pinhold.mm import madvise, releases, rules, task
from pinhold.mm.device import device_write
from pinhold.mm.file import file_create, file_free_slot, file_put
from pinhold.mm.folio import folio_test_anon
from pinhold.mm.fork import mm_init
from pinhold.mm.hugetlb import hugetlbfs_fallocate
from pinhold.mm.ksm import find_mergeable_vma, mapped_small_anon
from pinhold.mm.limits import WITHIN_LIMITS
from pinhold.mm.machine import Machine, create
from pinhold.mm.mmap import do_mmap
from pinhold.mm.operations import NAMES
from pinhold.mm.pgtable import pt_leaf, pte_pfn
from pinhold.mm.pinning import pin_start
from pinhold.mm.state import TINY
from pinhold.mm.step import step
from pinhold.mm.trap import TRAP_COLLAPSE
from pinhold.mm.users import direct_io_flags
from pinhold.targets.model.target import CONFIG

SPACE = 1 << (TINY.levels * TINY.bits)
RW = k.VM_READ | k.VM_WRITE
PROTECTIONS = (0, k.VM_READ, RW, RW, RW)
PIN_FLAGS = (
    k.FOLL_WRITE,
    k.FOLL_LONGTERM,
    k.FOLL_FORCE,
    k.WANT_FAST,
)
RARE_PIN_FLAGS = (
    k.FOLL_NOFAULT,
    k.FOLL_DUMP,
    k.FOLL_ANON,
    k.FOLL_SPLIT_PMD,
    k.FOLL_FAST_ONLY,
    k.FOLL_HONOR_NUMA_FAULT,
    k.FOLL_PCI_P2PDMA,
    k.FOLL_TOUCH,
)
PATIENCE = 2000
"""Steps that an operation may take while it runs alone."""


class Stuck(AssertionError):
    """An operation runs for ever, or everybody waits for somebody."""


ASK_IN_VAIN = ("__get_user_pages:", "unmerge_ksm_pages:", "cmp_and_merge_page:")
"""What repeats a fault until it gives what it should."""


class Livelock(Exception):
    """What ends a run early: a GUP, or KSM, that asks for what the faults of its (impossible) rules never give, and a
    MADV_COLLAPSE that has come to a file's memory, which is not specified."""


OLDEST = "oldest"
"""Every rule as it was before all its changes."""


def random_row(random: Random) -> tuple[dict[str, int], bool]:
    """The rules of a release or of older kernels, often with one switch turned at random, and whether there is one."""
    release = random.choice((*releases.releases(), "6.1.134", OLDEST))
    row = {rule.name: 0 for rule in rules.RULES} if release == OLDEST else releases.row(release)
    before = dict(row)
    if random.random() < 0.5:
        rule = random.choice(rules.RULES)
        row[rule.name] = random.randrange(len(rule.values))
    return row, row != before


def random_config(random: Random) -> dict[str, int]:
    """Everything that a kernel can be configured with, on or off; THP on advice, always, or never; and memory ends."""
    config = {name: int(random.random() < 0.7) for name in CONFIG if name != "memory_ends"}
    return config | {"thp": random.randrange(3), "memory_ends": 1}


class RandomMachine:
    """A machine and what is going on in it.

    advance: takes one step of a task, e.g. step() itself; before: told about every change that is not such a step.
    """

    def __init__(self, random: Random, *, checked: bool = False) -> None:
        self.random = random
        self.row, self.turned = random_row(random)
        self.config = random_config(random)
        self.m: Machine = create(TINY, self.row, self.config, checked=checked)
        self.log: list[object] = []
        self.processes = [0]
        self.descriptors: list[int] = []
        self.patience = PATIENCE
        self.last = (-1, 0, 0)
        self.freed = (-1, 0, 0)
        self.kind = [0] * TINY.tasks
        mm_init(self.m, 0)

    # --- who may do what ---

    def running(self) -> list[int]:
        return [number for number in range(TINY.tasks) if self.m.task_depth[number]]

    def forks(self) -> list[int]:
        """The slots of children that are being made."""
        return [self.m.act_arg[n * 4] for n in self.running() if self.m.act_function[n * 4] == task.FN_FORK]

    def exiting(self) -> list[int]:
        return [self.m.act_mm[n * 4] for n in self.running() if self.m.act_function[n * 4] == task.FN_EXIT]

    # --- one atomic step, or the start of an operation ---

    def steps(self, count: int, advance: Callable[[Machine, int], int] = step) -> Iterator[bool]:
        """`count` atomic changes; yields after each whether it was a step (rather than the start of an operation)."""
        waiting: set[int] = set()
        for _ in range(count):
            number = self.random.randrange(TINY.tasks)
            if self.m.task_depth[number] == 0:
                self.begin(number)
                waiting.clear()
                yield False
                continue
            self.m.trapped[0] = WITHIN_LIMITS  # what went beyond a limit before does not matter here
            outcome = advance(self.m, number)
            if self.m.trapped[0] == TRAP_COLLAPSE:
                raise Livelock
            self.log.append((number, outcome))
            if outcome == k.BLOCKED:
                waiting.add(number)
                if len(waiting) == TINY.tasks:
                    raise Stuck(f"all wait: {[self.functions(n) for n in self.running()]}")
            else:
                waiting.clear()
            self.finished(number)
            self.watch_patience()
            yield True

    def functions(self, number: int) -> str:
        acts = range(4 * number, 4 * number + self.m.task_depth[number])
        return " > ".join(f"{NAMES[self.m.act_function[a]]}:{self.m.act_pc[a]}" for a in acts)

    def story(self, length: int = 20) -> str:
        """The last entries of the log, for a reader: (task, outcome) of each step, and what was begun."""
        return "\n".join(map(str, self.log[-length:]))

    def watch_patience(self) -> None:
        """Operations end: the longest run without any end is bounded."""
        self.patience -= 1
        if self.patience == 0:
            running = [self.functions(n) for n in self.running()]
            if self.turned and any(name in functions for name in ASK_IN_VAIN for functions in running):
                raise Livelock
            raise Stuck(f"no end of {running}")

    def finished(self, number: int) -> None:
        """Look after what an operation that has just ended made or took away."""
        if self.m.task_depth[number]:
            return
        self.patience = PATIENCE
        if self.kind[number] == task.FN_FORK and self.m.task_result[number] >= 0:
            self.processes.append(self.m.task_result[number])

    def begin(self, number: int) -> None:
        """Start a random operation of a random process, or make a mapping or close a file."""
        random, m = self.random, self.m
        processes = [p for p in self.processes if m.mm_alive[p] and p not in self.exiting()]
        self.processes = processes
        if not processes:
            free = [p for p in range(TINY.mms) if not m.mm_alive[p] and p not in self.forks()]
            mm_init(m, free[0])
            self.processes.append(free[0])
            self.log.append(f"mm_init {free[0]}")
            return
        mm = random.choice(processes)
        choice = random.random()
        if choice < 0.25:
            self.map(mm)
        elif choice < 0.27 and self.descriptors:
            file = self.descriptors.pop(random.randrange(len(self.descriptors)))
            self.log.append(f"close {file}")
            file_put(m, file)
        elif choice < 0.29:
            self.device()
        elif choice < 0.45:
            self.pin(number, mm)
        else:
            self.operate(number, mm)

    def range(self, mm: int) -> tuple[int, int]:
        """Some pages, mostly in a mapping, and often the same as the last time, so that operations meet."""
        if self.last[0] == mm and self.random.random() < 0.4:
            return self.last[1], self.last[2]
        start, end = self.fresh_range(mm)
        self.last = (mm, start, end)
        return start, end

    def fresh_range(self, mm: int) -> tuple[int, int]:
        random, m = self.random, self.m
        vmas = [v for v in range(mm * m.vmas_per_mm, (mm + 1) * m.vmas_per_mm) if m.vma_end[v]]
        if vmas and random.random() < 0.95:
            vma = random.choice(vmas)
            low, high = m.vma_start[vma], m.vma_end[vma]
            if random.random() < 0.4:
                return low, high
        else:
            low, high = 0, SPACE
        start = random.randrange(low, high)
        return start, random.randint(start + 1, high) if random.random() < 0.6 else start + 1

    def map(self, mm: int) -> None:
        """mmap() is atomic here: it waits for nobody and needs the lock."""
        random, m = self.random, self.m
        if m.mm_writer[mm] or m.mm_readers[mm]:
            return
        flags = random.choice(PROTECTIONS) | (k.VM_SHARED if random.random() < 0.3 else 0)
        flags |= random.choice((0, k.VM_NOHUGEPAGE, k.VM_HUGEPAGE, k.VM_HUGEPAGE))
        kind = random.choice((0, 0, 0, k.FILE_SHMEM, k.FILE_PAGECACHE, k.FILE_HUGETLB, k.FILE_HUGETLB))
        order = 0
        if kind == k.FILE_HUGETLB:
            order = TINY.bits * random.choice((1, 1, 2))
        file = k.NO_FILE
        if kind or flags & k.VM_SHARED:
            file = self.file(kind or k.FILE_SHMEM, order)
            if file < 0:
                return
            order = m.file_order[file]
            flags |= k.VM_HUGETLB if m.file_kind[file] == k.FILE_HUGETLB else 0
        readonly = int(file >= 0 and random.random() < 0.2)
        unit = 1 << order
        start = random.randrange(0, SPACE, unit if order else random.choice((1, 4)))
        length = unit * random.choice((1, 1, 2, 3, 4)) if order else random.choice((1, 2, 4, 8))
        result = do_mmap(m, mm, start, min(start + length, SPACE), flags, file, order, readonly)
        self.log.append(
            f"mmap {mm} {start}+{length} flags {flags:#x} file {file} order {order} readonly {readonly} -> {result}"
        )
        if file >= 0 and m.file_users[file] == 1 and file not in self.descriptors:
            file_put(m, file)

    def file(self, kind: int, order: int) -> int:
        """An open file, mostly a new one, whose descriptor is kept or closed at once."""
        m = self.m
        if self.descriptors and self.random.random() < 0.6:
            return self.random.choice(self.descriptors)
        file = file_free_slot(m)
        if file >= 0:
            file_create(m, file, kind, order)
            self.descriptors.append(file)
            if kind == k.FILE_HUGETLB and self.random.random() < 0.3:
                hugetlbfs_fallocate(m, file, 1)
        return file

    def pin(self, number: int, mm: int) -> None:
        random, m = self.random, self.m
        free = [pin for pin in range(TINY.pins) if m.pin_state[pin] == k.PIN_FREE]
        if not free:
            return
        flags = random.choice((k.FOLL_PIN, k.FOLL_PIN, k.FOLL_PIN, k.FOLL_GET))
        for flag in PIN_FLAGS:
            flags |= flag if random.random() < 0.5 else 0
        if random.random() < 0.1:
            flags |= random.choice(RARE_PIN_FLAGS)
        start, end = self.range(mm)
        user = random.choice((k.USER_NONE, k.USER_VFIO, k.USER_IO_URING, k.USER_RDMA))
        if random.random() < 0.1:
            flags, user = direct_io_flags(m, random.randrange(2)), k.USER_NONE
        m.mm_memlock[mm] = random.choice((-1, -1, 0, 4, 16))
        m.mm_ipc_lock[mm] = int(random.random() < 0.3)
        self.kind[number] = task.FN_PIN
        pin_start(m, number, random.choice(free), mm, start, end, flags, user)
        self.log.append(f"task {number}: pin mm {mm} {start}-{end} flags {flags:#x} user {user}")

    def device(self) -> None:
        """A device writes through a pin that lets it."""
        live = [
            pin
            for pin in range(TINY.pins)
            if self.m.pin_state[pin] == k.PIN_LIVE and self.m.pin_flags[pin] & k.FOLL_WRITE
        ]
        if live:
            pin = self.random.choice(live)
            device_write(self.m, pin, self.random.randrange(1, 100))
            self.log.append(f"device writes through pin {pin}")

    def operate(self, number: int, mm: int) -> None:
        random, m = self.random, self.m
        function, flags, arg = random.choice(OPERATIONS), 0, 0
        start, end = self.range(mm)
        if function == task.FN_ACCESS:
            flags, arg = random.choice((0, k.FAULT_FLAG_WRITE)), random.choice((1, 1, 2, random.randrange(1, 100)))
        elif function == task.FN_ACCESS_REMOTE:
            arg = random.randrange(1, 100)
        elif function == task.FN_FORK:
            free = [p for p in range(TINY.mms) if not m.mm_alive[p] and p not in self.forks()]
            if not free:
                return
            start = end = 0
            arg = free[0]
        elif function == task.FN_MPROTECT:
            flags = random.choice(PROTECTIONS)
        elif function == task.FN_MADVISE:
            flags = random.choice(ADVICE)
            mm, start, end = self.advised(flags, mm, start, end)
        elif function == task.FN_KSM_MERGE:
            mm, start, arg, end = self.alike() or (mm, start, random.choice(self.processes), random.randrange(SPACE))
        elif function == task.FN_MREMAP:
            mm, start, end = self.part_of_hugetlb() or (mm, start, end)
            if end - start >= SPACE:
                return
            arg = random.randrange(0, SPACE - (end - start), random.choice((1, 4)))
        elif function == task.FN_UNPIN:
            live = [pin for pin in range(TINY.pins) if m.pin_state[pin] == k.PIN_LIVE and pin not in self.unpinning()]
            if not live:
                return
            arg = random.choice(live)
        elif function == task.FN_EXIT and random.random() < 0.5:
            return
        self.kind[number] = function
        task.call(m, number, function, mm, start, end, flags, arg)
        self.log.append(f"task {number}: {NAMES[function]} mm {mm} {start}-{end} flags {flags:#x} arg {arg}")

    def advised(self, advice: int, mm: int, start: int, end: int) -> tuple[int, int, int]:
        """Where advice is given: often THPs are freed whole, and what was freed is paged out."""
        if advice == madvise.MADV_FREE:
            thps = self.thps()
            if thps and self.random.random() < 0.7:
                mm, start = self.random.choice(thps)
                end = start + TINY.pmd_pages
            self.freed = mm, start, end
        elif advice == madvise.MADV_COLLAPSE:
            return self.base_pages() or (mm, start, end)
        elif advice == madvise.MADV_PAGEOUT and self.freed[0] in self.processes and self.random.random() < 0.7:
            return self.freed
        return mm, start, end

    def base_pages(self) -> tuple[int, int, int] | None:
        """Mostly whole PMDs of some anonymous mapping, where a THP could be: (process, start, end)."""
        m, size = self.m, TINY.pmd_pages
        wide = [v for v in range(len(m.vma_end)) if m.vma_anon[v] and v // m.vmas_per_mm in self.processes]
        wide = [v for v in wide if m.vma_file[v] == k.NO_FILE and m.vma_end[v] - m.vma_start[v] >= size]
        if not wide or self.random.random() < 0.2:
            return None
        vma = self.random.choice(wide)
        if self.random.random() < 0.5:
            return vma // m.vmas_per_mm, m.vma_start[vma], m.vma_end[vma]
        start = self.random.randrange(m.vma_start[vma] // size * size, m.vma_end[vma], size)
        return vma // m.vmas_per_mm, start, start + size

    def part_of_hugetlb(self) -> tuple[int, int, int] | None:
        """Sometimes the first or the last huge page of a private hugetlb mapping of several: (process, start, end)."""
        m = self.m
        several = [v for v in range(len(m.vma_end)) if m.vma_reserve[v] and v // m.vmas_per_mm in self.processes]
        several = [v for v in several if m.vma_end[v] - m.vma_start[v] > 1 << m.vma_order[v]]
        if not several or self.random.random() < 0.5:
            return None
        vma = self.random.choice(several)
        size = 1 << m.vma_order[vma]
        start = self.random.choice((m.vma_start[vma], m.vma_end[vma] - size))
        return vma // m.vmas_per_mm, start, start + size

    def thps(self) -> list[tuple[int, int]]:
        """What huge entries map, as (process, address)."""
        found = []
        for mm in self.processes:
            for addr in range(0, SPACE, TINY.pmd_pages):
                entry = self.m.pte[pt_leaf(self.m, mm, addr)[0]]
                if entry & k.PTE_PSE and pte_pfn(entry) < self.m.nr_pages and folio_test_anon(self.m, pte_pfn(entry)):
                    found.append((mm, addr))
        return found

    def alike(self) -> tuple[int, int, int, int] | None:
        """Two pages that KSM might merge, as (process, address) twice."""
        pages = [
            (mm, addr, self.m.page_content[page])
            for mm in self.processes
            for addr in range(SPACE)
            if find_mergeable_vma(self.m, mm, addr) >= 0 and (page := mapped_small_anon(self.m, mm, addr)) >= 0
        ]
        if not pages:
            return None
        mm, addr, content = self.random.choice(pages)
        others = [page for page in pages if page[2] == content and page[:2] != (mm, addr)]
        other, address, _ = self.random.choice(others or pages)
        return mm, addr, other, address

    def unpinning(self) -> list[int]:
        return [self.m.act_arg[n * 4] for n in self.running() if self.m.act_function[n * 4] == task.FN_UNPIN]


OPERATIONS = (
    *(task.FN_ACCESS,) * 6,
    *(task.FN_ACCESS_REMOTE,) * 2,
    task.FN_UFFDIO_CONTINUE,
    *(task.FN_WRITEBACK,) * 2,
    *(task.FN_PROT_NUMA,) * 2,
    *(task.FN_FORK,) * 2,
    task.FN_EXIT,
    task.FN_MUNMAP,
    *(task.FN_MPROTECT,) * 2,
    *(task.FN_MADVISE,) * 5,
    *(task.FN_KSM_MERGE,) * 2,
    task.FN_MREMAP,
    task.FN_CLEAR_REFS,
    *(task.FN_UNPIN,) * 3,
)
ADVICE = (
    madvise.MADV_DONTNEED,
    madvise.MADV_PAGEOUT,
    madvise.MADV_PAGEOUT,
    madvise.MADV_POPULATE_READ,
    madvise.MADV_POPULATE_WRITE,
    madvise.MADV_HUGEPAGE,
    madvise.MADV_NOHUGEPAGE,
    madvise.MADV_DONTFORK,
    madvise.MADV_DOFORK,
    *(madvise.MADV_MERGEABLE,) * 4,
    madvise.MADV_UNMERGEABLE,
    *(madvise.MADV_FREE,) * 3,
    *(madvise.MADV_COLLAPSE,) * 3,
)
