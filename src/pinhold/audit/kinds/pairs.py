"""Kinds about what belongs together: the release to the call, and the type of a result to what is asked of it.

PUTFORPIN, UNPINFORGET and UNSIGNEDRET are notes: in the kernels that were read they find nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pinhold.audit import lifetime
from pinhold.audit.api import PUTS, UNPINS
from pinhold.audit.finding import NOTE, Finding
from pinhold.audit.kinds.context import Context, found
from pinhold.audit.kinds.short import result_of
from pinhold.audit.reach import conditions_of
from pinhold.audit.sites import Site
from pinhold.audit.syntax import captures, child, line
from pinhold.audit.unit import Call, Function

if TYPE_CHECKING:
    from tree_sitter import Node

_UNSIGNED = re.compile(r"\b(?:unsigned|size_t|u8|u16|u32|u64|__u32|__u64|uint\d+_t|ulong|uint)\b")


def otherrelease(context: Context, site: Site) -> Iterator[Finding]:
    """A pin that the same function puts, or a reference that it unpins: of the same array, and under no #if."""
    function, pages = site.call.function, lifetime.base(site.pages)
    if function is None or pages is None or not site.gup or context.core(site) or _optional(site.call, function):
        return
    name, wrong = line(pages), PUTS if site.pin else UNPINS
    if any(one.pin != site.pin and one.call.function is function for one in context.reading.sites if one.gup):
        return
    for call in function.calls:
        if call.name not in wrong or call.node.start_byte < site.call.node.end_byte or _optional(call, function):
            continue
        if not any(line(lifetime.base(one)) == name for one in call.arguments) or _stored(function, name, site, call):
            continue
        kind, right = ("PUTFORPIN", "unpin_user_page()") if site.pin else ("UNPINFORGET", "put_page()")
        what = "pinned" if site.pin else "got as references"
        says = f"line {call.line}: {call.name}() releases what {site.call.name}() has {what}"
        yield found(context, site, kind, NOTE, says, advice=[f"release by {right} or one of its kind"])
        return


def _optional(call: Call, function: Function) -> bool:
    """Whether it stands under an #if that nobody decides."""
    return any(one.text == "#if" for one in conditions_of(call.node, function))


def _stored(function: Function, name: str, site: Site, call: Call) -> bool:
    """Whether something else is in the variable by then."""
    return any(site.call.node.end_byte < one.start_byte < call.node.start_byte for one in function.stores.get(name, []))


def unsignedret(context: Context, site: Site) -> Iterator[Finding]:
    """An errno in a variable that cannot be negative, of which the function asks whether it is less than something."""
    function, variable = site.call.function, result_of(site)
    if function is None or not variable or not site.gup or context.core(site) or "fast_only" in site.call.name:
        return
    words = function.types.get(variable, "")
    if "*" in words or not _UNSIGNED.search(words):
        return
    less = re.compile(rf"(?<![\w>.]){re.escape(variable)}\s*<(?!<)")
    for condition in _conditions(function.node):
        if condition.end_byte > site.call.node.start_byte and less.search(line(condition)):
            says = (
                f"{variable} is {words}: an errno in it is large, and line {condition.start_point[0] + 1} asks "
                "whether it is less than something"
            )
            yield found(context, site, "UNSIGNEDRET", NOTE, says, advice=[f"make {variable} int or long"])
            return


def _conditions(node: Node) -> Iterator[Node]:
    for test in captures("(if_statement) @i", node).get("i", []):
        condition = child(test, "condition")
        if condition is not None:
            yield condition
