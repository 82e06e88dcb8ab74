"""A decision of the specification, told with the value of its rule that is in force, and the commit that brought it."""

from __future__ import annotations

from pinhold.mm.releases import commit
from pinhold.mm.rules import BY_NAME
from pinhold.mm.sites import Site
from pinhold.scenario.ran import Decision


def decision(site: Site, release: str, value: int, count: int = 1) -> Decision:
    """value: the number of the value that the site's rule has, of no meaning where it has none; count: how often."""
    if not site.rule:
        return Decision(site.name, site.function, "", "", site.sentence, count=count)
    by = commit(site.rule, release, value)
    return Decision(site.name, site.function, site.rule, by, site.sentence, BY_NAME[site.rule].names[value], count)
