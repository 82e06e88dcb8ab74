"""Whether a statement is come to: the `if`s around it, those before it that leave, and the gotos that pass over it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pinhold.audit import syntax
from pinhold.audit.conditions import branch
from pinhold.audit.syntax import bare, child, line, text
from pinhold.audit.unit import Function, Unit
from pinhold.audit.values import FALSE, TRUE, Condition

if TYPE_CHECKING:
    from tree_sitter import Node

_LEAVE = frozenset({"return_statement", "goto_statement", "break_statement", "continue_statement"})
_WORD = re.compile(r"[A-Za-z_]\w*")
_LONGEST = 120
"""Characters of a condition that are told."""


def conditions_of(node: Node, function: Function | None) -> list[Condition]:
    """What has to hold, by the `if`s, loops and `case`s around it in its function, for it to be reached."""
    if function is None:
        return []
    known = function.conditions.get(node.id)
    if known is None:
        known = function.conditions[node.id] = list(_around(node, function))
    return known


def _around(node: Node, function: Function) -> Iterator[Condition]:
    for above, below in syntax.ancestors(node, function.node):
        match above.type:
            case "if_statement" | "conditional_expression":
                condition = child(above, "condition")
                if condition is not None and below != condition:
                    found = condition_of(condition, function)
                    yield found.negated() if below == child(above, "alternative") else found
            case "while_statement" | "for_statement":
                condition = child(above, "condition")
                if condition is not None and below == child(above, "body"):
                    yield condition_of(condition, function)
            case "binary_expression":
                operator, left = text(child(above, "operator")), child(above, "left")
                if operator in ("&&", "||") and left is not None and below != left:
                    found = condition_of(left, function)
                    yield found if operator == "&&" else found.negated()
            case "case_statement":
                case = child(above, "value")
                if case is None or below != case:
                    yield Condition(function.name, f"case {line(case)}" if case is not None else "default")
            case kind if kind in syntax.CONDITIONALS and kind != "preproc_else":
                words = text(child(above, "name") or child(above, "condition"))
                found = branch(words, not text(above).lstrip("# \t").startswith("ifndef"))
                yield found.negated() if below == child(above, "alternative") else found


def guards_of(node: Node, function: Function | None) -> list[Condition]:
    """What holds because an `if` before it, which it comes after, would have left: `if (!x) return;`."""
    if function is None:
        return []
    known = function.guards.get(node.id)
    if known is None:
        known = function.guards[node.id] = list(_guards(node, function))
    return known


def _guards(node: Node, function: Function) -> Iterator[Condition]:
    for above, below in syntax.ancestors(node, function.node.parent):
        if above.type not in ("compound_statement", "case_statement", "labeled_statement"):
            continue
        for one in above.named_children:
            if one.start_byte >= below.start_byte:
                break
            condition = child(one, "condition")
            if one.type != "if_statement" or condition is None or _entered(one, node, function):
                continue
            yes, no = child(one, "consequence"), child(one, "alternative")
            if yes is not None and _leaves(yes, node, function):
                yield condition_of(condition, function).negated()
            elif no is not None and no.named_children and _leaves(no.named_children[-1], node, function):
                yield condition_of(condition, function)


def _leaves(node: Node, use: Node, function: Function) -> bool:
    """Whether a branch ends elsewhere than before the use."""
    if node.type == "compound_statement":
        inner = [one for one in node.named_children if one.type != "comment"]
        return bool(inner) and _leaves(inner[-1], use, function)
    if node.type == "goto_statement":
        label = function.labels.get(text(child(node, "label")))
        return label is not None and not node.end_byte <= label <= use.start_byte
    return node.type in _LEAVE


def _entered(node: Node, use: Node, function: Function) -> bool:
    """Whether a goto comes in between a statement and a use."""
    return any(
        node.end_byte <= to <= use.start_byte and not node.end_byte <= jump.start_byte <= use.start_byte
        for jump, to in function.jumps
    )


def passing_over(store: Node, use: Node, function: Function) -> list[list[Condition]]:
    """Of each goto that passes over a statement to what comes before the use, the conditions."""
    return [
        [*conditions_of(jump, function), *guards_of(jump, function)]
        for jump, to in function.jumps
        if jump.end_byte <= store.start_byte and store.end_byte <= to <= use.start_byte
    ]


def repeated(use: Node, function: Function) -> tuple[int, int] | None:
    """From where to where in the text a loop goes round a use: a statement, or a goto that goes back."""
    loop: tuple[int, int] | None = None
    for above, _ in syntax.ancestors(use, function.node):
        if above.type in syntax.LOOPS:
            loop = above.start_byte, above.end_byte
    for jump, to in function.jumps:
        if to <= use.start_byte and use.end_byte <= jump.start_byte:
            loop = (min(loop[0], to), max(loop[1], jump.end_byte)) if loop else (to, jump.end_byte)
    return loop


def condition_of(node: Node, function: Function | None, unit: Unit | None = None, use: Node | None = None) -> Condition:
    """An expression as a condition, without a negation around it.

    unit, use: where it stands, of an expression of another place, such as that of a macro.
    """
    holds = True
    at = use if use is not None else node
    node = bare(node)
    while node.type == "unary_expression" and text(child(node, "operator")) == "!":
        argument = child(node, "argument")
        if argument is None:
            break
        node, holds = bare(argument), not holds
    words = line(node)
    place = unit if unit is not None else function.unit if function is not None else None
    truth = place.truth(words) if place is not None else None
    if truth is not None:
        return Condition("", TRUE if truth else FALSE, holds)
    changed = 0 if function is None else _changed(words, at.end_byte, function)
    return Condition(function.name if function is not None else "", words[:_LONGEST], holds, changed)


def _changed(words: str, before: int, function: Function) -> int:
    """How often what an expression names was stored in before a place, by name alone."""
    names = dict.fromkeys(_WORD.findall(words))
    stores = [one for name in names for one in function.changes(name)]
    if "->" in words or "." in words:
        fields = (one for name in names for one in function.unit.fields.get(name, ()))
        stores += [one for one in fields if function.node.start_byte <= one.start_byte < function.node.end_byte]
    return sum(one.start_byte < before for one in stores)
