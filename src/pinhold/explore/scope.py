"""Scopes: what an exhaustive search is bounded to, as data.

A scope is a set-up (steps of the scenario language, run to completion), and tasks that run side by side, each with the
operations that it may begin, again and again, whenever it is idle.  What it does not name does not exist: frames, kinds
of memory, operations.  Scopes are tables of a TOML file; the ones that come with pinhold are in `scopes/`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from pinhold.explore import via
from pinhold.explore.record import TOKENS
from pinhold.mm.limits import LIMIT_STACK, LIMITS
from pinhold.mm.sites import SITES
from pinhold.mm.state import Geometry
from pinhold.mm.trap import TRAPS
from pinhold.scenario import steps as s
from pinhold.scenario.needed import inconsistent, lacking
from pinhold.scenario.parse import parse
from pinhold.scenario.printer import format_step
from pinhold.scenario.ranges import NAME
from pinhold.scenario.small import BOUNDS, SWITCHES, Small
from pinhold.scenario.steps.table import parse_step
from pinhold.scenario.tokens import Mismatch, ScenarioError, tokenize
from pinhold.targets.model.room import pins, processes, small_geometry

SIZES = ("small", "medium", "large")
"""What Python exhausts in seconds; what needs the compiler; what takes minutes, or gigabytes, then."""

POOL_MAX = 8
"""Pins of a name: more than anybody exhausts; which of them is let go of is one of a move's outcomes (via.py)."""

PROCESSES_MAX = 4

SITE_NUMBERS = {site.name: number for number, site in enumerate(SITES)}


class BadScope(ValueError):
    """A scope that cannot be meant; the message names it and what is wrong."""


def beyond(scope: str, limit: int) -> Exception:
    """What to raise of a state beyond a limit of the scope's machine: BadScope, as it is to be made larger; but
    AssertionError of what the explorer itself has cut to measure, wrongly, or mm/ does not know."""
    if limit == LIMIT_STACK:
        return AssertionError(f"{scope}: a task's stack is too small for its operations")
    if limit in TRAPS:
        return AssertionError(f"{scope}: {TRAPS[limit]}")
    what, word = LIMITS[limit]
    makes = f"; '{word} = N' makes more" if word else ""
    return BadScope(f"{scope}: the scope is too small: it has no more {what}{makes}")


def too_many_outcomes(scope: Scope, outcomes: int) -> AssertionError:
    """What to raise of a step that chooses more often than `Scope.outcomes` says."""
    return AssertionError(f"{scope.name}: a step has {outcomes} outcomes, more than the {scope.outcomes} foreseen")


