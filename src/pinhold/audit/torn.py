"""What of a tree could not be parsed whole, in sentences: a finding there, or none, says less than elsewhere.

tree-sitter always gives some tree; what it could not read are its ERROR nodes.  Almost every file of a kernel has some,
of macros that are no C by themselves: they matter in a function with a call, and where most of a file is one.
"""

from __future__ import annotations

from collections.abc import Iterator

from pinhold.audit import syntax
from pinhold.audit.sites import Reading, Site
from pinhold.audit.unit import Unit

HARDLY = 0.5
"""Of a file's bytes in ERROR nodes: more is hardly C."""


def torn(reading: Reading) -> Iterator[str]:
    """A sentence for each file and function."""
    for path, unit in sorted(reading.units.items()):
        if _unread(unit) > HARDLY:
            yield f"{path} could be parsed in small parts only: it is hardly C"
        elif unit.split:
            yield f"of {path} one branch of each #if was read: with both it is no C"
    said = set()
    for site in reading.sites:
        if site.gup and (site.path, site.function) not in said and is_torn(site):
            said.add((site.path, site.function))
            yield f"{site.path}: {where(site)} was parsed in part"


def where(site: Site) -> str:
    """The function of a call, in words."""
    return f"{site.function}()" if site.call.function is not None else f"what is around line {site.line}"


def is_torn(site: Site) -> bool:
    """Whether the function of a call could not be parsed whole."""
    function = site.call.function
    return function is None or function.node.has_error


def _unread(unit: Unit) -> float:
    """The share of a file in outermost ERROR nodes."""
    total, ended = 0, 0
    for node in syntax.captures("(ERROR) @e", unit.tree.root_node).get("e", []):
        if node.start_byte >= ended:
            total += node.end_byte - node.start_byte
            ended = node.end_byte
    return total / max(len(unit.source), 1)
