"""`pinhold conform`: random scenarios on real kernels, each step compared with the model of that kernel."""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pinhold.commands import Ended, NothingToRun, UsageError, conformed, nearest
from pinhold.commands.allow import allowed
from pinhold.commands.board import BOARD
from pinhold.commands.charts import chart_file
from pinhold.commands.ending import ended_by_signals
from pinhold.commands.given import deadline
from pinhold.commands.matrix import fitting
from pinhold.commands.names import called, split
from pinhold.commands.names import targets as targets_of
from pinhold.commands.registry import configured_as, make_target, model_of, ready
from pinhold.commands.select import Selected
from pinhold.scenario.parse import parse
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.verdict import severest
from pinhold.targets.base import Target
from pinhold.targets.batch import BatchTarget

if TYPE_CHECKING:
    from pinhold.conform.campaign import Plan, Ran
    from pinhold.conform.wanted import Wanted
    from pinhold.targets.model.target import ModelTarget

STEPS = 1000

_NEEDED = """scenario what all profiles need
map     P t thp
map     P h hugetlb 2M pages 4096
map     P x anon pages 64
write   P x 1
swapout P x
ksm     P x with P x
"""
"""What --allow-change provides for."""


def main(options: Namespace) -> int:
    """0: all agrees; 1: a difference that came again; 2: only such as did not; 5: a run broke."""
    from pinhold.conform.campaign import Campaign, Limits
    from pinhold.conform.profiles import PROFILES

    profiles = options.profile or list(PROFILES)
    for name in profiles:
        if name not in PROFILES:
            raise UsageError(f"no profile {name!r}: {nearest(name, list(PROFILES))}")
    names = targets_of(options.on)
    for name in names:
        if name.startswith("model:"):
            raise UsageError(f"{name} is a model: --on names a real kernel, live or vm:REL, which is compared with one")
    model = _model(options.model)
    endless = options.steps is None and (options.time is not None or options.until_covered)
    steps = None if endless else options.steps or STEPS
    limits = Limits(options.seed, steps, options.time, options.until_covered)
    limit = deadline(options, names)
    with (
        ended_by_signals(),
        allowed(options.allow_change, names, [Selected(1, "conform", parse(_NEEDED), "")]),
        chart_file(options) as draw,
    ):
        for name in names:
            ready(make_target(name, deadline=limit, counts=options.counts))
        jobs = options.jobs or fitting()
        begin = partial(_begin, model, profiles, options.counts)
        plans = _plans(options.on, limit, jobs, steps, begin, options.counts)
        run = Campaign(plans, limits, jobs, _progress(steps))
        cut: KeyboardInterrupt | None = None
        try:
            run.run()
        except KeyboardInterrupt as end:
            cut = end
        finally:
            for plan in plans:
                BOARD.clear(plan.name)
        words = None if cut is None else str(cut) if isinstance(cut, Ended) else "Ctrl-C"
        told = conformed.Campaigned(run.ran, profiles, options.seed, words)
        if options.corpus:
            _write(Path(options.corpus), told)
        if cut is None and all(ran.model is None for ran in run.ran):
            raise NothingToRun("; ".join(f"{r.name} cannot run here: {why}" for r in run.ran for why in r.ended))
        for line in _report(options.format, told):
            print(line)
        draw(partial(conformed.chart, told))
        sys.stdout.flush()
        if cut is not None:
            raise cut
        return severest(map(conformed.status, run.ran))


def _report(name: str, told: conformed.Campaigned) -> Iterable[str]:
    if name == "json":
        return [conformed.document(told)]
    if name == "ktap":
        from pinhold.report.ktap import ktap

        return ktap(conformed.cases(told), "selftest")
    if name == "junit":
        from pinhold.report.junit import junit

        return junit(conformed.cases(told), told.cut)
    return conformed.text(told)


def _model(text: str | None) -> Target | None:
    """The model that was asked for, by its release or as a target."""
    return None if text is None else make_target(text if text.startswith("model:") else f"model:{text}")


def _plans(
    on: Sequence[str],
    limit: float | None,
    jobs: int,
    steps: int | None,
    begin: Callable[[bool, TargetInfo], tuple[ModelTarget, Sequence[Wanted]]],
    counts: bool,
) -> list[Plan]:
    """One for each target; where there is room for more than one each, a guest has several lanes."""
    from pinhold.conform.campaign import WORTH_A_LANE, Plan

    worth = jobs if steps is None else 1 + steps // WORTH_A_LANE
    plans = []
    for text, name in zip(on, called(on), strict=True):
        what = split(text)[1]
        guest = what != "live"
        lanes = min(max(1, jobs // len(on)), worth) if guest else 1
        plans.append(Plan(name, partial(_named, what, name, limit, counts), partial(begin, guest), lanes))
    return plans


def _named(what: str, name: str, limit: float | None, counts: bool) -> Target | BatchTarget:
    target = make_target(what, deadline=limit, counts=counts)
    target.name = name
    return target


def _begin(
    model: Target | None, profiles: Iterable[str], counts: bool, guest: bool, info: TargetInfo
) -> tuple[ModelTarget, Sequence[Wanted]]:
    """What a kernel is compared with, and what of the profiles it can run.  Raises NotRun."""
    from pinhold.conform.campaign import NotRun
    from pinhold.conform.wanted import missing, wanted
    from pinhold.targets.model.target import ModelTarget

    configured = model_of(info) if model is None else configured_as(model, info)
    assert isinstance(configured, ModelTarget)
    lacks = {name: missing(name, configured) for name in profiles}
    here = [wanted(name, configured, guest, info) for name, lack in lacks.items() if lack is None]
    if not here:
        raise NotRun(f"it can run no profile: {next(iter(lacks.values()))} is missing")
    return configured.counting() if counts else configured, here


def _progress(steps: int | None) -> Callable[[Ran], None]:
    """Shows how far a target is."""
    from pinhold.conform.coverage import share

    of = "" if steps is None else f" of {steps}"

    def show(ran: Ran) -> None:
        if ran.began is None:
            BOARD.show(ran.name, f"{ran.name}: {ran.ended[-1] if ran.ended else 'booting'}")
            return
        tally = ran.tally
        rate = f", {tally.steps / ran.seconds:.0f} a second" if ran.seconds else ""
        reached = f", {100 * share(tally.coverage, ran.reachable):.0f} % reached"
        differ = f", {len(tally.differences)} differ"
        BOARD.show(ran.name, f"{ran.name}: {tally.steps}{of} steps{differ}{reached}{rate}")

    return show


def _write(folder: Path, told: conformed.Campaigned) -> None:
    """Each difference, and each scenario that broke a run, as a file of the corpus that says where it comes from."""
    folder.mkdir(parents=True, exist_ok=True)
    for ran in told.ran:
        found = [(each.scenario, each.words) for each in ran.tally.differences] + ran.tally.trouble
        for number, (scenario, words) in enumerate(found, 1):
            path = folder / f"{re.sub(r'[^A-Za-z0-9.]+', '-', ran.name)}-{number}.pin"
            path.write_text(conformed.case(ran, scenario, words))
            print(f"wrote {path}", file=sys.stderr)
