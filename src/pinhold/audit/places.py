"""Where a value is kept: whose field it is, and which addresses go out of a function."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pinhold.audit import syntax
from pinhold.audit.syntax import child, line, text
from pinhold.audit.unit import Function

if TYPE_CHECKING:
    from tree_sitter import Node


def stays(store: Node) -> bool:
    """Whether an address goes elsewhere than to a function that is called."""
    above = store.parent
    while above is not None and above.type in ("parenthesized_expression", "cast_expression", "comma_expression"):
        above = above.parent
    return above is not None and above.type in (
        "init_declarator", "assignment_expression", "initializer_list", "initializer_pair", "return_statement",
        "conditional_expression",
    )  # fmt: skip


def written(function: Function, number: int) -> list[Node] | None:
    """What a function stores by way of a parameter, `*p |= x` for one; None where it does more than that with it."""
    if number >= len(function.parameters):
        return None
    name = function.parameters[number].name
    found = []
    for node in syntax.captures("(identifier) @name", function.node).get("name", []):
        if text(node) != name or node.start_byte < _body(function):
            continue
        above = node.parent
        if above is None or above.type != "pointer_expression" or not text(above).startswith("*"):
            return None
        outer = above.parent
        while outer is not None and outer.type == "parenthesized_expression":
            outer = outer.parent
        if outer is None or outer.type == "update_expression":
            return None
        left = child(outer, "left")
        if outer.type == "assignment_expression" and left is not None and inside(above, left):
            found.append(outer)
    return found


def _body(function: Function) -> int:
    body = child(function.node, "body")
    return body.start_byte if body is not None else function.node.start_byte


def owner_of(node: Node, function: Function | None) -> str:
    """The type of the structure whose field is read, or stored in, by a designator too; "" where it is not seen."""
    if node.type == "initializer_pair":
        for above, _ in syntax.ancestors(node, None):
            if above.type in ("initializer_pair", "call_expression"):
                return ""
            if above.type in ("declaration", "compound_literal_expression"):
                return _structure(line(child(above, "type")))
        return ""
    field = child(node, "left") if node.type == "assignment_expression" else node
    owner = None if field is None else child(field, "argument")
    if function is None or owner is None or owner.type != "identifier":
        return ""
    return _structure(function.types.get(text(owner), ""))


def _structure(words: str) -> str:
    """ "kvm" of "const struct kvm *"; "" for what is no structure by its words."""
    match = re.search(r"\bstruct\s+(\w+)", words)
    return match[1] if match else ""


def inside(node: Node, outer: Node) -> bool:
    return outer.start_byte <= node.start_byte and node.end_byte <= outer.end_byte


def own(node: Node, function: Function | None) -> bool:
    """Whether a field is one of a structure that is a variable of its function, which no other has."""
    if node.type == "initializer_pair":
        for above, _ in syntax.ancestors(node, function.node if function else None):
            if above.type == "init_declarator":
                name = text(child(above, "declarator"))
                return function is not None and name in function.declarations and name not in function.addresses
        return False
    field = child(node, "left") if node.type == "assignment_expression" else node
    owner = None if field is None else child(field, "argument")
    if function is None or field is None or owner is None or owner.type != "identifier":
        return False
    name = text(owner)
    if name not in function.declarations or name in function.addresses:
        return False
    return text(child(field, "operator")) == "." and function.parameter(name) is None
