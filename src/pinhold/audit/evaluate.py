"""Expressions of flags, evaluated: through variables, parameters, fields and functions, alternative by alternative.

A variable is what was assigned to it before, in source order; under an `if` that the use is not under, both what was
and what is assigned.  A parameter is what all callers pass, a field all that the file stores in fields of that name, a
function all that it returns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pinhold.audit import syntax
from pinhold.audit.syntax import bare, child, line, text
from pinhold.audit.unit import Call, Function, Unit
from pinhold.audit.values import (
    BOOL,
    FLAG,
    Alternative,
    Condition,
    Step,
    Value,
    bounded,
    combined,
    joined,
    under,
    union,
    unknown,
    value,
    without,
)

if TYPE_CHECKING:
    from tree_sitter import Node

DEEPEST = 10
EFFORT = 3000
MOST_STORES = 200
"""Of one use: expressions in each other, callers among them; expressions in all; and statements that change a variable
before it, and as many after it."""

_COMPARES = frozenset({"==", "!=", "<", ">", "<=", ">=", "&&", "||"})
_RETURNS = "(return_statement (_) @value)"


class Evaluator:
    """Of the files of one tree."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self.units = list(units)
        self._left = EFFORT
        self._index()

    def _index(self) -> None:
        self.functions: dict[str, list[Function]] = {}
        self.calls: dict[str, list[Call]] = {}
        for unit in self.units:
            for name, same in unit.functions.items():
                self.functions.setdefault(name, []).extend(same)
            for call in unit.calls:
                self.calls.setdefault(call.name, []).append(call)

    def add(self, units: Sequence[Unit]) -> None:
        """More files."""
        self.units += units
        self._index()

    def value(self, unit: Unit, node: Node, use: Node) -> Value:
        """What an expression can be where it is used."""
        self._left = EFFORT
        return self._of(unit, node, use, 0)

    def callers(self, function: Function) -> list[Call]:
        """The calls of a function by its name: of a static one those of its file."""
        if function.static and not function.unit.header:
            return function.unit.called.get(function.name, [])
        return [
            call
            for call in self.calls.get(function.name, [])
            if call.unit is function.unit or not self._another(call.unit, function)
        ]

    def _another(self, unit: Unit, function: Function) -> bool:
        """Whether that file has a static function of its own by this name."""
        return any(one.static for one in unit.functions.get(function.name, []))

    def _of(self, unit: Unit, node: Node, use: Node, depth: int) -> Value:
        self._left -= 1
        if depth > DEEPEST or self._left < 0:
            return unknown("too deep")
        node = bare(node)
        match node.type:
            case "number_literal":
                return _number(text(node))
            case "true":
                return value(BOOL)
            case "false" | "null":
                return value()
            case "identifier":
                return self._name(unit, text(node), use, depth)
            case "binary_expression":
                return self._binary(unit, node, use, depth)
            case "unary_expression":
                return self._unary(unit, node, use)
            case "conditional_expression":
                return self._conditional(unit, node, use, depth)
            case "field_expression":
                return self._field(unit, node, use, depth)
            case "call_expression":
                return self._returned(unit, text(child(node, "function")), depth)
            case "assignment_expression":
                right = child(node, "right")
                return self._of(unit, right, use, depth + 1) if right is not None else unknown("assignment")
        return unknown(node.type)

    def _binary(self, unit: Unit, node: Node, use: Node, depth: int) -> Value:
        operator = text(child(node, "operator"))
        left, right = child(node, "left"), child(node, "right")
        if left is None or right is None:
            return unknown("binary")
        if operator in _COMPARES:
            return self._truth(unit, node, use)
        if operator in ("|", "+", "^"):
            return joined(self._of(unit, left, use, depth + 1), self._of(unit, right, use, depth + 1))
        if operator == "&":
            return self._masked(unit, (left, right), use, depth)
        if operator == "*":  # FOLL_WRITE * !!write
            for one, other in ((left, right), (right, left)):
                found = self._of(unit, one, use, depth + 1)
                if any(FLAG.fullmatch(flag) for alternative in found for flag in alternative.flags):
                    condition = self._condition(unit, other, use)
                    return union(under(found, [condition]), under(value(), [condition.negated()]))
        return unknown(f"operator {operator}")

    def _masked(self, unit: Unit, sides: tuple[Node, Node], use: Node, depth: int) -> Value:
        left = self._of(unit, sides[0], use, depth + 1)
        mask = bare(sides[1])
        argument = child(mask, "argument")
        if mask.type == "unary_expression" and text(child(mask, "operator")) == "~" and argument is not None:
            return combined(left, self._of(unit, argument, use, depth + 1), lambda one, other: one - other)
        right = self._of(unit, mask, use, depth + 1)
        return combined(left, right, _common)

    def _unary(self, unit: Unit, node: Node, use: Node) -> Value:
        if text(child(node, "operator")) == "!":
            return self._truth(unit, node, use)
        return unknown(f"operator {text(child(node, 'operator'))}")

    def _truth(self, unit: Unit, node: Node, use: Node) -> Value:
        condition = self._condition(unit, node, use)
        return union(under(value(BOOL), [condition]), under(value(), [condition.negated()]))

    def _conditional(self, unit: Unit, node: Node, use: Node, depth: int) -> Value:
        condition = child(node, "condition")
        first, second = child(node, "consequence"), child(node, "alternative")
        if condition is None or first is None or second is None:
            return unknown("?:")
        when = self._condition(unit, condition, use)
        return union(
            under(self._of(unit, first, use, depth + 1), [when]),
            under(self._of(unit, second, use, depth + 1), [when.negated()]),
        )

    def _condition(self, unit: Unit, node: Node, use: Node) -> Condition:
        return condition_of(node, unit.enclosing(use))

    def _name(self, unit: Unit, name: str, use: Node, depth: int) -> Value:
        if FLAG.fullmatch(name):
            return value(name)
        function = unit.enclosing(use)
        if function is not None:
            found = self._variable(function, name, use, depth)
            if found is not None:
                return found
        macro = next((one.macros[name] for one in (unit, *self.units) if name in one.macros), None)
        if macro is not None:
            flags = FLAG.findall(macro)
            if flags or macro.strip(" ()") == "0":
                return value(*flags)
            if macro.strip(" ()").isdigit():
                return _number(macro.strip(" ()"))
        return unknown(name)

    def _variable(self, function: Function, name: str, use: Node, depth: int) -> Value | None:
        """A local variable or parameter; None for what is neither."""
        number = function.parameter(name)
        stores = function.stores.get(name, [])
        if number is None and not stores and name not in function.types:
            return None
        current = self._parameter(function, number, depth) if number is not None else None
        before = [store for store in stores if store.start_byte < use.start_byte and not _inside(use, store)]
        before = before[-MOST_STORES:]
        loop = None
        for above, _ in syntax.ancestors(use, function.node):
            if above.type in syntax.LOOPS:
                loop = above
        after = [store for store in stores if loop and use.end_byte <= store.start_byte < loop.end_byte][:MOST_STORES]
        here = conditions_of(use, function)
        for store in before:
            current = self._store(function, store, current, here, depth)
        again = current
        for store in after:
            again = self._store(function, store, again, here, depth)
        if current is None:
            return again if again is not None else unknown(name)
        return union(current, again) if after and again is not None else current

    def _store(
        self, function: Function, store: Node, current: Value | None, here: Sequence[Condition], depth: int
    ) -> Value:
        """The variable after one more statement that changes it."""
        new = self._stored(function, store, current, depth)
        conditions = [one for one in conditions_of(store, function) if one not in here]
        if not conditions:
            return new
        return union(under(new, conditions), without(current, conditions) if current is not None else ())

    def _stored(self, function: Function, store: Node, current: Value | None, depth: int) -> Value:
        right = child(store, "value") if store.type == "init_declarator" else child(store, "right")
        if right is None:
            return unknown("changed")
        operator = "=" if store.type == "init_declarator" else text(child(store, "operator"))
        found = self._of(function.unit, right, store, depth + 1)
        old = current if current is not None else value()
        if operator == "=":
            return found
        if operator in ("|=", "+="):
            return joined(old, found)
        if operator == "&=":
            mask, argument = bare(right), child(bare(right), "argument")
            if mask.type == "unary_expression" and argument is not None:
                removed = self._of(function.unit, argument, store, depth + 1)
                return combined(old, removed, lambda one, other: one - other)
            return combined(old, found, _common)
        return unknown(f"operator {operator}")

    def _parameter(self, function: Function, number: int, depth: int) -> Value:
        name, kind = function.parameters[number].name, function.parameters[number].type
        if "bool" in kind.split():
            condition = Condition(function.name, name)
            return union(under(value(BOOL), [condition]), under(value(), [condition.negated()]))
        made: list[Alternative] = []
        for call in self.callers(function):
            if number >= len(call.arguments) or call.function is function or call.in_macro:
                continue
            where = call.function.name if call.function else "?"
            step = Step(where, call.unit.path, call.line)
            for one in self._of(call.unit, call.arguments[number], call.node, depth + 1):
                made.append(replace(one, path=(*one.path, step)))
        return bounded(made) or unknown(f"parameter {name} of {function.name}()")

    def _field(self, unit: Unit, node: Node, use: Node, depth: int) -> Value:
        name, owner = text(child(node, "field")), owner_of(node, unit.enclosing(use))
        plain: Value = ()
        added: list[tuple[Value, Node]] = []
        for store in unit.fields.get(name, []):
            right = child(store, "value") if store.type == "initializer_pair" else child(store, "right")
            other = owner_of(store, unit.enclosing(store))
            if right is None or (owner and other and owner != other):
                continue
            found = self._of(unit, right, store, depth + 1)
            operator = "=" if store.type == "initializer_pair" else text(child(store, "operator"))
            if operator == "=":
                plain = union(plain, found)
            elif operator == "|=":
                added.append((found, store))
        for found, store in added:
            function = unit.enclosing(store)
            conditions = conditions_of(store, function) if function else ()
            more = joined(plain or value(), found)
            plain = union(under(more, conditions), without(plain, conditions) if conditions else plain)
        return plain or unknown(f"field {name}")

    def _returned(self, unit: Unit, name: str, depth: int) -> Value:
        found = unit.functions.get(name) or self.functions.get(name, [])
        made: Value = ()
        for function in found[:4]:
            for returned in syntax.captures(_RETURNS, function.node).get("value", []):
                got = self._of(function.unit, returned, returned, depth + 1)
                made = union(made, under(got, conditions_of(returned, function)))
        return made or unknown(f"{name}()")


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


