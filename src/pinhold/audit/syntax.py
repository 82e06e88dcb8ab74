"""tree-sitter, loaded when it is needed, and what is asked of its nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Query, Tree

FUNCTION = "function_definition"
LOOPS = frozenset({"for_statement", "while_statement", "do_statement"})
CONDITIONALS = frozenset({"preproc_ifdef", "preproc_if", "preproc_else", "preproc_elif"})
MOST_ABOVE = 200
"""Nodes in each other that are looked at: from deep inside each step up costs as much as all steps."""


class Missing(Exception):
    """tree-sitter is not here."""


@cache
def language() -> Language:
    """C.  Raises Missing."""
    try:
        import tree_sitter  # noqa: PLC0415 (an extra)
        import tree_sitter_c  # noqa: PLC0415
    except ImportError:
        raise Missing("sources are parsed by tree-sitter: pip install 'pinhold[audit]'") from None
    return tree_sitter.Language(tree_sitter_c.language())


@cache
def _query(pattern: str) -> Query:
    import tree_sitter  # noqa: PLC0415

    return tree_sitter.Query(language(), pattern)


def parse(text: bytes) -> Tree:
    """What the text is as C; there is always some tree.  Raises Missing."""
    known = language()
    import tree_sitter  # noqa: PLC0415

    return tree_sitter.Parser(known).parse(text)


@lru_cache(4096)
def fragment(words: str) -> Node | None:
    """An expression or statements by themselves, such as a macro's text: the body of a function; None where torn."""
    tree = parse(f"void f(void) {{ {words} ; }}".encode("latin1", "replace"))
    body = tree.root_node.named_children[0] if tree.root_node.named_children else None
    inner = None if body is None else child(body, "body")
    return None if inner is None or tree.root_node.has_error else inner


def expression(words: str) -> Node | None:
    """An expression by itself; None for what is none."""
    body = fragment(f"({words})") if words.strip() else None
    one = body.named_children[0] if body is not None and body.named_children else None
    if one is None or one.type != "expression_statement" or not one.named_children:
        return None
    return bare(one.named_children[0])


def captures(pattern: str, node: Node) -> dict[str, list[Node]]:
    """What a query's names stand for in a node, each in the order of the text."""
    import tree_sitter  # noqa: PLC0415

    found = tree_sitter.QueryCursor(_query(pattern)).captures(node)
    return {name: sorted(nodes, key=lambda one: one.start_byte) for name, nodes in found.items()}


def matches(pattern: str, node: Node) -> Iterator[dict[str, Node]]:
    """Match by match of a query whose names stand for one node each."""
    import tree_sitter  # noqa: PLC0415

    for _, found in tree_sitter.QueryCursor(_query(pattern)).matches(node):
        yield {name: nodes[0] for name, nodes in found.items()}


def text(node: Node | None) -> str:
    """As it stands in the source."""
    return "" if node is None or node.text is None else node.text.decode("latin1")


def line(text_of: Node | None) -> str:
    """The same on one line, without comments."""
    return " ".join(re.sub(r"/\*.*?\*/|//[^\n]*", " ", text(text_of), flags=re.S).split())


def child(node: Node, name: str) -> Node | None:
    """The child of that field."""
    return node.child_by_field_name(name)


def arguments_of(call: Node) -> list[Node]:
    """What a call passes."""
    listed = child(call, "arguments")
    return [] if listed is None else [one for one in listed.named_children if one.type != "comment"]


def ancestors(node: Node, stop: Node | None) -> Iterator[tuple[Node, Node]]:
    """Each node above with its child on the way, up to `stop`, which is left out; MOST_ABOVE at most."""
    below, above = node, node.parent
    for _ in range(MOST_ABOVE):
        if above is None or above == stop:
            return
        yield above, below
        below, above = above, above.parent


def bare(node: Node) -> Node:
    """Without the parentheses and casts around it."""
    while True:
        if node.type == "parenthesized_expression" and node.named_children:
            inner = [one for one in node.named_children if one.type != "comment"]
            if not inner:
                return node
            node = inner[0]
        elif node.type == "cast_expression":
            value = child(node, "value")
            if value is None:
                return node
            node = value
        else:
            return node


def declared(node: Node | None) -> str:
    """The name that a declarator declares, "" for none."""
    while node is not None and node.type not in ("identifier", "field_identifier", "type_identifier"):
        inner = child(node, "declarator")
        if inner is None:
            inner = node.named_children[-1] if node.named_children else None
        node = inner
    return text(node)
