"""What `pinhold conform` says of a campaign, in each format, and the exit status that goes with it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pinhold import __version__
from pinhold.conform.coverage import AREAS, share
from pinhold.conform.differ import RUNS
from pinhold.conform.wanted import ABSENT, missing
from pinhold.report import terminal
from pinhold.report.results import CaseResult, TargetRun, counted, pools
from pinhold.scenario.printer import format_scenario
from pinhold.scenario.steps import Scenario
from pinhold.scenario.verdict import Verdict, severest
from pinhold.targets.model.calls import LIMITS
from pinhold.targets.runner import Result

if TYPE_CHECKING:
    from pinhold.conform.campaign import Ran
    from pinhold.conform.tally import Difference
    from pinhold.pictures.chart import Chart

EXIT_AGREES, EXIT_DIFFERS, EXIT_BY_CHANCE, EXIT_BROKEN = 0, 1, 2, 5

SCHEMA = 1
"""Of the JSON document."""

_SHOWN = 12
"""So many names of what was never reached are printed, of an area."""
_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Campaigned:
    """What there is to tell.  asked: the profiles, of which a target may have been unable to run some; cut: what ended
    it early, in words."""

    ran: Sequence[Ran]
    asked: Sequence[str]
    seed: int
    cut: str | None = None


def status(ran: Ran) -> int:
    """0: all agrees; 1: a difference that came again; 2: only such as did not; 5: a run broke."""
    tally = ran.tally
    found = [EXIT_DIFFERS if difference.counts else EXIT_BY_CHANCE for difference in tally.differences]
    return severest([EXIT_AGREES, *found, *([EXIT_BROKEN] if tally.trouble or ran.ended else [])])


# For people


def text(told: Campaigned) -> Iterator[str]:
    """What differs first, then how much was compared, what was reached and what was not."""
    if told.cut is not None:
        yield f"CUT OFF by {told.cut}."
        yield ""
    for number, ran in enumerate(told.ran):
        if number:
            yield ""
        yield from _of_target(ran, told)


def _of_target(ran: Ran, told: Campaigned) -> Iterator[str]:
    tally = ran.tally
    for difference in tally.differences:
        yield f"{difference.words} ({difference.came} of {RUNS} runs, {difference.title})"
        if difference.counts:
            yield textwrap.indent(format_scenario(difference.scenario), "    ").rstrip()
    for scenario, trouble in tally.trouble:
        yield f"{scenario.title}: {trouble}"
    yield from (f"{ran.name}: a lane ended: {why}" for why in ran.ended)
    if ran.info is None or ran.model is None:
        return
    yield (
        f"{ran.name} and {ran.model.name}: {counted(tally.scenarios, 'scenario')}, {tally.steps:,} steps, "
        f"{tally.values:,} values, {counted(len(tally.differences), 'difference')}; seed {told.seed}"
    )
    rate = f", {tally.steps / ran.seconds:.0f} steps a second" if ran.seconds else ""
    yield f"  Linux {ran.info.release}; {ran.seconds:.1f} s{rate}, {counted(ran.lanes, 'lane')}"
    if has := pools(ran.info):
        yield _filled(f"  with {has}")
    for what, counts in (("settled by an allowed outcome", tally.settled), ("masked", tally.masked)):
        of_all = f" ({100 * counts.total() / tally.values:.2f} % of the values)" if counts and tally.values else ""
        yield _filled(f"  {what}: {_counts(counts) if counts else 'none'}{of_all}")
    yield _filled(f"profiles: {_counts(tally.profiles)}")
    for name, lack in _lacking(ran, told.asked).items():
        yield f"  not run: {name}, which needs {lack}"
    yield from _covered(ran)
    for verb, why in ABSENT.items():
        yield _filled(f"no kernel does: {verb}: {why}")
    yield from (_filled(f"not generated: {limit}") for limit in LIMITS)
    for (verb, reason), count in tally.left_out.most_common(5):
        yield textwrap.shorten(
            f"left out {counted(count, 'time')}: {verb}: {reason}", 2 * terminal.width(_WIDTH), placeholder=" …"
        )


def _covered(ran: Ran) -> Iterator[str]:
    """What was reached: by name with its number, or, of what is much, how much; and what never was."""
    got, reachable = ran.tally.coverage, ran.reachable
    for area in ("steps", "kinds", "advice", "mechanisms"):
        yield _filled(f"{area}: {_counts(getattr(got, area))}")
    yield f"reached: {100 * share(got, reachable):.0f} % of what is reachable"
    missed = got.missed(reachable)
    for area in AREAS:
        whole, left = len(getattr(reachable, area)), missed[area]
        line = f"  {area}: {whole - len(left)} of {whole}"
        if left:
            more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
            separator = "; " if area == "pairs" else ", "
            line += f"; never {separator.join(left[:_SHOWN])}{more}"
        yield _filled(line)


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count}" for name, count in ordered) or "none"


def _filled(text: str) -> str:
    return textwrap.fill(text, terminal.width(_WIDTH), subsequent_indent="    ", break_on_hyphens=False)


def _lacking(ran: Ran, asked: Sequence[str]) -> dict[str, str]:
    """The profiles that could not be run there, with what is missing."""
    assert ran.model is not None
    return {name: lack for name in asked if (lack := missing(name, ran.model))}


# For programs


def document(told: Campaigned) -> str:
    """All of it, as JSON (docs/conform.md)."""
    whole = {
        "schema": SCHEMA,
        "pinhold": __version__,
        "seed": told.seed,
        "cut": told.cut,
        "status": severest(map(status, told.ran)),
        "not_generated": dict(ABSENT),
        "limits": list(LIMITS),
        "targets": [_plain(ran, told.asked) for ran in told.ran],
    }
    return json.dumps(whole, indent=1)


def _plain(ran: Ran, asked: Sequence[str]) -> dict[str, Any]:
    tally, info = ran.tally, ran.info
    found: dict[str, Any] = {"name": ran.name, "ended": ran.ended}
    if info is None or ran.model is None:
        return found
    return found | {
        "target": info.target,
        "release": info.release,
        "config": dict(info.config),
        "mechanisms": dict(info.mechanisms),
        "model": ran.model.name,
        "lanes": ran.lanes,
        "seconds": round(ran.seconds, 3),
        "scenarios": tally.scenarios,
        "steps": tally.steps,
        "values": tally.values,
        "settled": dict(tally.settled),
        "masked": dict(tally.masked),
        "profiles": dict(tally.profiles),
        "not_run": _lacking(ran, asked),
        "differences": [_plain_difference(each) for each in tally.differences],
        "trouble": [{"scenario": format_scenario(s), "words": words} for s, words in tally.trouble],
        "reached": {area: dict(getattr(tally.coverage, area)) for area in AREAS},
        "never_reached": tally.coverage.missed(ran.reachable),
        "left_out": [{"step": v, "reason": why, "times": n} for (v, why), n in tally.left_out.most_common()],
    }


def chart(told: Campaigned) -> Chart:
    """What was reached, on each target that ran."""
    from pinhold.pictures.reach import Reached, reach

    ran = [each for each in told.ran if each.info is not None]
    targets = [
        Reached(
            each.name,
            f"{counted(each.tally.scenarios, 'scenario')}, {100 * share(each.tally.coverage, each.reachable):.0f} %",
            {area: getattr(each.tally.coverage, area) for area in AREAS},
            {area: getattr(each.reachable, area) for area in AREAS},
        )
        for each in ran
    ]
    return reach(f"What random scenarios reached (seed {told.seed})", targets)


def _plain_difference(difference: Difference) -> dict[str, Any]:
    return {
        "title": difference.title,
        "words": difference.words,
        "step": difference.step,
        "field": difference.field,
        "came": difference.came,
        "runs": RUNS,
        "counts": difference.counts,
        "scenario": format_scenario(difference.scenario),
    }


def case(ran: Ran, scenario: Scenario, words: str) -> str:
    """A scenario as a file of the corpus, which says in its first lines what differed, where, and which one it was."""
    kernel = f"Linux {ran.info.release}" if ran.info else "a kernel"
    beside = f" beside {ran.model.name}" if ran.model else ""
    head, _, rest = format_scenario(scenario).partition("\n")
    comments = [*textwrap.wrap(words, 110), f"Found on {ran.name} ({kernel}){beside}, as number {scenario.title}."]
    return "\n".join([head, *(f"# {line}" for line in comments), rest])


def cases(told: Campaigned) -> list[TargetRun]:
    """Each profile on each target as a test, for the reports that consist of tests."""
    return [
        TargetRun(ran.info, tuple(_case(n, name, ran, told) for n, name in enumerate(told.asked, 1)), ran.seconds)
        for ran in told.ran
        if ran.info is not None
    ]


def _case(number: int, profile: str, ran: Ran, told: Campaigned) -> CaseResult:
    count = ran.tally.profiles[profile]
    title = f"random scenarios of the profile {profile}"
    result = Result(ran.name, Scenario(title, ()), _verdict(profile, ran, told))
    return CaseResult(
        number, f"conform/{profile}", f"{title}: {count} agree with {ran.model and ran.model.name}", result
    )


def _verdict(profile: str, ran: Ran, told: Campaigned) -> Verdict:
    mine = [each for each in ran.tally.differences if each.title.split()[0] == profile]
    broken = [words for scenario, words in ran.tally.trouble if scenario.title.split()[0] == profile]
    for difference in sorted(mine, key=lambda each: not each.counts):
        return Verdict("violated" if difference.counts else "unknown", None, difference.words)
    if broken or (ran.ended and not ran.tally.profiles[profile]):
        return Verdict("error", None, (broken or ran.ended)[0])
    if lack := _lacking(ran, told.asked).get(profile):
        return Verdict("skipped", None, f"needs {lack}")
    if not ran.tally.profiles[profile]:
        return Verdict("skipped", None, "the campaign ended before it")
    return Verdict("held")
