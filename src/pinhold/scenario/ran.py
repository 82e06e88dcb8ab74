"""What targets say of themselves and of their steps, and run files keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """What ran.

    release: e.g. "6.18.44"; rules: the rule row compared with, e.g. "6.18"; config: name -> value; mechanisms: name ->
    "available" or the reason why not; what: which target, as the command line spells it, "" where that is the name;
    fixes: rule -> value, where it was seen to have a fix that its release has not.
    """

    name: str
    release: str
    rules: str
    config: Mapping[str, str] = field(default_factory=dict)
    mechanisms: Mapping[str, str] = field(default_factory=dict)
    what: str = ""
    fixes: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """What ran, e.g. "model:6.1", by whatever name."""
        return self.what or self.name


@dataclass(frozen=True, slots=True)
class Decision:
    """One use of a rule or outcome of a decision function while a step ran.

    site: e.g. "gup_must_unshare.yes"; function: the kernel function; rule: the switch or ""; commit: or "";
    sentence: what was decided, in words; value: the name of the value that the rule has, if any.
    """

    site: str
    function: str
    rule: str
    commit: str
    sentence: str
    value: str | None = None
