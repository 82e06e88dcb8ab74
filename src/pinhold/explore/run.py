"""One search, with the engine that fits: interpreted for small scopes, compiled for the others where numba is there."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pinhold.explore import walk
from pinhold.explore.budget import Budget, Watch, unwatched
from pinhold.explore.hands import Hands
from pinhold.explore.moving import ByPython, Maker
from pinhold.explore.result import NO_SITE, SearchResult
from pinhold.explore.search import ALL_PROPERTIES, Stepper, search
from pinhold.explore.shortest import fewest_context_switches
from pinhold.explore.walk import Walker
from pinhold.explore.world import World


@dataclass(frozen=True)
class Options:
    """engine: "interpreted", "compiled", or "" for the one that fits.  checkpoint: where a compiled search that a limit
    ends is put aside, and gone on with.  jobs: threads of a compiled search; 0: as many as it may use processors.
    properties, invariants, stuck: what is bad; site: the decision site that is looked for.  spill: a directory for a
    search whose truth lies in files; hands: who does its tasks, where not `jobs` threads."""

    engine: str = ""
    symmetric: bool = True
    invariants: bool = True
    properties: int = ALL_PROPERTIES
    stuck: bool = True
    site: int = NO_SITE
    budget: Budget = field(default_factory=Budget)
    checkpoint: Path | None = None
    jobs: int = 0
    spill: Path | None = None
    hands: Hands | None = None


def compiler_at_hand() -> bool:
    return importlib.util.find_spec("numba") is not None


def engine_for(world: World, options: Options) -> str:
    if options.engine:
        return options.engine
    return "compiled" if world.scope.size != "small" and compiler_at_hand() else "interpreted"


def maker_for(world: World, options: Options) -> Maker:
    """Who makes the moves where the graph of states is asked about."""
    bad: Any = {each: getattr(options, each) for each in ("symmetric", "properties", "invariants")}
    if engine_for(world, options) == "compiled":
        from pinhold.explore.compiled_moves import ByMachineCode  # noqa: PLC0415 # needs numba

        return ByMachineCode(world, **bad)
    return ByPython(Stepper(world, **bad))


def walker_for(world: World, options: Options, stepper: Stepper) -> Walker:
    """Who makes random walks.  stepper: who does it in Python."""
    if engine_for(world, options) == "compiled":
        from pinhold.explore.compiled_walks import ByMachineCode  # noqa: PLC0415 # needs numba

        return ByMachineCode(stepper, options.jobs or len(os.sched_getaffinity(0)))
    return walk.ByPython(stepper)


def explore(world: World, options: Options = Options(), watch: Watch = unwatched) -> SearchResult:
    """Search; a way to a bad state is then the one with the fewest changes between tasks."""
    stepper = Stepper(
        world,
        symmetric=options.symmetric,
        properties=options.properties,
        invariants=options.invariants,
        stuck=options.stuck,
        site=options.site,
    )
    if engine_for(world, options) == "compiled":
        from pinhold.explore.compiled_search import CompiledSearch  # noqa: PLC0415 # needs numba
        from pinhold.explore.external.search import ExternalSearch, Threads, owners_for, piece_for  # noqa: PLC0415

        jobs = options.jobs or len(os.sched_getaffinity(0))
        compiled = CompiledSearch(
            world,
            symmetric=options.symmetric,
            properties=options.properties,
            invariants=options.invariants,
            stuck=options.stuck,
            site=options.site,
            jobs=jobs,
        )
        if options.spill:
            hands = options.hands or Threads(jobs)
            piece = piece_for(options.budget.bytes, len(hands))
            external = ExternalSearch(compiled, options.spill, hands, piece, owners_for(len(hands)))
            result = external.run(options.budget, watch)
        else:
            result = compiled.run(options.budget, watch, options.checkpoint)
    else:
        result = search(stepper, options.budget, watch)
    if result.path:
        result.path = fewest_context_switches(stepper, result.path)
    return result
