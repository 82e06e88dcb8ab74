"""The targets by their names on the command line.  A target's module is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable

from pinhold.commands import NothingToRun, UsageError, nearest
from pinhold.targets.base import Target, TargetInfo, Unavailable


def _model(release: str) -> Target:
    from pinhold.mm.rules import UnknownRelease, releases
    from pinhold.targets.model import ModelTarget

    if not release:
        raise UsageError(f"model: names no release; choose from {', '.join(f'model:{r}' for r in releases())}")
    try:
        return ModelTarget(release)
    except UnknownRelease as error:
        raise UsageError(f"unknown target model:{release}: {error}") from None


def _live(rest: str) -> Target:
    from pinhold.targets.live import LiveTarget

    if rest:
        raise UsageError(f"unknown target live:{rest}: did you mean live?")
    return LiveTarget()


_FACTORIES: dict[str, Callable[[str], Target]] = {"model": _model, "live": _live}


def target_names() -> list[str]:
    """Every name that is worth suggesting."""
    from pinhold.mm.rules import releases

    return ["live", *(f"model:{release}" for release in releases())]


def make_target(name: str) -> Target:
    """The target of that name.  Raises UsageError."""
    prefix, _, rest = name.partition(":")
    factory = _FACTORIES.get(prefix)
    if factory is None:
        raise UsageError(f"unknown target {name!r}: {nearest(name, target_names())}")
    return factory(rest)


def describe(target: Target) -> TargetInfo:
    """What the target is on this machine.  Raises NothingToRun where it cannot work here."""
    try:
        return target.info()
    except Unavailable as reason:
        raise NothingToRun(f"{target.name} cannot run here: {reason}") from None
