"""What random scenarios may consist of on one target: all of the language that the target has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from pinhold.conform.profiles import PROFILES
from pinhold.scenario import steps as s
from pinhold.scenario.advice import ADVICE
from pinhold.scenario.kinds import HUGETLB_SIZES, KINDS
from pinhold.scenario.ran import TargetInfo
from pinhold.targets.live.pins import holders
from pinhold.targets.live.pins.base import Holder
from pinhold.targets.model.target import ModelTarget

S = TypeVar("S", bound=s.Step)

ABSENT: Mapping[str, str] = {
    "numa_hint": "a NUMA scan comes when the scheduler likes: no real kernel can be told to",
}
"""Steps of the language that no real kernel does, and why: they are not generated."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is generated.

    disposable: the kernel is thrown away afterwards, and may be given what harms it.  holders: what takes pins there;
    None: all that a step can ask for.  gigantic: it has 1 GiB pages, for the profile that is about hugetlb.
    """

    profile: str
    kinds: Sequence[str] = tuple(KINDS)
    without: frozenset[str] = frozenset()
    disposable: bool = False
    holders: Sequence[Holder] | None = None
    gigantic: bool = False

    @property
    def sizes(self) -> tuple[str, ...]:
        """Of hugetlb pages."""
        return HUGETLB_SIZES if self.gigantic and "hugetlb" in PROFILES[self.profile].kinds else HUGETLB_SIZES[:1]


def missing(profile: str, model: ModelTarget) -> str | None:
    """What a kernel configured as the model lacks for the profile, or None; what nobody has said, it has.  Raises
    KeyError for no profile."""
    lacks = [name for name in PROFILES[profile].needs if not model.config.get(name, 1)]
    return ", ".join(lacks) or None


def wanted(profile: str, model: ModelTarget, disposable: bool, info: TargetInfo | None = None) -> Wanted:
    """What to generate of a profile for a kernel that is configured as the model.  info: what it says of itself,
    where it is none that takes any pin."""
    has = model.config
    without = set(ABSENT)
    if not has["soft_dirty"]:
        without.add("clear_softdirty")
    if not has["swap"]:
        without |= {"swapout", "pageout"}
    if not has["thp"]:
        without |= {name for name, advice in ADVICE.items() if advice.thp}
    if not has.get("ksm", 1):
        without |= {"ksm", "mergeable"}
    kinds = [
        name
        for name, kind in KINDS.items()
        if not (kind.hugetlb and not has.get("hugetlb_2M", 1)) and not (kind.thp and not has["thp"])
    ]
    gigantic = disposable and bool(has.get("hugetlb_1G", 0))
    return Wanted(profile, kinds, frozenset(without), disposable, None if info is None else there(info), gigantic)


def there(info: TargetInfo) -> tuple[Holder, ...]:
    """What takes pins on a target and holds them."""
    return tuple(holder for name, holder in holders(info.release).items() if info.mechanisms.get(name) == "available")


CHARGING = ("io_uring", "vfio")
"""Mechanisms that charge locked memory, by which the language has users, too."""


def by_any(step: S, took: str | None = None) -> S:
    """The step as the specification has it, without mechanisms: a pin is what its words say, whoever takes it.

    What a mechanism charges it charges, and it takes pages as it does, whether the step names it as the user or nobody.
    took: the mechanism that took the pin, where the step left that to the kernel's side.
    """
    if not isinstance(step, s.Pin):
        return step
    by = step.via or took
    user = by if step.user == "none" and by in CHARGING else step.user
    return replace(step, via=None, user=user)
