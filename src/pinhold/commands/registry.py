"""The targets by their names on the command line.  A target's module is imported when it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pinhold.commands import NothingToRun, UsageError, nearest
from pinhold.commands.names import called, split
from pinhold.mm.kernel import patched_name
from pinhold.scenario.ran import TargetInfo
from pinhold.targets.base import Target, Unavailable
from pinhold.targets.batch import BatchTarget

if TYPE_CHECKING:
    from pinhold.lab.luggage import Luggage
    from pinhold.lab.target import Counter
    from pinhold.targets.live.pins.external import External


def _model(text: str, properties: bool) -> Target:
    """REL, or REL,RULE=VALUE,... with some rules switched."""
    from pinhold.mm.releases import UnknownRelease, UnknownRule, releases
    from pinhold.targets.model.target import ModelTarget

    release, *changed = text.split(",")
    if not release:
        raise UsageError(f"model: names no release; choose from {', '.join(f'model:{r}' for r in releases())}")
    try:
        return ModelTarget(release, properties=properties, switches=switches(changed))
    except (UnknownRelease, UnknownRule) as error:
        raise UsageError(f"unknown target model:{text}: {error}") from None


def switches(texts: Sequence[str] | None) -> dict[str, str]:
    """RULE=VALUE, or RULE alone ("", for the value before the row's).  Raises UsageError for an unknown rule."""
    from pinhold.mm.rules import BY_NAME

    found = {}
    for text in texts or ():
        name, _, value = text.partition("=")
        if name == "with":
            raise UsageError(f"{text} names what was run with --with FILE.py: give that, with the file's path")
        if name not in BY_NAME:
            raise UsageError(f"no rule {name!r}: {nearest(name, list(BY_NAME))}")
        found[name] = value
    return found


def _live(rest: str, _properties: bool, pins: Sequence[External] = (), deadline: float | None = None) -> Target:
    from pinhold.targets.live.progress import DEADLINE, Deadline
    from pinhold.targets.live.target import LiveTarget

    if rest:
        raise UsageError(f"unknown target live:{rest}: did you mean live?")
    return LiveTarget(Deadline(deadline or DEADLINE), external=pins)


def _vm(rest: str, luggage: Luggage | None = None, deadline: float | None = None, counts: bool = False) -> Target:
    from pinhold.lab.errors import LabError
    from pinhold.lab.luggage import Luggage
    from pinhold.lab.target import VmTarget
    from pinhold.targets.live.progress import DEADLINE

    if not rest:
        raise UsageError("vm: names no kernel: write vm:6.1, vm:newest or vm:PATH of a bzImage")
    try:
        target = VmTarget(rest, luggage=luggage or Luggage(), deadline=deadline or DEADLINE)
    except LabError as reason:
        raise (UsageError if "/" in rest else NothingToRun)(str(reason)) from None
    if counts:
        target.counting = _counter()
    return target


def _counter() -> Callable[[str], Counter]:
    """What looks at guests from outside.  Raises NothingToRun."""
    from pinhold.inspect.errors import missing

    if lack := missing():
        raise NothingToRun(lack)
    from pinhold.lab.counts import Counter

    return Counter


_FACTORIES: dict[str, Callable[[str, bool], Target]] = {"model": _model, "live": _live}


def _counting(target: Target) -> Target:
    """A model that tells counts, too."""
    from pinhold.targets.model.target import ModelTarget

    return target.counting() if isinstance(target, ModelTarget) else target


def target_names() -> list[str]:
    """Every name that is worth suggesting."""
    from pinhold.mm.releases import releases

    kinds = ("model", "vm")
    return ["live", *(f"{kind}:{release}" for kind in kinds for release in releases()), "vm:newest"]


def make_target(
    name: str,
    *,
    properties: bool = False,
    pins: Sequence[External] = (),
    luggage: Luggage | None = None,
    deadline: float | None = None,
    counts: bool = False,
) -> Target:
    """The target of that name.  Raises UsageError.

    properties: a model looks at the safety properties after every step: for scenarios of one's own, which may expect
    nothing; suites say what they expect.  pins: programs that pin memory, for live.  luggage: what guests take along.
    deadline: seconds of processor time that one step on a real kernel may take; None: the usual ones.  counts: what a
    kernel counts of each page is looked up from outside of a guest, and the model tells it.
    """
    if name == "live":
        if counts:
            raise UsageError("--counts looks at guests from outside, and live is this machine: name a vm:REL")
        return _live("", False, pins, deadline)
    prefix, _, rest = name.partition(":")
    if prefix == "vm":
        return _vm(rest, luggage, deadline, counts)
    factory = _FACTORIES.get(prefix)
    if factory is None:
        raise UsageError(f"unknown target {name!r}: {nearest(name, target_names())}")
    target = factory(rest, properties)
    return _counting(target) if counts else target


def make_targets(
    texts: Sequence[str],
    *,
    properties: bool = False,
    pins: Sequence[External] = (),
    luggage: Luggage | None = None,
    deadline: float | None = None,
    counts: bool = False,
) -> list[Target]:
    """The targets of a command line, each TARGET or NAME=TARGET, by the names that reports call them; all else as of
    make_target().  Raises UsageError."""
    made = []
    for text, name in zip(texts, called(texts), strict=True):
        target = make_target(
            split(text)[1], properties=properties, pins=pins, luggage=luggage, deadline=deadline, counts=counts
        )
        target.name = f"{name}{patched_name()}" if target.what.startswith("model:") and not split(text)[0] else name
        made.append(target)
    return made


def model_of(info: TargetInfo) -> Target:
    """The model of a real kernel: its release's rules with the later fixes that it has, and its configuration.

    What the kernel does not tell keeps the model's default.  A kernel newer than what was read has the nearest rules,
    and a line on stderr says so.  Raises UsageError for an unknown release.
    """
    from pinhold.mm.releases import UnknownRelease, stand_in
    from pinhold.targets.model.configuration import configuration
    from pinhold.targets.model.target import ModelTarget

    try:
        release, why = stand_in(info.rules)
    except UnknownRelease as error:
        raise UsageError(str(error)) from None
    if why:
        print(f"pinhold: {why}", file=sys.stderr)
    return ModelTarget(release, configuration(info.config), switches=info.fixes)


def configured_as(model: Target, info: TargetInfo) -> Target:
    """A model with the configuration of a real kernel; any other target as it is."""
    from pinhold.targets.model.configuration import configuration
    from pinhold.targets.model.target import ModelTarget

    if not isinstance(model, ModelTarget) or info.target.startswith("model:"):
        return model
    return model.configured(configuration(info.config))


def by_chance(model: Target) -> Target | None:
    """The same model where the chance that its release leaves things to turns out the other way; None: it has none."""
    from pinhold.targets.model.target import ModelTarget

    if not isinstance(model, ModelTarget) or not model.row["fork_skips_pud"]:
        return None
    return model.configured({"fork_skips_pud": 1})


def ready(target: Target) -> None:
    """Raises NothingToRun where it cannot work here, as far as that can be told without booting anything."""
    if not isinstance(target, BatchTarget):
        describe(target)
    elif reason := target.unavailable():
        raise NothingToRun(reason)


def close(target: Target) -> None:
    """End what the target has started."""
    if isinstance(target, BatchTarget):
        target.close()


_FIXES: dict[str, Mapping[str, str]] = {}
"""Release -> the fixes of the running kernel: the same as long as it runs; what else it says of itself may change."""


def _with_fixes(target: Target) -> TargetInfo:
    from pinhold.targets.fixes import with_fixes

    info = target.info()
    if info.release not in _FIXES:
        _FIXES[info.release] = with_fixes(target, info).fixes
    return replace(info, fixes=_FIXES[info.release])


def describe(target: Target) -> TargetInfo:
    """What the target is on this machine; of the running kernel also which later fixes it has.

    Raises NothingToRun where it cannot work here.
    """
    try:
        return _with_fixes(target) if target.what == "live" else target.info()
    except Unavailable as reason:
        raise NothingToRun(f"{target.name} cannot run here: {reason}") from None
