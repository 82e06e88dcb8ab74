"""Expressions of flags, evaluated: through variables, parameters, fields and functions, alternative by alternative.

A variable is what was assigned to it before, in source order; under an `if` that the use is not under, both what was
and what is assigned.  A parameter is what all callers pass, a field all that the file stores in fields of that name, a
function all that it returns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pinhold.audit import syntax
from pinhold.audit.callers import told_apart
from pinhold.audit.macros import Macro
from pinhold.audit.places import inside, own, owner_of, stays, written
from pinhold.audit.reach import condition_of, conditions_of, guards_of, passing_over, repeated
from pinhold.audit.syntax import arguments_of, bare, child, line, text
from pinhold.audit.unit import Call, Function, Unit, expansions, mentions, prepare, read
from pinhold.audit.values import (
    BOOL,
    FLAGS,
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
before it, and as many after it.  A field that a file stores in more often is not known."""

_COMPARES = frozenset({"==", "!=", "<", ">", "<=", ">=", "&&", "||"})
_RETURNS = "(return_statement (_) @value)"


class Evaluator:
    """Of the files of one tree."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self.units = list(units)
        self._left = EFFORT
        self._headers: dict[str, Unit] = {}
        self._index()

    def _index(self) -> None:
        self.functions: dict[str, list[Function]] = {}
        self._paths: dict[str, list[Unit]] = {}
        self._open: dict[int, str] = {}
        self._by_macro: dict[str, list[tuple[Call, Macro]]] | None = None
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
        alone = function.static and not function.unit.header
        return [
            call
            for call in (*self.calls.get(function.name, []), *self._in_macros(function.name))
            if call.unit is function.unit or not (alone or self._another(call.unit, function))
        ]

    def _in_macros(self, name: str) -> Iterator[Call]:
        """The calls of a function in macros, where those are used."""
        if self._by_macro is None:
            self._by_macro = {}
            for unit in self.units:
                for call in unit.calls:
                    for macro in unit.macros.of(call.name):
                        for inner in () if call.in_macro else macro.calls:
                            self._by_macro.setdefault(inner, []).append((call, macro))
        for call, macro in self._by_macro.get(name, ()):
            yield from (inner for inner in expansions(call, macro) if inner.name == name)

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
                return self._returned(unit, node, use, depth)
            case "subscript_expression":
                return self._element(unit, node, depth)
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
                if any(flag in FLAGS for alternative in found for flag in alternative.flags):
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
        if condition is None or second is None:
            return unknown("?:")
        when = self._condition(unit, condition, use)
        found = self._of(unit, first if first is not None else condition, use, depth + 1)
        if first is None:  # x ?: y
            found = tuple(one for one in found if one.flags)
        return union(
            under(found, [when]),
            under(self._of(unit, second, use, depth + 1), [when.negated()]),
        )

    def _condition(self, unit: Unit, node: Node, use: Node) -> Condition:
        return condition_of(node, unit.enclosing(use), unit, use)

    def _name(self, unit: Unit, name: str, use: Node, depth: int) -> Value:
        if name in FLAGS:
            return value(name)
        made: Value = ()
        function = unit.enclosing(use)
        if function is not None:
            found = self._variable(function, name, use, depth)
            if found is not None:
                return found
        for macro in (macros := unit.macros.of(name)):
            if macro.parameters is None:
                made = union(made, under(self._text(unit, macro.body, use, depth), macro.when))
        if macros:
            return made or unknown(name)
        for one in self._seen(unit, name):
            node = one.constants.get(name)
            if node is not None:
                return self._of(one, node, node, depth + 1)
        return unknown(name)

    def _text(self, unit: Unit, words: str, use: Node, depth: int) -> Value:
        """What the text of a macro is where it is used."""
        node = syntax.expression(words)
        return self._of(unit, node, use, depth + 1) if node is not None else unknown(words[:40])

    def _seen(self, unit: Unit, name: str) -> Iterator[Unit]:
        """The file, and the headers that it includes, as far as they name something."""
        yield unit
        for path, source in unit.macros.included.items():
            if name.encode() in source:
                if path not in self._headers:
                    known = self.at(path)
                    prepared = None if known else prepare(path, source, unit.release, unit.macros.header)
                    self._headers[path] = known[0] if prepared is None else read(prepared, frozenset())
                yield self._headers[path]

    def _variable(self, function: Function, name: str, use: Node, depth: int) -> Value | None:
        """A local variable or parameter; None for what is neither."""
        number = function.parameter(name)
        stores = function.changes_at(name, use.start_byte)
        if number is None and not stores and name not in function.types:
            return None
        if any(store.type == "pointer_expression" and store.start_byte < use.start_byte and stays(store)
               for store in stores):  # fmt: skip
            return unknown(f"{name}, whose address is kept")
        current = self._parameter(function, number, depth) if number is not None else None
        before = [store for store in stores if store.start_byte < use.start_byte and not inside(use, store)]
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
        if call is None:
            return current if current is not None else unknown(name)
        called = text(child(call, "function"))
        functions = self._named(function.unit, called)
        number = next(at for at, one in enumerate(arguments_of(call)) if one.id == store.id)
        made: Value = ()
        for one in functions[:4]:
            stored = written(one, number)
            if stored is None:
                return unknown(f"{name}, whose address {called}() gets")
            got = current if current is not None else value()
            for each in stored:
                right, when = child(each, "right"), conditions_of(each, one)
                assert right is not None
                new = self._changed(one.unit, text(child(each, "operator")), right, each, got, depth)
                got = union(under(new, when), without(got, when))
            made = union(made, got)
        return made or unknown(f"{name}, whose address {called}() gets")

    def _named(self, unit: Unit, name: str) -> list[Function]:
        """The definitions of a function by its name that a file may call."""
        for one in self._seen(unit, name):
            if name in one.functions:
                return one.functions[name]
        return [one for one in self.functions.get(name, [])
                if not one.static or (one.unit.header and "include/" in one.unit.path)]  # fmt: skip

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
        stores = unit.fields.get(name, [])
        if len(stores) > MOST_STORES:
            return unknown(f"field {name}, set at {len(stores)} places")
        for store in stores:
            right = child(store, "value") if store.type == "initializer_pair" else child(store, "right")
            where = unit.enclosing(store)
            other = owner_of(store, where)
            if right is None or (owner and other and owner != other):
                continue
            if where is not function and (own(node, function) or own(store, where)):
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

    def _returned(self, unit: Unit, node: Node, use: Node, depth: int) -> Value:
        name = text(child(node, "function"))
        made: Value = ()
        for macro in unit.macros.of(name):
            words = macro.expanded([text(one) for one in arguments_of(node)])
            found = unknown(f"{name}()") if words is None else self._text(unit, words, use, depth)
            made = union(made, under(found, macro.when))
        for function in () if made else self._named(unit, name)[:4]:
            for returned in syntax.captures(_RETURNS, function.node).get("value", []):
                got = self._of(function.unit, returned, returned, depth + 1)
                made = union(made, under(got, [*conditions_of(returned, function), *guards_of(returned, function)]))
        return made or unknown(f"{name}()")

    def _element(self, unit: Unit, node: Node, depth: int) -> Value:
        """An element of a table that is const: any of them."""
        name = text(child(node, "argument"))
        made: Value = ()
        table = next((one for one in self._seen(unit, name) if name in one.constants), None)
        listed = [] if table is None else table.constants[name].named_children
        for one in listed:
            element = child(one, "value") if one.type == "initializer_pair" else one
            if table is not None and element is not None and element.type != "comment":
                made = union(made, self._of(table, element, element, depth + 1))
        return made or unknown(f"{name}[]")


def _number(word: str) -> Value:
    try:
        number = int(word.rstrip("uUlL"), 0)
    except ValueError:
        return unknown(word)
    return value() if number == 0 else value(f"#{number}")
