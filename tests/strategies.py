"""Hypothesis strategies for valid scenarios, steps drawn from what exists at that point."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pinhold.scenario import steps as s
from pinhold.scenario.bounds import MAX_NAME, MAX_PINS, MAX_PROCESSES, MAX_REGIONS, MAX_TASKS, MAX_WATCHED
from pinhold.scenario.forms import Byte, Chosen, Field, Keyed, Matching, Named, Number, Pages, Role, Thing, Word
from pinhold.scenario.kinds import HUGETLB_SIZES, KINDS
from pinhold.scenario.ranges import NAME, RESERVED
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
    """A scenario that the language can state: its steps are drawn from the table of steps, by the parts of their
    forms."""
    world, steps = _World(draw(small)), []
    for _ in range(draw(st.integers(0, max_steps))):
        possible = [each for each in s.STEPS if _possible(world, each)]
        steps.append(_step(draw, world, draw(st.sampled_from(possible))))
        world.after_action = isinstance(steps[-1], s.Action)
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


def _possible(world: _World, each: type[s.Step]) -> bool:
    """Whether there is all that such a step names, and room for what it makes."""
    if issubclass(each, s.Schedule) and world.small is None:
        return False
    if issubclass(each, s.ExpectErrno):
        return world.after_action
    if issubclass(each, s.Exit):
        return len(world.processes) > 1
    if issubclass(each, s.Start):
        return any(_possible(world, operation) for operation in s.startable())
    form = each.forms[-1]
    room = {
        Thing.PROCESS: len(world.process_names) < MAX_PROCESSES,
        Thing.REGION: len(world.pages) < MAX_REGIONS and sum(world.pages.values()) < 1 << 19,
        Thing.PIN: len(world.pin_names) < MAX_PINS,
    }
    there = {Thing.PROCESS: world.processes, Thing.PIN: world.pins, Thing.TASK: world.tasks}
    named = all(room[part.thing] if part.role is Role.MAKES else there[part.thing] for part in form.names())
    return named and (any(world.processes.values()) or not any(form.pages()))


def _step(draw: st.DrawFn, world: _World, each: type[s.Step]) -> s.Step:
    """One step of that class, its consequences taken."""
    if issubclass(each, s.Map):
        return _map(draw, world)
    if issubclass(each, s.Start):
        task = draw(st.sampled_from(sorted(world.tasks)) if len(world.tasks) == MAX_TASKS else NAMES)
        world.tasks.add(task)
        operations = [operation for operation in s.startable() if _possible(world, operation)]
        return s.Start(task, _step(draw, world, draw(st.sampled_from(operations))))
    form = draw(st.sampled_from(each.forms))
    values: dict[str, Any] = dict(form.fixed)
    mapped = {part.proc for part in form.pages()}
    for part in form.parts:
        if isinstance(part, Field):
            values[part.name] = _value(draw, world, part, values, part.name in mapped)
    for option in form.options:
        if isinstance(option, Chosen):
            values[option.name] = draw(st.sampled_from([option.default, *option.values.values()]))
        elif isinstance(option, Keyed):
            values[option.part.name] = draw(st.just(option.default) | _words(option.part))
    step = each(**values, **({"text": draw(TEXTS)} if form.text else {}))
    _take(world, step)
    return step


def _value(draw: st.DrawFn, world: _World, part: Field, values: dict[str, Any], mapped: bool) -> Any:
    """What a part may be.  mapped: of a process, one that has regions."""
    if isinstance(part, Pages):
        name = draw(st.sampled_from(world.processes[values[part.proc]]))
        return draw(_ranges(name, world.pages[name], huge_unit(world.maps[name], *world.huge)))
    if not isinstance(part, Named):
        return draw(_words(part))
    if part.role is Role.MAKES:
        taken = {Thing.PROCESS: world.process_names, Thing.REGION: world.pages, Thing.PIN: world.pin_names}[part.thing]
        return _new(draw, taken)
    if part.thing is Thing.PROCESS:
        return draw(st.sampled_from(sorted(p for p, regions in world.processes.items() if regions or not mapped)))
    return draw(st.sampled_from(sorted(world.pins if part.thing is Thing.PIN else world.tasks)))


def _words(part: Field) -> st.SearchStrategy[Any]:
    """What a part may be that names nothing."""
    match part:
        case Byte():
            return BYTES
        case Number(least=least, most=most):
            return st.integers(least, most)
        case Word(words=words):
            return st.sampled_from(list(words.values()))
        case Matching(name="via"):
            return st.sampled_from(("gup_test", "process_vm_readv"))
    raise TypeError(f"nothing to draw for {part}")


def _take(world: _World, step: s.Step) -> None:
    """What the step makes and ends."""
    by = step.named(Role.USES, Thing.PROCESS)
    for reference in step.references():
        match reference.role, reference.thing:
            case Role.MAKES, Thing.PROCESS:
                world.processes[reference.name] = list(world.processes[by])
                world.process_names.add(reference.name)
            case Role.MAKES, Thing.PIN:
                world.pins[reference.name] = by
                world.pin_names.add(reference.name)
            case Role.ENDS, Thing.PROCESS:
                del world.processes[reference.name]
                world.pins = {pin: owner for pin, owner in world.pins.items() if owner != reference.name}
            case Role.ENDS, Thing.PIN:
                del world.pins[reference.name]
    if isinstance(step, s.Mremap):
        _moved(world, step)


def _moved(world: _World, step: s.Mremap) -> None:
    r, to = step.range, step.to
    world.maps[to] = world.maps[r.region]
    world.pages[to] = (r.end or world.pages[r.region]) - r.first
    world.moved.add(to)
    whole = world.pages[to] == world.pages[r.region]
    world.lasting |= world.maps[to].memory.hugetlb and not world.maps[to].shared and not whole
    world.processes[step.proc].append(to)


def _new(draw: st.DrawFn, taken: Any) -> str:
    return draw(NAMES.filter(lambda name: name not in taken))


def _map(draw: st.DrawFn, world: _World) -> s.Step:
    proc, name, prot = (
        draw(st.sampled_from(sorted(world.processes))),
        _new(draw, world.pages),
        draw(st.sampled_from(s.PROTS)),
    )
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
