"""Hypothesis strategies for valid scenarios, steps drawn from what exists at that point."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pinhold.scenario import step as s
from pinhold.scenario.advice import ADVICE
from pinhold.scenario.bounds import MAX_NAME, MAX_PINS, MAX_PROCESSES, MAX_REGIONS, MAX_TASKS, MAX_WATCHED
from pinhold.scenario.errnos import ERRNO
from pinhold.scenario.grammar import NAME, RESERVED
from pinhold.scenario.kinds import HUGETLB_SIZES, KINDS
from pinhold.scenario.small import BOUNDS, SWITCHES, Small
from pinhold.scenario.watch import PMD_PAGES, PUD_PAGES, huge_unit, region_pages

NAMES = st.from_regex(NAME, fullmatch=True).filter(lambda n: n not in RESERVED and len(n) <= MAX_NAME)
BYTES = st.integers(0, 255)
PRINTABLE = st.characters(categories=("L", "M", "N", "P", "S", "Zs")).filter(str.isprintable)
TITLES = st.text(PRINTABLE, min_size=1, max_size=60).map(str.strip).filter(bool)
NEEDED = {"levels": 2, "thps": 1, "hugetlb": 1, "swap": 1}
"""What a small machine has at least, so that it has what any step needs."""
SMALL = st.builds(
    Small,
    **{name: st.integers(NEEDED.get(name, least), most) for name, (least, most) in BOUNDS.items()},
    **{name: st.none() | st.integers(0, 1) for name in SWITCHES},
)
PERHAPS_SMALL = st.none() | SMALL
TEXTS = st.none() | st.text(PRINTABLE, min_size=1, max_size=30)


class _World:
    """What exists while a scenario is drawn."""

    def __init__(self, small: Small | None) -> None:
        self.small = small
        self.huge = (PMD_PAGES, PUD_PAGES) if small is None else (small.pmd_pages, small.pud_pages)
        self.tasks: set[str] = set()
        self.processes: dict[str, list[str]] = {"P": []}
        self.process_names = {"P"}
        self.maps: dict[str, s.Map] = {}
        self.pages: dict[str, int] = {}
        self.moved: set[str] = set()
        self.lasting = False
        self.pins: dict[str, str] = {}
        self.pin_names: set[str] = set()
        self.after_action = False


@st.composite
def scenarios(
    draw: st.DrawFn, max_steps: int = 12, small: st.SearchStrategy[Small | None] = PERHAPS_SMALL
) -> s.Scenario:
    """A scenario that the language can state."""
    world, steps = _World(draw(small)), []
    for _ in range(draw(st.integers(0, max_steps))):
        possible = [kind for kind, may in _POSSIBLE.items() if may(world)]
        steps.append(_DRAW[draw(st.sampled_from(possible))](draw, world))
        world.after_action = not isinstance(steps[-1], (*s.EXPECTATIONS, s.Require))
    small = sorted(name for name, pages in world.pages.items() if pages <= MAX_WATCHED // 3)
    watch = st.sampled_from(small).flatmap(lambda name: _ranges(name, world.pages[name], 1)) if small else st.nothing()
    watched = tuple(draw(st.lists(watch, max_size=3 if small else 0)))
    vm_only = TEXTS.filter(bool) if world.lasting and world.small is None else TEXTS
    return s.Scenario(draw(TITLES), tuple(steps), watched, draw(TEXTS), draw(vm_only), world.small)


def _ranges(name: str, pages: int, unit: int) -> st.SearchStrategy[s.Range]:
    units = pages // unit
    whole = st.just(s.Range(name))
    bounded = st.tuples(st.integers(0, units - 1), st.integers(1, units)).map(
        lambda pair: s.Range(name, pair[0] * unit, min(pair[0] + pair[1], units) * unit)
    )
    tail = st.integers(0, units - 1).map(lambda first: s.Range(name, first * unit))
    return whole | bounded | tail


def _proc(draw: st.DrawFn, world: _World) -> str:
    return draw(st.sampled_from(sorted(world.processes)))


def _somewhere(draw: st.DrawFn, world: _World) -> tuple[str, s.Range]:
    proc = draw(st.sampled_from(sorted(p for p, regions in world.processes.items() if regions)))
    name = draw(st.sampled_from(world.processes[proc]))
    return proc, draw(_ranges(name, world.pages[name], huge_unit(world.maps[name], *world.huge)))


def _pin(draw: st.DrawFn, world: _World) -> str:
    return draw(st.sampled_from(sorted(world.pins)))


def _new(draw: st.DrawFn, taken: Any) -> str:
    return draw(NAMES.filter(lambda name: name not in taken))


def _map(draw: st.DrawFn, world: _World) -> s.Step:
    proc, name, prot = _proc(draw, world), _new(draw, world.pages), draw(st.sampled_from(s.PROTS))
    files = [r for r in world.processes[proc] if world.maps[r].memory.descriptor and r not in world.moved]
    if files and draw(st.booleans()):
        of = draw(st.sampled_from(files))
        first = world.maps[of]
        readonly = draw(st.booleans())
        step = s.Map(proc, name, first.kind, draw(st.booleans()), prot, first.pages, first.size, of, readonly)
    else:
        kind = draw(st.sampled_from(list(KINDS)))
        memory = KINDS[kind]
        sizes = HUGETLB_SIZES if world.small is None else ("2M",)
        size = draw(st.sampled_from(sizes)) if memory.hugetlb else None
        shared = not memory.anonymous and draw(st.booleans())
        unit = huge_unit(s.Map(proc, name, kind, size=size), *world.huge)
        pages = draw(st.none() | st.integers(1, 2 if unit > 1 else 600).map(lambda n: n * unit))
        readonly = memory.descriptor and draw(st.booleans())
        step = s.Map(proc, name, kind, shared, prot, pages, size, readonly=readonly)
    world.maps[name], world.pages[name] = step, region_pages(step, *world.huge)
    world.processes[proc].append(name)
    return step


def _mremap(draw: st.DrawFn, world: _World) -> s.Step:
    proc, r = _somewhere(draw, world)
    to = _new(draw, world.pages)
    world.maps[to] = world.maps[r.region]
    world.pages[to] = (r.end or world.pages[r.region]) - r.first
    world.moved.add(to)
    whole = world.pages[to] == world.pages[r.region]
    world.lasting |= world.maps[to].memory.hugetlb and not world.maps[to].shared and not whole
    world.processes[proc].append(to)
    return s.Mremap(proc, r, to)


def _fork(draw: st.DrawFn, world: _World) -> s.Step:
    proc, child = _proc(draw, world), _new(draw, world.process_names)
    world.processes[child] = list(world.processes[proc])
    world.process_names.add(child)
    return s.Fork(proc, child)


def _exit(draw: st.DrawFn, world: _World) -> s.Step:
    proc = draw(st.sampled_from(sorted(world.processes)))
    del world.processes[proc]
    world.pins = {pin: owner for pin, owner in world.pins.items() if owner != proc}
    return s.Exit(proc)


def _take_pin(draw: st.DrawFn, world: _World, kinds: tuple[Any, ...] = (s.Vmsplice, s.IoUring, *s.COPIES)) -> s.Step:
    (proc, r), name = _somewhere(draw, world), _new(draw, world.pin_names)
    world.pins[name] = proc
    world.pin_names.add(name)
    plain = draw(st.none() | st.sampled_from(kinds))
    if plain is not None:
        return plain(proc, r, name)
    flags = [draw(st.booleans()) for _ in range(4)]
    via = draw(st.none() | st.sampled_from(("gup_test", "process_vm_readv")))
    return s.Pin(proc, r, name, *flags, draw(st.sampled_from(s.PIN_USERS)), via)


def _unpin(draw: st.DrawFn, world: _World) -> s.Step:
    name = _pin(draw, world)
    del world.pins[name]
    return s.Unpin(name)


def _frame(draw: st.DrawFn, world: _World) -> s.Step:
    one, other = _somewhere(draw, world), _somewhere(draw, world)
    return s.ExpectFrame(*one, draw(st.sampled_from(s.FRAME_RELATIONS)), *other, draw(TEXTS))


def _ksm(draw: st.DrawFn, world: _World) -> s.Step:
    return s.Ksm(*_somewhere(draw, world), *_somewhere(draw, world))


def _start(draw: st.DrawFn, world: _World) -> s.Step:
    """A new task or one that there is, and an operation that has atomic steps."""
    task = draw(st.sampled_from(sorted(world.tasks)) if len(world.tasks) == MAX_TASKS else NAMES)
    world.tasks.add(task)
    kind = draw(st.sampled_from([kind for kind in _STARTED if _POSSIBLE[kind](world)]))
    return s.Start(task, _take_pin(draw, world, s.HOLDS[1:]) if kind == "pin" else _DRAW[kind](draw, world))


def _advance(draw: st.DrawFn, world: _World) -> s.Step:
    return s.Advance(draw(st.sampled_from(sorted(world.tasks))), draw(st.integers(1, 1000)), draw(st.integers(0, 9)))


_STARTED = (
    *("unmap", "read", "write", "fork", "exit", "mprotect", "madvise", "swapout", "uffdio_continue", "writeback"),
    *("numa_hint", "ksm", "clear_softdirty", "pin", "unpin", "poke"),
)

_DRAW: dict[str, Any] = {
    "start": _start,
    "advance": _advance,
    "settle": lambda d, w: s.Settle(),
    "expect sound": lambda d, w: s.ExpectSound(d(TEXTS)),
    "ksm": _ksm,
    "map": _map,
    "mremap": _mremap,
    "fork": _fork,
    "exit": _exit,
    "pin": _take_pin,
    "unpin": _unpin,
    "unmap": lambda d, w: s.Unmap(*_somewhere(d, w)),
    "read": lambda d, w: s.Read(*_somewhere(d, w)),
    "write": lambda d, w: s.Write(*_somewhere(d, w), d(BYTES)),
    "mprotect": lambda d, w: s.Mprotect(*_somewhere(d, w), d(st.sampled_from(s.PROTS))),
    "madvise": lambda d, w: s.Madvise(*_somewhere(d, w), d(st.sampled_from(list(ADVICE)))),
    "swapout": lambda d, w: s.SwapOut(*_somewhere(d, w)),
    "swapin": lambda d, w: s.SwapIn(*_somewhere(d, w)),
    "uffdio_continue": lambda d, w: s.UffdioContinue(*_somewhere(d, w)),
    "writeback": lambda d, w: s.Writeback(*_somewhere(d, w)),
    "numa_hint": lambda d, w: s.NumaHint(*_somewhere(d, w)),
    "clear_softdirty": lambda d, w: s.ClearSoftDirty(_proc(d, w)),
    "drain": lambda d, w: s.Drain(),
    "memlock": lambda d, w: s.LimitMemlock(_proc(d, w), d(st.integers(0, 1 << 30))),
    "capability": lambda d, w: s.Capability(_proc(d, w), d(st.booleans())),
    "process_vm_writev": lambda d, w: s.ProcessVmWritev(*_somewhere(d, w), d(BYTES)),
    "direct read": lambda d, w: s.DirectRead(*_somewhere(d, w), d(BYTES)),
    "poke": lambda d, w: s.Poke(*_somewhere(d, w), d(BYTES), d(st.none() | st.sampled_from(s.POKES))),
    "device read": lambda d, w: s.DeviceRead(_pin(d, w)),
    "device write": lambda d, w: s.DeviceWrite(_pin(d, w), d(BYTES)),
    "require": lambda d, w: s.Require(*_somewhere(d, w), d(st.sampled_from(s.STATES)), d(TEXTS)),
    "expect byte": lambda d, w: s.ExpectByte(*_somewhere(d, w), d(BYTES), d(TEXTS)),
    "expect pin byte": lambda d, w: s.ExpectPinByte(_pin(d, w), d(BYTES), d(TEXTS)),
    "expect pin sees": lambda d, w: s.ExpectPinSees(_pin(d, w), *_somewhere(d, w), d(TEXTS)),
    "expect frame": _frame,
    "expect errno": lambda d, w: s.ExpectErrno(d(st.sampled_from(["OK", *ERRNO])), d(TEXTS)),
}


def _has_region(world: _World) -> bool:
    return any(world.processes.values())


_NEEDS: dict[str, Any] = {
    "start": lambda w: w.small is not None and _has_region(w),
    "advance": lambda w: bool(w.tasks),
    "settle": lambda w: w.small is not None,
    "expect sound": lambda w: True,
    "map": lambda w: bool(w.processes) and len(w.pages) < MAX_REGIONS and sum(w.pages.values()) < 1 << 19,
    "mremap": lambda w: _has_region(w) and len(w.pages) < MAX_REGIONS,
    "fork": lambda w: bool(w.processes) and len(w.process_names) < MAX_PROCESSES,
    "exit": lambda w: len(w.processes) > 1,
    "pin": lambda w: _has_region(w) and len(w.pin_names) < MAX_PINS,
    "unpin": lambda w: bool(w.pins),
    "clear_softdirty": lambda w: bool(w.processes),
    "drain": lambda w: True,
    "memlock": lambda w: bool(w.processes),
    "capability": lambda w: bool(w.processes),
    "device read": lambda w: bool(w.pins),
    "device write": lambda w: bool(w.pins),
    "expect pin byte": lambda w: bool(w.pins),
    "expect pin sees": lambda w: bool(w.pins) and _has_region(w),
    "expect errno": lambda w: w.after_action,
}
_POSSIBLE = {kind: _NEEDS.get(kind, _has_region) for kind in _DRAW}