@dataclass(frozen=True)
class Scope:
    """One scope.

    setup: steps of the scenario language.  tasks: name -> the steps that the task may begin.  small: the machine; a
    TOML table has its words beside the others, and in `config` those that configure the kernel.  pools: name of a
    pin -> how many of that name there may be at once, where more than one: a step that takes one takes another, one
    that uses or lets go of one does that with any.  content: bytes are tokens, told apart; else nothing is stored.
    reach: decision sites (mm/sites) that it is there for: its steps pass each of them, under its own rules.
    states, transitions, depth: of the whole space under `rules`, known from earlier runs; seconds: that a compiled
    search took.

    Of a scope of the history: defect: what is found and the commit that mended it; fixed: the release; without: the
    switches that bring it back, or fix: those that mend it in `rules`; steps: the shortest way to it; shown: the stock
    kernels on which that way, written as a scenario, showed it.
    """

    name: str
    about: str
    size: str
    setup: tuple[str, ...]
    tasks: Mapping[str, tuple[str, ...]]
    rules: str = "6.18"
    small: Small = field(default_factory=Small)
    pools: Mapping[str, int] = field(default_factory=dict)
    content: bool = False
    reach: tuple[str, ...] = ()
    states: int = 0
    transitions: int = 0
    depth: int = 0
    seconds: float = 0.0
    defect: str = ""
    fixed: str = ""
    without: Mapping[str, str] = field(default_factory=dict)
    fix: Mapping[str, str] = field(default_factory=dict)
    steps: int = 0
    shown: str = ""

    @cached_property
    def scenario(self) -> s.Scenario:
        """The set-up, as a scenario."""
        try:
            return parse("\n".join([f"scenario {self.name}", *self.setup]), self.small.pmd_pages, self.small.pud_pages)
        except ScenarioError as error:
            raise BadScope(f"{self.name}: set-up: {error}") from None

    @cached_property
    def operations(self) -> tuple[tuple[str, tuple[s.Step, ...]], ...]:
        """For each task its name and the steps that it may begin."""
        return tuple((task, tuple(self.parsed(task, text) for text in texts)) for task, texts in self.tasks.items())

    def parsed(self, task: str, text: str) -> s.Step:
        try:
            step, _ = parse_step(tokenize(text))
        except Mismatch as error:
            raise BadScope(f"{self.name}: task {task}: '{text}': {error.message()}") from None
        if not isinstance(step, s.Action):
            raise BadScope(f"{self.name}: task {task}: '{text}' is no operation")
        return step

    @cached_property
    def all_steps(self) -> tuple[s.Step, ...]:
        """Those of the set-up, and every task's."""
        return (*self.scenario.steps, *(step for _, steps in self.operations for step in steps))

    @cached_property
    def processes(self) -> tuple[str, ...]:
        """Their names, in the order of their slots: P, and what a fork names."""
        return processes(self.all_steps)

    @cached_property
    def pins(self) -> Mapping[str, range]:
        """Their names, each with its pool of slots."""
        pools: dict[str, range] = {}
        first = 0
        for name in pins(self.all_steps):
            pools[name] = range(first, first + self.pools.get(name, 1))
            first = pools[name].stop
        return pools

    @cached_property
    def maps(self) -> tuple[s.Map, ...]:
        return tuple(step for step in self.scenario.steps if isinstance(step, s.Map))

    @cached_property
    def geometry(self) -> Geometry:
        geometry = small_geometry(self.small, self.all_steps, len(self.tasks))
        return replace(geometry, pins=geometry.pins + sum(len(slots) - 1 for slots in self.pins.values()))

    @property
    def outcomes(self) -> int:
        """The most outcomes that one step has.

        It chooses once at most: among free frames of a size, free slots, or the pins of a pool.  Nothing in mm/ keeps
        a step from choosing twice; the searches refuse to go on where one has more outcomes than this.
        """
        small = self.small
        return max(small.frames, small.swap, small.hugetlb, *self.pools.values(), 1)

    @property
    def kinds(self) -> set[str]:
        """What there is besides anonymous base pages: "thp", "hugetlb", "swap", "file"."""
        kinds = {"thp"} if self.small.thps else set()
        kinds |= {"swap"} if self.small.swap else set()
        kinds |= {"hugetlb"} if any(m.memory.hugetlb for m in self.maps) else set()
        return kinds | ({"file"} if any(m.memory.descriptor for m in self.maps) else set())


SHAPES: Mapping[str, Callable[[Any], bool]] = {
    "a text": lambda v: isinstance(v, str),
    "a number from 0 on": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and v >= 0,
    "true or false": lambda v: isinstance(v, bool),
    **dict.fromkeys(
        ("a list of steps", "a list of names"), lambda v: isinstance(v, list) and all(isinstance(x, str) for x in v)
    ),
    "tasks, each a list of steps": lambda v: (
        isinstance(v, dict) and all(SHAPES["a list of steps"](x) for x in v.values())
    ),
    "a table of numbers": lambda v: isinstance(v, dict) and all(type(x) is int for x in v.values()),
    "a table of texts": lambda v: isinstance(v, dict) and all(isinstance(x, str) for x in v.values()),
}
WANTED = {
    **dict.fromkeys(("about", "size", "rules", "defect", "fixed", "shown"), "a text"),
    **{"setup": "a list of steps", "tasks": "tasks, each a list of steps", "content": "true or false"},
    "reach": "a list of names",
    **{
        "config": "a table of numbers",
        "pools": "a table of numbers",
        "without": "a table of texts",
        "fix": "a table of texts",
    },
}
"""Field -> what it is; all others are numbers."""


