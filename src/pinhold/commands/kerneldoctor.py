"""`pinhold doctor vm:PATH`: can this kernel be booted, which tests will it skip, and for want of what."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.findings import head, rules, say
from pinhold.lab import kconfig as lab_kconfig
from pinhold.lab.errors import LabError
from pinhold.lab.own import image_release
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget, kernel_of
from pinhold.mm.releases import UnknownRelease, stand_in
from pinhold.report.remedies import STEP, remedy
from pinhold.report.results import number_ranges
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.steps import IoUring, Madvise, Mremap, Scenario
from pinhold.scenario.suites import SUITES, suite
from pinhold.scenario.verdict import EXIT_HELD, EXIT_NOTHING_RUN
from pinhold.system.foreseen import Lacks, by_configuration, by_guest, reasons
from pinhold.targets.base import Unavailable
from pinhold.targets.live.kconfig import lacks
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

_REFUSED = (IoUring, Madvise, Mremap)
"""Steps that a release may refuse for some memory."""

_GUEST = "vm:"
"""Reasons of a guest have remedies of their own."""


def main(name: str) -> int:
    """0: a guest comes up; 4: none does."""
    kernel = _kernel(name)
    config = lab_kconfig.configuration(kernel)
    try:
        say(head(True, "image"), f"{kernel.image}: {image_release(kernel.image).partition(' (')[0]}")
    except LabError as reason:
        raise NothingToRun(str(reason)) from None
    say(head(bool(config), "config"), _configuration(kernel, config))
    for option in lacks(config):
        say(head(False, ""), f"CONFIG_{option.name}: {option.gives}")
    info = _booted(name, kernel)
    release = info.rules if info else kernel.release
    say(*rules(release))
    without = by_configuration(config, release, kernel.modules is not None, kernel.pinprobe is not None)
    if info is not None:
        without = by_guest(info, without)
    if info is not None or config:
        model = model_for(release)
        for each in SUITES:
            _foresee(each, without, release, model)
    return EXIT_HELD if info is not None else EXIT_NOTHING_RUN


def _kernel(name: str) -> Kernel:
    kind, _, wanted = name.partition(":")
    if kind != "vm" or not wanted:
        raise UsageError(f"doctor looks at this machine, or at vm:PATH or vm:REL, and {name!r} is neither")
    try:
        return kernel_of(wanted)
    except LabError as reason:
        raise (UsageError if "/" in wanted or Path(wanted).exists() else NothingToRun)(str(reason)) from None


def _configuration(kernel: Kernel, config: Mapping[str, str]) -> str:
    if not config:
        return "not known: there is no .config beside the image as in a build tree, and none in it (CONFIG_IKCONFIG)"
    place = "from its .config" if kernel.config else "from the image (CONFIG_IKCONFIG)"
    off = len(list(lacks(config)))
    few = f"{off} of the options that guests can use {'is' if off == 1 else 'are'} off:" if off else _WHOLE
    return f"{place}; {few}"


_WHOLE = "every option that guests can use is on"


def _booted(name: str, kernel: Kernel) -> TargetInfo | None:
    """What the guest says of itself; None where it does not come up, which is said."""
    target = VmTarget(name.removeprefix("vm:"), kernel)
    try:
        info = target.info()
    except Unavailable as reason:
        say(head(False, "boots"), str(reason))
        return None
    finally:
        target.close()
    say(head(True, "boots"), f"a guest comes up: Linux {info.release}")
    return info


def model_for(release: str) -> ModelTarget | None:
    """The model that knows what the release refuses; None where there is none."""
    try:
        return ModelTarget(stand_in(release)[0])
    except UnknownRelease:
        return None


def foreseen(scenario: Scenario, without: Lacks, release: str, model: ModelTarget | None) -> list[str]:
    """Why it will be skipped: for want of what, or, where nothing is wanting, what the release refuses to do."""
    found = reasons(scenario, without, release)
    if found or model is None or not any(isinstance(step, _REFUSED) for step in scenario.steps):
        return found
    verdict = run_scenario(model, scenario).verdict
    return [verdict.reason] if verdict.kind == "skipped" and verdict.reason else []


def _foresee(name: str, without: Lacks, release: str, model: ModelTarget | None) -> None:
    """Which tests of a suite will be skipped, by reasons."""
    found: dict[str, list[int]] = {}
    skipped = set()
    tests = suite(name).tests
    for test in tests:
        for reason in foreseen(test.scenario, without, release, model):
            found.setdefault(reason, []).append(test.number)
            skipped.add(test.number)
    if not skipped:
        say(head(True, name), f"all {len(tests)} tests can be run")
        return
    say(head(False, name), f"{len(skipped)} of {len(tests)} tests will be skipped:")
    for reason, numbers in found.items():
        step = remedy(reason, _GUEST)
        say("", f"{number_ranges(numbers)}: {reason}" + (f" {STEP} {step}" if step else ""))
