"""Fixes that a kernel has although its release has not: whoever builds a kernel takes some under the release's name.

Each is told by a small scenario, which comes out one way with the fix and another way without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pinhold.mm.releases import UnknownRelease, stand_in
from pinhold.mm.rules import BY_NAME
from pinhold.scenario.compare import first_difference
from pinhold.scenario.parse import parse
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.steps import Scenario
from pinhold.targets.base import Target
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

PROBES: Mapping[tuple[str, str], str] = {
    ("lazyfree_thp", "split"): """scenario whether a page table is left behind a discarded THP
map     P x thp
write   P x 0x11
require P x[1] huge
madvise P x free
madvise P x pageout
read    P x[1]
""",
    ("pmd_modify_dirty", "kept"): """scenario whether a THP that was written after MADV_FREE keeps its content
map      P x thp
write    P x 0x11
require  P x[1] huge
madvise  P x free
write    P x 0x22
mprotect P x read
madvise  P x pageout
read     P x
expect   P x 0x22
""",
}
"""Rule and value of a fix that stable releases took late -> what shows it."""


def with_fixes(target: Target, info: TargetInfo) -> TargetInfo:
    """What the target says of itself, and the fixes of PROBES that it was seen to have and its release has not."""
    try:
        release, _ = stand_in(info.rules)
    except UnknownRelease:
        return info
    return replace(info, fixes=_seen(target, release))


def _seen(target: Target, release: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for (rule, value), text in PROBES.items():
        plain = ModelTarget(release, switches=found)
        if BY_NAME[rule].names[plain.row[rule]] == value:
            continue
        scenario = parse(text)
        fixed = ModelTarget(release, switches={**found, rule: value})
        if not _does_as(target, plain, scenario) and _does_as(target, fixed, scenario):
            found[rule] = value
    return found


def _does_as(target: Target, model: ModelTarget, scenario: Scenario) -> bool:
    """Both ran to the end, and nothing that both saw differs."""
    ours, theirs = (run_scenario(each, scenario) for each in (target, model))
    return len(ours.steps) == len(theirs.steps) and first_difference(ours.observations, theirs.observations) is None
