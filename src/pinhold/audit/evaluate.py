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
from pinhold.audit.callers import told_apart
from pinhold.audit.reach import condition_of, conditions_of, guards_of, passing_over, repeated
from pinhold.audit.syntax import bare, child, line, text
from pinhold.audit.unit import Call, Function, Unit, mentions
from pinhold.audit.values import (
    BOOL,
    FLAG,
    Alternative,
    Condition,
    Step,
    Value,
    bounded,
    common,
    joined,
    removed,
    toggled,
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
        self._paths: dict[str, list[Unit]] = {}
        self._open: dict[int, str] = {}
        self.calls: dict[str, list[Call]] = {}
        for unit in self.units:
            self._paths.setdefault(unit.path, []).append(unit)
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
        return told_apart(self, unit.enclosing(use), self._of(unit, node, use, 0))

    def truths(self, unit: Unit, node: Node, use: Node) -> set[bool]:
        """Whether an expression is true where it is used: what it may be, both where that is not known."""
        found = self._of(unit, node, use, DEEPEST - 2)
        return {bool(one.flags) for one in found} if all(one.known for one in found) else {True, False}

    def at(self, path: str) -> list[Unit]:
        """The file of that path."""
        return self._paths.get(path, [])

    def callers(self, function: Function) -> list[Call]:
        """The calls of a function by its name: of a static one those of its file."""
        if function.static and not function.unit.header:
            return function.unit.called.get(function.name, [])
        return [
            call
            for call in self.calls.get(function.name, [])
            if call.unit is function.unit or not self._another(call.unit, function)
        ]

    def open(self, function: Function) -> str:
        """Why a function may have callers that are not seen: its address is taken, or a macro calls it; "" if not."""
        if id(function) not in self._open:
            units = [function.unit] if function.static and not function.unit.header else self.units
            whys = (why for unit in units if unit is function.unit or not self._another(unit, function)
                    for why in mentions(unit, function.name))  # fmt: skip
            self._open[id(function)] = next(whys, "")
        return self._open[id(function)]

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
            how = toggled if operator == "^" else joined
            return how(self._of(unit, left, use, depth + 1), self._of(unit, right, use, depth + 1))
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
            return removed(left, self._of(unit, argument, use, depth + 1))
        return common(left, self._of(unit, mask, use, depth + 1))

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
        return condition_of(node, unit.enclosing(use), unit, use)

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
        stores = function.changes_at(name, use.start_byte)
        if number is None and not stores and name not in function.types:
            return None
        if any(store.type == "pointer_expression" and store.start_byte < use.start_byte and _stays(store)
               for store in stores):  # fmt: skip
            return unknown(f"{name}, whose address is kept")
        current = self._parameter(function, number, depth) if number is not None else None
        before = [store for store in stores if store.start_byte < use.start_byte and not _inside(use, store)]
        before = before[-MOST_STORES:]
        loop = repeated(use, function)
        after = [store for store in stores if loop and use.end_byte <= store.start_byte < loop[1]][:MOST_STORES]
        here = [*conditions_of(use, function), *guards_of(use, function)]
        for store in before:
            current = self._store(function, store, use, current, here, depth)
        found = current
        if loop and after:
            for store in (*after, *(one for one in before if one.start_byte >= loop[0])):
                current = self._store(function, store, use, current, here, depth)
            found = union(found or (), current or ())
        if found is None:
            return unknown(name)
        return tuple(one for one in found if one.also(here) is not None)

    def _store(
        self, function: Function, store: Node, use: Node, current: Value | None, here: Sequence[Condition], depth: int
    ) -> Value:
        """The variable after one more statement that changes it."""
        old = current if current is not None else ()
        conditions = [one for one in conditions_of(store, function) if one not in here]
        made = union(under(self._stored(function, store, current, depth), conditions), without(old, conditions))
        for passing in passing_over(store, use, function):
            when = [one for one in passing if one not in here]
            made = union(without(made, when) if when else made, under(old, when))
        return made

    def _stored(self, function: Function, store: Node, current: Value | None, depth: int) -> Value:
        if store.type == "pointer_expression":
            return self._passed(function, store, current, depth)
        right = child(store, "value") if store.type == "init_declarator" else child(store, "right")
        if right is None:
            return unknown("changed")
        operator = "=" if store.type == "init_declarator" else text(child(store, "operator"))
        return self._changed(function.unit, operator, right, store, current, depth)

    def _changed(self, unit: Unit, operator: str, right: Node, use: Node, current: Value | None, depth: int) -> Value:
        """What is there after an assignment."""
        found = self._of(unit, right, use, depth + 1)
        old = current if current is not None else value()
        match operator:
            case "=":
                return found
            case "|=" | "+=":
                return joined(old, found)
            case "^=":
                return toggled(old, found)
            case "&=":
                mask, argument = bare(right), child(bare(right), "argument")
                if mask.type == "unary_expression" and text(child(mask, "operator")) == "~" and argument is not None:
                    return removed(old, self._of(unit, argument, use, depth + 1))
                return common(old, found)
        return unknown(f"operator {operator}")

    def _passed(self, function: Function, store: Node, current: Value | None, depth: int) -> Value:
        """A variable whose address a function gets: what that stores there, where all that it does is seen."""
        name, listed = text(child(store, "argument")), store.parent
        call = listed.parent if listed is not None and listed.type == "argument_list" else None
        if call is None or listed is None:
            return current if current is not None else unknown(name)
        called = text(child(call, "function"))
        functions = self._named(function.unit, called)
        arguments = [one for one in listed.named_children if one.type != "comment"]
        number = next(at for at, one in enumerate(arguments) if one.id == store.id)
        made: Value = ()
        for one in functions[:4]:
            written = _written(one, number)
            if written is None:
                return unknown(f"{name}, whose address {called}() gets")
            got = current if current is not None else value()
            for each in written:
                right, when = child(each, "right"), conditions_of(each, one)
                assert right is not None
                new = self._changed(one.unit, text(child(each, "operator")), right, each, got, depth)
                got = union(under(new, when), without(got, when))
            made = union(made, got)
        return made or unknown(f"{name}, whose address {called}() gets")

    def _named(self, unit: Unit, name: str) -> list[Function]:
        """The definitions of a function by its name that a file may call."""
        return unit.functions.get(name) or self.functions.get(name, [])

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
        if made and self.open(function):
            made += unknown(f"parameter {name} of {function.name}(), {self.open(function)}")
        return bounded(made) or unknown(f"parameter {name} of {function.name}()")

    def _field(self, unit: Unit, node: Node, use: Node, depth: int) -> Value:
        name, owner = text(child(node, "field")), owner_of(node, unit.enclosing(use))
        place, function = line(node), unit.enclosing(use)
        plain: Value = ()
        changes: list[tuple[str, Node, Node]] = []
        for store in unit.fields.get(name, []):
            right = child(store, "value") if store.type == "initializer_pair" else child(store, "right")
            where = unit.enclosing(store)
            other = owner_of(store, where)
            if right is None or (owner and other and owner != other):
                continue
            if where is not function and (_own(node, function) or _own(store, where)):
                continue
            operator = "=" if store.type == "initializer_pair" else text(child(store, "operator"))
            if operator == "=":
                plain = union(plain, self._of(unit, right, store, depth + 1))
            else:
                changes.append((operator, right, store))
        for operator, right, store in changes:
            where = unit.enclosing(store)
            conditions = conditions_of(store, where)
            more = self._changed(unit, operator, right, store, plain, depth)
            certain = not conditions and (operator == "|=" or where is function)
            plain = union(under(more, conditions), () if certain else without(plain, conditions) or plain)
        if re.search(rf"&\s*{re.escape(place)}\b(?!\s*(?:->|\.|\[))", function.text if function else ""):
            return union(plain, unknown(f"{place}, whose address is passed"))
        return plain or unknown(f"field {name}")

    def _returned(self, unit: Unit, name: str, depth: int) -> Value:
        made: Value = ()
        for function in self._named(unit, name)[:4]:
            for returned in syntax.captures(_RETURNS, function.node).get("value", []):
                got = self._of(function.unit, returned, returned, depth + 1)
                made = union(made, under(got, [*conditions_of(returned, function), *guards_of(returned, function)]))
        return made or unknown(f"{name}()")


def _own(node: Node, function: Function | None) -> bool:
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


def _stays(store: Node) -> bool:
    """Whether an address goes elsewhere than to a function that is called."""
    above = store.parent
    while above is not None and above.type in ("parenthesized_expression", "cast_expression", "comma_expression"):
        above = above.parent
    return above is not None and above.type in (
        "init_declarator", "assignment_expression", "initializer_list", "initializer_pair", "return_statement",
        "conditional_expression",
    )  # fmt: skip


def _written(function: Function, number: int) -> list[Node] | None:
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
        if outer.type == "assignment_expression" and left is not None and _inside(above, left):
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


def _inside(node: Node, outer: Node) -> bool:
    return outer.start_byte <= node.start_byte and node.end_byte <= outer.end_byte


def _number(word: str) -> Value:
    try:
        number = int(word.rstrip("uUlL"), 0)
    except ValueError:
        return unknown(word)
    return value() if number == 0 else value(f"#{number}")
