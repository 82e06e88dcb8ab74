"""A tree, audited: what is read of it, and what is found in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pinhold.audit.files import Tree
from pinhold.audit.finding import SEVERITIES, Finding, numbered
from pinhold.audit.kinds import failing, flags, pairs, use
from pinhold.audit.kinds.context import Context
from pinhold.audit.oracle import Oracle
from pinhold.audit.sites import Reading, Site, sites
from pinhold.audit.torn import torn

_JUDGES = (
    flags.force,
    flags.stale,
    flags.boolflags,
    failing.lastleak,
    failing.errleak,
    use.getheld,
    use.nodirty,
    failing.positiveret,
    use.needlesswrite,
    flags.nolongterm,
    pairs.otherrelease,
    pairs.unsignedret,
    flags.unresolved,
)


@dataclass(frozen=True, slots=True)
class Audit:
    """release: of the tree; rules: the release whose rules were asked; findings: by severity, then by file and line;
    torn: sentences about what was not parsed whole."""

    reading: Reading
    release: str
    rules: str
    findings: tuple[Finding, ...]
    torn: tuple[str, ...] = ()

    @property
    def sites(self) -> Sequence[Site]:
        return self.reading.sites

    def at(self, severity: str) -> list[Finding]:
        """The findings of a severity."""
        return [one for one in self.findings if one.severity == severity]


def audit(
    tree: Tree,
    release: str,
    oracle: Oracle,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Audit:
    """Read a tree for a release and judge its calls.  release: the tree's, whose rules may stand in another's stead.

    Raises syntax.Missing.
    """
    reading = sites(tree, release, progress)
    context = Context(reading, oracle)
    found = [one for site in reading.sites for judge in _JUDGES for one in judge(context, site)]
    found.sort(key=lambda one: (SEVERITIES.index(one.severity), one.path, one.line))
    oracle.close()
    return Audit(reading, release, oracle.release, tuple(numbered(found)), tuple(torn(reading)))