def scope_of(name: str, table: Mapping[str, Any]) -> Scope:
    """The scope that a TOML table describes.  Raises BadScope."""
    known = ({f.name for f in fields(Scope)} - {"name", "small"}) | BOUNDS.keys() | {"config"}
    for key, given in table.items():
        if key not in known:
            raise BadScope(f"{name}: no scope has '{key}'; known: {', '.join(sorted(known))}")
        wanted = WANTED.get(key, "a number from 0 on")
        if not SHAPES[wanted](given):
            raise BadScope(f"{name}: '{key}' is {wanted}")
    for key in ("about", "size", "setup", "tasks"):
        if key not in table:
            raise BadScope(f"{name}: '{key}' is missing")
    if table["size"] not in SIZES:
        raise BadScope(f"{name}: size is one of {', '.join(SIZES)}, not {table['size']!r}")
    for key in table.get("config", {}):
        if key not in SWITCHES:
            raise BadScope(f"{name}: no kernel is configured by '{key}'; known: {', '.join(SWITCHES)}")
    bounds = {key: table[key] for key in BOUNDS if key in table}
    for key, given in bounds.items():
        least, most = BOUNDS[key]
        if not isinstance(given, int) or not least <= given <= most:
            raise BadScope(f"{name}: {key} is a whole number from {least} to {most}")
    small = Small(**bounds, **table.get("config", {}))
    tasks = {task: tuple(texts) for task, texts in table["tasks"].items()}
    rest = {key: given for key, given in table.items() if key not in BOUNDS and key != "config"}
    lists = {"setup": tuple(table["setup"]), "reach": tuple(table.get("reach", ())), "tasks": tasks}
    scope = Scope(**{**rest, **lists, "name": name, "small": small})
    check(scope)
    return scope


def check(scope: Scope) -> None:
    """Raise BadScope for more than the smallest width of a field holds, and for names that mean nothing."""
    if not 1 <= len(scope.tasks) <= via.TASKS_MAX or len(scope.processes) > PROCESSES_MAX:
        raise BadScope(f"{scope.name}: a scope has 1 to {via.TASKS_MAX} tasks and 1 to {PROCESSES_MAX} processes")
    for task in scope.tasks:
        if not NAME.fullmatch(task):
            raise BadScope(f"{scope.name}: a task's name is letters, digits and _, at most 16: not '{task}'")
    if sum(len(texts) for texts in scope.tasks.values()) > via.ACTIONS_MAX:
        raise BadScope(f"{scope.name}: a scope has at most {via.ACTIONS_MAX} operations")
    if scope.outcomes > via.OUTCOMES_MAX:
        raise BadScope(
            f"{scope.name}: with so many frames, slots or pins a step has more than {via.OUTCOMES_MAX} outcomes"
        )
    for pin, count in scope.pools.items():
        if pin not in scope.pins:
            raise BadScope(f"{scope.name}: pools: no step takes a pin {pin}")
        if not 1 <= count <= POOL_MAX:
            raise BadScope(f"{scope.name}: pools: of a pin there may be 1 to {POOL_MAX} at once, not {count} ({pin})")
    for site in scope.reach:
        if site not in SITE_NUMBERS:
            near = get_close_matches(site, SITE_NUMBERS, n=1, cutoff=0.0)[0]
            raise BadScope(f"{scope.name}: reach: no decision is called {site!r}: did you mean {near}?")
    if not scope.maps:
        raise BadScope(f"{scope.name}: the set-up maps nothing")
    if lack := inconsistent(scope.small):
        raise BadScope(f"{scope.name}: the machine needs {lack}")
    for step in scope.all_steps:
        if lack := lacking(scope.small, step):
            raise BadScope(f"{scope.name}: '{format_step(step)}' needs a machine with {lack}")
    if scope.content:
        check_content(scope)


def check_content(scope: Scope) -> None:
    """Raise BadScope where there could be more tokens than there are numbers for: one a frame, slot and task."""
    most = scope.small.frames + scope.small.hugetlb + scope.small.swap + len(scope.tasks)
    if most >= TOKENS:
        raise BadScope(
            f"{scope.name}: with content, frames, huge pages, swap slots and tasks are under {TOKENS} together"
        )
    for step in scope.scenario.steps:
        if getattr(step, "byte", 0) >= TOKENS:
            raise BadScope(f"{scope.name}: set-up: '{format_step(step)}': with content, bytes are under {TOKENS}")


def read_scopes(text: str, where: str) -> dict[str, Scope]:
    """The scopes of a TOML text.  Raises BadScope."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadScope(f"{where}: {error}") from None
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise BadScope(f"{where}: '{name}' is no table")
    return {name: scope_of(name, table) for name, table in tables.items()}


@cache
def library() -> Mapping[str, Scope]:
    """The scopes that come with pinhold."""
    scopes: dict[str, Scope] = {}
    for file in sorted(files("pinhold.explore").joinpath("scopes").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            scopes |= read_scopes(file.read_text(encoding="utf-8"), file.name)
    return scopes
