"""The test for too few pages: which `if` it is, and where the function goes then."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pinhold.audit import lifetime, syntax
from pinhold.audit.sites import Site
from pinhold.audit.syntax import child, line, text
from pinhold.audit.unit import Function

if TYPE_CHECKING:
    from tree_sitter import Node

MOST_TESTS = 200
"""`if`s of a function, after the call, that are looked at."""
_COUNT = r"(?!0\b)[A-Za-z_(]"
_RESULT = "result_of_the_call"


@dataclass(frozen=True, slots=True)
class Short:
    """test: the `if`; branch: the statements that are come to with too few pages; variable: with the count, "" for
    none."""

    test: Node
    branch: tuple[Node, ...]
    variable: str

    def captures(self, pattern: str, name: str) -> list[Node]:
        """What a query's name stands for in the branch."""
        return [one for node in self.branch for one in syntax.captures(pattern, node).get(name, [])]

    def has(self, node: Node) -> bool:
        """Whether a node is in the branch."""
        return any(one.start_byte <= node.start_byte < one.end_byte for one in self.branch)


def short_of(site: Site) -> Short | None:
    """The first `if` that compares what the call returned with a count."""
    function, variable = site.call.function, result_of(site)
    if function is None:
        return None
    begun = site.call.node.start_byte
    tests = [
        test for test in syntax.captures("(if_statement) @i", function.node).get("i", [])
        if (condition := child(test, "condition")) is not None and condition.end_byte >= begun
    ]  # fmt: skip
    for test in tests[:MOST_TESTS]:
        condition = child(test, "condition")
        if condition is None or (condition.start_byte > begun and not variable):
            continue
        if _overwritten(function, variable, site.call.node.end_byte, condition.start_byte):
            return None
        words, name = line(condition), variable
        if condition.start_byte <= begun:
            call = line(site.call.node)
            words, name = words.replace(f"({variable} = {call})", variable), variable or _RESULT
            words = words.replace(call, name)
        branch = _branch(test, words, re.escape(name))
        if branch:
            return Short(test, branch, variable)
    return None


def _branch(test: Node, words: str, name: str) -> tuple[Node, ...]:
    """What is done where the count is too small, () where the `if` does not ask for that."""
    then, otherwise = child(test, "consequence"), child(test, "alternative")
    if then is None:
        return ()
    if re.search(rf"(?<![\w>.]){name}\s*(?:!=|<)\s*{_COUNT}", words) or re.search(
        rf"(?<![\w>.)])(?!0\b)[A-Za-z_][\w>.\-\[\]]*\s*(?:!=|>)\s*{name}\b", words
    ):
        return () if re.search(rf"{name}\s*<=?\s*0", words) and "||" not in words else (then,)
    whole = (
        re.search(rf"(?<![\w>.]){name}\s*(?:==|>=)\s*{_COUNT}", words)
        or re.search(rf"(?<![\w>.)])(?!0\b)[A-Za-z_][\w>.\-\[\]]*\s*(?:==|<=)\s*{name}\b", words)
    )  # fmt: skip
    if not whole or "&&" in words or "||" in words:
        return ()
    if otherwise is not None:
        return (otherwise,)
    return tuple(_following(test)) if _ends(then) else ()


def _ends(node: Node) -> bool:
    """Whether a statement leaves at its end."""
    inner = [one for one in node.named_children if one.type != "comment"]
    last = inner[-1] if node.type == "compound_statement" and inner else node
    return last.type in ("return_statement", "goto_statement")


def _following(node: Node) -> list[Node]:
    found: list[Node] = []
    after = node.next_named_sibling
    while after is not None and len(found) < MOST_TESTS:
        found.append(after)
        after = after.next_named_sibling
    return found


def _overwritten(function: Function, variable: str, since: int, until: int) -> bool:
    """Whether the variable gets what another call returns."""
    for store in function.stores.get(variable, []):
        right = child(store, "right")
        if since < store.start_byte < until and right is not None and right.type == "call_expression":
            return text(child(store, "operator")) == "="
    return False


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


def owners(site: Site) -> frozenset[str]:
    """The variables by which a function that is called can come to the pages: the array, the object that has it, and
    what the array is taken from or put into."""
    function, pages = site.call.function, lifetime.base(site.pages)
    if function is None or pages is None:
        return frozenset()
    found = {_root(pages)}
    if pages.type == "identifier":
        name = text(pages)
        for store in function.stores.get(name, []):
            right = child(store, "value") or child(store, "right")
            if right is not None:
                found |= {text(one) for one in syntax.captures("(identifier) @i", right).get("i", [])}
        for one in syntax.captures("(assignment_expression) @a", function.node).get("a", []):
            left, value = child(one, "left"), lifetime.base(child(one, "right"))
            if left is not None and value is not None and text(value) == name:
                found.add(_root(left))
    return frozenset(found - {""})


def _root(node: Node) -> str:
    inner = syntax.captures("(identifier) @i", node).get("i", [])
    return text(inner[0]) if inner else ""


def label(function: Function, name: str) -> Node | None:
    """The statement with that label."""
    for node in syntax.captures("(labeled_statement) @l", function.node).get("l", []):
        if text(child(node, "label")) == name:
            return node
    return None
