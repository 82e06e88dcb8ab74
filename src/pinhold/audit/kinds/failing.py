"""Kinds about what happens when not all pages are got: ERRLEAK, LASTLEAK, POSITIVERET."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pinhold.audit import lifetime, syntax
from pinhold.audit.finding import ERROR, WARNING, Finding
from pinhold.audit.kinds.context import Context, found
from pinhold.audit.kinds.short import Short, label, owners, result_of, short_of
from pinhold.audit.places import owner_of
from pinhold.audit.reach import conditions_of
from pinhold.audit.sites import Site
from pinhold.audit.syntax import child, line, text
from pinhold.audit.unit import Call, Function

if TYPE_CHECKING:
    from tree_sitter import Node

_CLEANS = re.compile(r"put|release|unpin|free|destroy|cleanup|unmap|unlock|drop|undo|abort|teardown|fini|clear|detach")
_CLEANS_OTHER = re.compile(
    r"^k?v?m?free|^kfree|vfree|mmput|mmdrop|fput|fdput|iounmap|unlock|clear_bit|(?:put|clear|free)_(?:device|user|task\w*|pid|"
    r"unaligned\w*)$|(?:module|dev|node|kobject|runtime)_put|^clk_|^dma_free|^atomic|^mutex_|^ida_free|^idr_"
)
"""What is named as if it released pages: some does, and some of it never."""
MOST_PLACES = 50
"""Jumps, and places where a page is counted, of a function that are looked at."""


def errleak(context: Context, site: Site) -> Iterator[Finding]:
    """Too few pages were got, and the function leaves without releasing those."""
    function, short = site.call.function, short_of(site)
    if function is None or short is None or not site.gup or context.core(site):
        return
    if site.keeps_none or _one(site) or not _leaves(function, short, site):
        return
    if _cleaned(context, function, short, site):
        return
    where = f"line {short.test.start_point[0] + 1}"
    says = f'{where}: "{line(child(short.test, "condition"))[:60]}" leaves without releasing the pages that were got'
    pages = lifetime.base(site.pages)
    guard: str | None = ""
    if pages is not None and pages.type == "field_expression":
        guard = _guarded(context, function, pages, short)
        if guard is None:
            return
        says += guard
    release = "unpin_user_pages()" if site.pin else "put_page() each of them"
    advice = [f"where the count is positive, {release} before leaving"]
    yield found(context, site, "ERRLEAK", ERROR if guard else WARNING, says, advice=advice)


def _one(site: Site) -> bool:
    """Whether a single page is asked for: then there is nothing between none and all."""
    count = site.argument(site.shape.count if site.shape else None)
    return site.shape is None or site.shape.count is None or (count is not None and text(count) == "1")


def _leaves(function: Function, short: Short, site: Site) -> bool:
    """Whether the branch leaves the function, other than to try again, or to give the count to a caller who has the
    pages."""
    pages = lifetime.base(site.pages)
    shared = pages is not None and (pages.type == "field_expression" or function.parameter(text(pages)) is not None)
    for returned in short.captures("(return_statement) @r", "r"):
        value = line(returned.named_children[0]) if returned.named_children else ""
        if not (shared and value and value == short.variable):
            return True
    starts = [label(function, name) for name in _targets(short)]
    return any(start is None or start.start_byte > site.call.node.start_byte for start in starts)


def _targets(short: Short) -> list[str]:
    """The labels that the branch goes to."""
    found = short.captures("(goto_statement label: (_) @label)", "label")
    return list(dict.fromkeys(map(text, found)))[:MOST_PLACES]


def _cleaned(context: Context, function: Function, short: Short, site: Site) -> bool:
    """Whether the branch, or the label that it goes to, releases something."""
    near = owners(site)
    if any(_cleans(context, call, near) for call in function.calls if short.has(call.node)):
        return True
    starts = [start.start_byte for name in _targets(short) if (start := label(function, name)) is not None]
    return bool(starts) and any(
        _cleans(context, call, near) for call in function.calls if call.node.start_byte >= min(starts)
    )


def _cleans(context: Context, call: Call, near: frozenset[str]) -> bool:
    """Whether a call releases pages, as far as is seen; near: what it has to get where only its name says so."""
    if call.name in context.names.releases or lifetime.lets_go(context.reading, call.name):
        return True
    if _CLEANS_OTHER.search(call.name) or not _CLEANS.search(call.name):
        return False
    return not near or any(near & set(re.findall(r"[A-Za-z_]\w*", line(one))) for one in call.arguments)


def _calls(function: Function, node: Node) -> list[Call]:
    return [call for call in function.calls if node.start_byte <= call.node.start_byte < node.end_byte]


def _guarded(context: Context, function: Function, pages: Node, short: Short) -> str | None:
    """For pages in a field: "" where nothing in the folder releases it, a clause where what does passes over them in
    this state, None where it does release them."""
    where, owner = line(pages), owner_of(pages, function)
    releasing = lifetime.releasing(context.reading, function, where, owner)
    for other in releasing:
        inside = [
            call for call in other.calls
            if call.name in context.names.releases or lifetime.lets_go(context.reading, call.name)
        ]  # fmt: skip
        outside = [call for call in context.reading.evaluator.callers(other) if call.function is not None]
        for calls in (inside, outside):
            unset = [_unset(call, function, short) for call in calls]
            if unset and all(unset):
                return f", and {other.name}() is not come to while ->{unset[0]} is not set"
    return None if releasing or lifetime.released_beside(context.reading, function, where, owner) else ""


def _unset(call: Call, function: Function, short: Short) -> str:
    """A field that a call is made for alone, and that the function sets only after its test; "" for none."""
    for condition in conditions_of(call.node, call.function):
        match = re.fullmatch(r".*(?:->|\.)(\w+)", condition.text)
        if match and condition.holds and _set_later(function, match[1], short):
            return match[1]
    return ""


def _set_later(function: Function, field: str, short: Short) -> bool:
    stores = [one for one in function.unit.fields.get(field, []) if function.node.start_byte <= one.start_byte]
    stores = [one for one in stores if one.end_byte <= function.node.end_byte]
    return bool(stores) and all(one.start_byte > short.test.end_byte for one in stores)


def lastleak(context: Context, site: Site) -> Iterator[Finding]:
    """A loop gets page after page and counts each late: what fails in between leaves the last one."""
    function = site.call.function
    if function is None or context.core(site) or site.pages is None:
        return
    loop = next((a for a, _ in syntax.ancestors(site.call.node, function.node) if a.type in syntax.LOOPS), None)
    if loop is None or not re.search(r"[\[+]", line(site.pages)):
        return
    counts = [
        one for one in syntax.captures("(update_expression) @u", loop).get("u", [])
        if one.start_byte > site.call.node.end_byte and text(one).endswith("++")
    ]  # fmt: skip
    gotos = syntax.captures("(goto_statement) @g", loop).get("g", [])
    leaving = [one for one in gotos if one.start_byte > site.call.node.end_byte][:MOST_PLACES]
    leaving = [one for one in leaving if not _of_the_call(function, one, site)]
    for counted in counts[:MOST_PLACES]:
        count = line(child(counted, "argument"))
        for leave in leaving:
            if leave.start_byte > counted.start_byte:
                break
            name = text(child(leave, "label"))
            start = label(function, name)
            if start is None or _releases_last(context, function, leave, site):
                continue
            tail = function.unit.source[start.start_byte : function.node.end_byte].decode("latin1")
            if re.search(rf"<\s*{re.escape(count)}\s*;", tail) and re.search(r"put|unpin|release", tail):
                says = (
                    f"line {leave.start_point[0] + 1} goes to {name}, which releases up to {count}, before the page "
                    f"that was got last is counted in line {counted.start_point[0] + 1}"
                )
                yield found(context, site, "LASTLEAK", ERROR, says, advice=["count a page as soon as it is got"])
                return


def _of_the_call(function: Function, leave: Node, site: Site) -> bool:
    """Whether a jump is for the failure of the call itself: under an `if` that has the call, or asks for its result
    before anything else is stored there."""
    variable = result_of(site)
    for above, below in syntax.ancestors(leave, function.node):
        condition = child(above, "condition") if above.type == "if_statement" else None
        if condition is None or below == condition:
            continue
        if condition.start_byte <= site.call.node.start_byte < condition.end_byte:
            return True
        if condition.start_byte < site.call.node.start_byte or not variable:
            continue
        stored = any(
            site.call.node.end_byte < one.start_byte < condition.start_byte for one in function.stores.get(variable, [])
        )
        if not stored and re.search(rf"(?<![\w>.]){re.escape(variable)}\b", line(condition)):
            return True
    return False


def _releases_last(context: Context, function: Function, leave: Node, site: Site) -> bool:
    """Whether the branch that leaves releases the page itself."""
    block = leave.parent
    while block is not None and block.type not in ("compound_statement", "if_statement"):
        block = block.parent
    if block is None or block.start_byte < site.call.node.start_byte:
        return False
    return any(
        block.start_byte <= call.node.start_byte < block.end_byte and call.name in context.names.releases
        for call in function.calls
    )


def positiveret(context: Context, site: Site) -> Iterator[Finding]:
    """Too few pages were got, and their count is what a function returns that else returns 0 or an errno."""
    function, short = site.call.function, short_of(site)
    if function is None or short is None or not site.gup or context.core(site):
        return
    variable = short.variable
    if not re.fullmatch(r"\w+", variable) or _assigns(short, variable):
        return
    results = syntax.captures("(return_statement (_) @v)", function.node).get("v", [])
    done = any(line(one) == "0" and one.start_byte > short.test.start_byte for one in results)
    if not done and not _zeroed(function, variable, short):
        return
    at = _returned(function, short, variable)
    if at is not None:
        says = (
            f"line {short.test.start_point[0] + 1}: a short count in {variable} is returned in line {at}, which "
            "callers do not take for a failure"
        )
        advice = [f"return {variable} < 0 ? {variable} : -EFAULT"]
        yield found(context, site, "POSITIVERET", WARNING, says, advice=advice)


def _assigns(short: Short, variable: str) -> bool:
    found = short.captures("(assignment_expression left: (_) @left)", "left")
    return any(text(one) == variable for one in found)


def _zeroed(function: Function, variable: str, short: Short) -> bool:
    """Whether success sets the variable to 0 later."""
    return any(
        one.start_byte > short.test.end_byte and text(child(one, "right")) == "0"
        for one in function.stores.get(variable, [])
        if one.type == "assignment_expression"
    )


def _returned(function: Function, short: Short, variable: str) -> int | None:
    """The line that returns the variable as it is, on the way out of the branch."""
    asked = re.compile(rf"(?<![\w>.]){re.escape(variable)}\b")
    for value in short.captures("(return_statement (_) @v)", "v"):
        inner = [
            child(above, "condition")
            for above, _ in syntax.ancestors(value, short.test)
            if above.type == "if_statement"
        ]
        if line(value) == variable and not any(asked.search(line(one)) for one in inner):
            return value.start_point[0] + 1
    for name in _targets(short):
        start = label(function, name)
        if start is None or start.start_byte < short.test.start_byte:
            continue
        for value in syntax.captures("(return_statement (_) @v)", function.node).get("v", []):
            if value.start_byte < start.start_byte:
                continue
            between = [
                s for s in function.stores.get(variable, []) if start.start_byte <= s.start_byte < value.start_byte
            ]
            return value.start_point[0] + 1 if line(value) == variable and not between else None
    return None