def conditions_of(node: Node, function: Function | None) -> list[Condition]:
    """What has to hold, by the `if`s and `case`s around it in its function, for it to be reached."""
    made = []
    stop = function.node if function is not None else None
    for above, below in syntax.ancestors(node, stop):
        if above.type == "if_statement":
            condition = child(above, "condition")
            if condition is not None and below != condition:
                found = condition_of(condition, function)
                made.append(found.negated() if below == child(above, "alternative") else found)
        elif above.type == "case_statement":
            case = child(above, "value")
            if case is None or below != case:
                made.append(Condition(_named(function), f"case {line(case)}" if case is not None else "default"))
        elif above.type in syntax.CONDITIONALS:
            made.append(Condition(_named(function), "#if", below != child(above, "alternative")))
    return made


def condition_of(node: Node, function: Function | None) -> Condition:
    """An expression as a condition, without a negation around it."""
    holds = True
    node = bare(node)
    while node.type == "unary_expression" and text(child(node, "operator")) == "!":
        argument = child(node, "argument")
        if argument is None:
            break
        node, holds = bare(argument), not holds
    return Condition(_named(function), line(node)[:120], holds)


def _named(function: Function | None) -> str:
    return function.name if function is not None else ""


def _inside(node: Node, outer: Node) -> bool:
    return outer.start_byte <= node.start_byte and node.end_byte <= outer.end_byte


def _common(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    """one & other; what is not known may be anything."""
    if any(flag.startswith("?") for flag in one):
        return one
    if any(flag.startswith("?") for flag in other):
        return frozenset(one | other)
    return one & other


def _number(word: str) -> Value:
    try:
        number = int(word.rstrip("uUlL"), 0)
    except ValueError:
        return unknown(word)
    return value() if number == 0 else value(f"#{number}")
