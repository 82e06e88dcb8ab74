"""Kinds about what happens when not all pages are got: ERRLEAK, LASTLEAK, POSITIVERET."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pinhold.audit import lifetime, syntax
from pinhold.audit.evaluate import conditions_of
from pinhold.audit.finding import ERROR, WARNING, Finding
from pinhold.audit.kinds.context import Context, found
from pinhold.audit.sites import Site
from pinhold.audit.syntax import child, line, text
from pinhold.audit.unit import Call, Function

if TYPE_CHECKING:
    from tree_sitter import Node

_CLEANS = re.compile(r"put|release|unpin|free|destroy|cleanup|unmap|unlock|drop|undo|abort|teardown|fini|clear|detach")


@dataclass(frozen=True, slots=True)
class Short:
    """The test for too few pages: the `if`, its branch that is taken then, and the variable with the count."""

    test: Node
    branch: Node
    variable: str


def short_of(site: Site) -> Short | None:
    """The first `if` that compares what the call returned with a count, and leaves."""
    function, variable = site.call.function, result_of(site)
    if function is None or not variable:
        return None
    compared = re.compile(rf"(?<![\w>.]){re.escape(variable)}\s*(?:!=|<)\s*(?!0\b)[A-Za-z_(]")
    for test in syntax.captures("(if_statement) @i", function.node).get("i", []):
        condition, branch = child(test, "condition"), child(test, "consequence")
        if condition is None or branch is None or condition.end_byte < site.call.node.start_byte:
            continue
        words = line(condition)
        if condition.start_byte <= site.call.node.start_byte:
            call = line(site.call.node)
            words = words.replace(f"({variable} = {call})", variable)
        if not compared.search(words) or re.search(rf"{re.escape(variable)}\s*<=?\s*0", words):
            if re.search(rf"(?<![\w>.]){re.escape(variable)}\b", words) and "||" not in words:
                continue
            if not compared.search(words):
                continue
        return Short(test, branch, variable)
    return None


def result_of(site: Site) -> str:
    """The variable that gets what the call returns, "" for none."""
    above = site.call.node.parent
    while above is not None and above.type in ("parenthesized_expression", "cast_expression"):
        above = above.parent
    if above is None:
        return ""
    if above.type == "assignment_expression":
        return line(child(above, "left"))
    if above.type == "init_declarator":
        return syntax.declared(child(above, "declarator"))
    return ""


def errleak(context: Context, site: Site) -> Iterator[Finding]:
    """Too few pages were got, and the function leaves without releasing those."""
    function, short = site.call.function, short_of(site)
    if function is None or short is None or not site.gup or context.core(site):
        return
    if site.keeps_none or _one(site) or not _leaves(short.branch) or _cleaned(context, function, short, site):
        return
    where = f"line {short.test.start_point[0] + 1}"
    says = f'{where}: "{line(child(short.test, "condition"))[:60]}" leaves without releasing the pages that were got'
    pages = lifetime.base(site.pages)
    field = pages is not None and pages.type == "field_expression"
    if field and pages is not None:
        guard = _guarded(context, function, line(pages), short)
        if guard is None:
            return
        says += guard
    release = "unpin_user_pages()" if site.pin else "put_page() each of them"
    advice = [f"where the count is positive, {release} before leaving"]
    yield found(context, site, "ERRLEAK", ERROR if field else WARNING, says, advice=advice)


def _one(site: Site) -> bool:
    """Whether a single page is asked for: then there is nothing between none and all."""
    count = site.argument(site.shape.count if site.shape else None)
    return site.shape is None or site.shape.count is None or (count is not None and text(count) == "1")


def _leaves(node: Node) -> bool:
    return bool(syntax.captures("[(return_statement) (goto_statement)] @leave", node))


def _cleaned(context: Context, function: Function, short: Short, site: Site) -> bool:
    """Whether the branch, or the label that it goes to, releases something."""
    if any(_cleans(context, call, site) for call in _calls(function, short.branch)):
        return True
    for leave in syntax.captures("(goto_statement label: (_) @label)", short.branch).get("label", []):
        start = label(function, text(leave))
        if start is None:
            continue
        after = [call for call in function.calls if call.node.start_byte >= start.start_byte]
        if any(_cleans(context, call, site) for call in after):
            return True
    return False


def _cleans(context: Context, call: Call, site: Site) -> bool:
    if call.name in context.names.releases or lifetime.lets_go(context.reading, call):
        return True
    if re.search(r"^k?v?m?free|^kfree|vfree|mmput|fput|fdput|iounmap|unlock", call.name):
        return False
    return bool(_CLEANS.search(call.name))


def _calls(function: Function, node: Node) -> list[Call]:
    return [call for call in function.calls if node.start_byte <= call.node.start_byte < node.end_byte]


def label(function: Function, name: str) -> Node | None:
    """The statement with that label."""
    for node in syntax.captures("(labeled_statement) @l", function.node).get("l", []):
        if text(child(node, "label")) == name:
            return node
    return None


def _guarded(context: Context, function: Function, pages: str, short: Short) -> str | None:
    """For pages in a field: "" where nothing in the file releases it, a clause where what does passes over them in
    this state, None where it does release them."""
    releasing = lifetime.releasing(function, pages, context.names)
    for other in releasing:
        inside = [call for call in other.calls if call.name in context.names.releases]
        outside = [call for call in context.reading.evaluator.callers(other) if call.function is not None]
        for calls in (inside, outside):
            unset = [_unset(call, function, short) for call in calls]
            if unset and all(unset):
                return f", and {other.name}() is not come to while ->{unset[0]} is not set"
    return None if releasing else ""


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
    for counted in syntax.captures("(update_expression) @u", loop).get("u", []):
        count = line(child(counted, "argument"))
        if counted.start_byte < site.call.node.end_byte or not text(counted).endswith("++"):
            continue
        leaving = [
            one for one in syntax.captures("(goto_statement) @g", loop).get("g", [])
            if site.call.node.end_byte < one.start_byte < counted.start_byte
        ]  # fmt: skip
        for leave in leaving[1:]:  # the first is that of the call itself
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


def _releases_last(context: Context, function: Function, leave: Node, site: Site) -> bool:
    """Whether the branch that leaves releases the page itself."""
    block = leave.parent
    while block is not None and block.type not in ("compound_statement", "if_statement"):
        block = block.parent
    if block is None or block.start_byte < site.call.node.start_byte:
        return False
    return any(call.name in context.names.releases for call in _calls(function, block))


def positiveret(context: Context, site: Site) -> Iterator[Finding]:
    """Too few pages were got, and their count is what a function returns that else returns 0 or an errno."""
    function, short = site.call.function, short_of(site)
    if function is None or short is None or not site.gup or context.core(site) or not _leaves(short.branch):
        return
    variable = short.variable
    if not re.fullmatch(r"\w+", variable) or _assigns(short.branch, variable):
        return
    results = [line(one) for one in syntax.captures("(return_statement (_) @v)", function.node).get("v", [])]
    if not ("0" in results or _zeroed(function, variable, short)):
        return
    at = _returned(function, short, variable)
    if at is not None:
        says = (
            f"line {short.test.start_point[0] + 1}: a short count in {variable} is returned in line {at}, which "
            "callers do not take for a failure"
        )
        advice = [f"return {variable} < 0 ? {variable} : -EFAULT"]
        yield found(context, site, "POSITIVERET", WARNING, says, advice=advice)


def _assigns(node: Node, variable: str) -> bool:
    return any(text(child(one, "left")) == variable
               for one in syntax.captures("(assignment_expression) @a", node).get("a", []))  # fmt: skip


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
    for value in syntax.captures("(return_statement (_) @v)", short.branch).get("v", []):
        inner = [
            child(above, "condition")
            for above, _ in syntax.ancestors(value, short.test)
            if above.type == "if_statement"
        ]
        if line(value) == variable and not any(asked.search(line(one)) for one in inner):
            return value.start_point[0] + 1
    for leave in syntax.captures("(goto_statement label: (_) @label)", short.branch).get("label", []):
        start = label(function, text(leave))
        if start is None:
            continue
        for value in syntax.captures("(return_statement (_) @v)", function.node).get("v", []):
            if value.start_byte < start.start_byte:
                continue
            between = [
                s for s in function.stores.get(variable, []) if start.start_byte <= s.start_byte < value.start_byte
            ]
            return value.start_point[0] + 1 if line(value) == variable and not between else None
    return None
