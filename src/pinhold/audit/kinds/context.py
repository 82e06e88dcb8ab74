"""What the kinds ask: the call, its lifetime, and the oracle."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pinhold.audit import lifetime, torn
from pinhold.audit.aliases import Names
from pinhold.audit.finding import Finding
from pinhold.audit.lifetime import Kept
from pinhold.audit.oracle import Answer, Oracle, request
from pinhold.audit.sites import Reading, Site
from pinhold.audit.values import Alternative, Step

CORE = re.compile(r"mm/|include/|lib/iov_iter")
"""Of a kernel's tree: GUP itself, and its test."""


@dataclass(eq=False)
class Context:
    """Of one tree on one release."""

    reading: Reading
    oracle: Oracle
    _kept: dict[int, Kept | None] = field(default_factory=dict)

    @property
    def names(self) -> Names:
        return self.reading.names

    @property
    def release(self) -> str:
        return self.oracle.release

    def core(self, site: Site) -> bool:
        """Whether a call is GUP's own."""
        return self.reading.tree.kernel and CORE.match(site.path) is not None

    def kept(self, site: Site) -> Kept | None:
        """As of lifetime.kept()."""
        if id(site) not in self._kept:
            self._kept[id(site)] = lifetime.kept(self.reading, site)
        return self._kept[id(site)]

    def answer(self, site: Site, flags: Iterable[str]) -> Answer | None:
        """What `ask` says; None for flags that it does not know."""
        call = request(flags, site.pin)
        return None if call is None else self.oracle.answer(call)


def found(  # noqa: PLR0913
    context: Context,
    site: Site,
    kind: str,
    severity: str,
    says: str,
    *,
    alternatives: Iterable[Alternative] = (),
    advice: Iterable[str] = (),
    memory: Iterable[tuple[str, str]] = (),
    scenario: str = "",
) -> Finding:
    """A finding at a call.  alternatives: those that it is about, of the same flags."""
    listed = list(alternatives)
    flags = listed[0].words if listed else ""
    longterm = any("FOLL_LONGTERM" in one.flags for one in listed or site.value)
    doubts = [f"{torn.where(site)} was parsed in part: read it yourself"] if torn.is_torn(site) else []
    conditions = dict.fromkeys(c.words for one in listed for c in one.when if c.text != "#if")
    everywhere = any(not one.when for one in listed)
    return Finding(
        kind,
        severity,
        site.path,
        site.line,
        site.function,
        f"{site.call.name}({site.expression})",
        says,
        flags,
        tuple(ways(listed)),
        () if everywhere else tuple(conditions)[:4],
        (*advice, *doubts),
        tuple(memory),
        lifetime.documented(site, context.kept(site), longterm),
        scenario,
    )


def ways(alternatives: Iterable[Alternative]) -> Iterator[tuple[Step, ...]]:
    """The callers' ways of some alternatives, each once."""
    return iter(dict.fromkeys(one.path for one in alternatives if one.path))


def by_flags(site: Site) -> dict[frozenset[str], list[Alternative]]:
    """The alternatives of a call by their flags."""
    sets: dict[frozenset[str], list[Alternative]] = {}
    for one in site.value:
        sets.setdefault(one.flags, []).append(one)
    return sets
