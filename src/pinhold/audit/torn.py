"""What of a tree could not be parsed whole, in sentences: a finding there, or none, says less than elsewhere.

tree-sitter always gives some tree; what it could not read are its ERROR nodes.  Almost every file of a kernel has some,
of macros that are no C by themselves: they matter in a function with a call, and where most of a file is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pinhold.audit import syntax
from pinhold.audit.sites import Reading, Site
from pinhold.audit.unit import Unit

if TYPE_CHECKING:
    from tree_sitter import Node

MOST_ERRORS = 100
"""ERROR nodes of a function that are looked at."""
HARDLY = 0.5
"""Of a file's bytes in ERROR nodes."""


def torn(reading: Reading) -> Iterator[str]:
    """A sentence for each file and function."""
    for path, unit in sorted(reading.units.items()):
        if _unread(unit) > HARDLY:
            yield f"most of {path} could not be parsed"
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
    """Whether the function of a call could not be parsed whole, other than in arguments of other calls: types stand
    there, where a macro is called."""
    function = site.call.function
    if function is None or not function.node.has_error:
        return function is None
    found = syntax.captures("(ERROR) @e", function.node).get("e", [])[:MOST_ERRORS]
    return not found or any(not _in_arguments(one, site) for one in found)


def _in_arguments(node: Node, site: Site) -> bool:
    return any(
        above.type == "argument_list" and above.parent is not None and above.parent != site.call.node
        for above, _ in syntax.ancestors(node, site.call.function.node if site.call.function else None)
    )


def _unread(unit: Unit) -> float:
    """The share of a file in outermost ERROR nodes."""
    total, ended = 0, 0
    for node in syntax.captures("(ERROR) @e", unit.tree.root_node).get("e", []):
        if node.start_byte >= ended:
            total += node.end_byte - node.start_byte
            ended = node.end_byte
    return total / max(len(unit.source), 1)
