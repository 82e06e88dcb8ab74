"""One parsed file: its functions, calls, macros, and what is stored in fields, found by queries."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from pinhold.audit import conditions, syntax
from pinhold.audit.macros import Header, Macro, Macros
from pinhold.audit.syntax import child, text

if TYPE_CHECKING:
    from tree_sitter import Node, Tree

    from pinhold.audit.values import Condition

_CALLS = """
(call_expression function: (identifier) @name) @call
(call_expression function: (parenthesized_expression (identifier) @name)) @call
"""
_PARTS = """
(function_definition) @function
(translation_unit (compound_statement) @block)
(call_expression function: (identifier) @name)
(call_expression function: (parenthesized_expression (identifier) @name))
"""
_CONSTANTS = "(enumerator name: (identifier) @name value: (_) @value)"
_STATICS = "(init_declarator declarator: (_) @name value: (_) @value) @store"
_ASSIGNED = "(assignment_expression left: (field_expression field: (field_identifier) @field)) @store"
_INITIAL = "(initializer_pair designator: (field_designator (field_identifier) @field)) @store"
_LOCALS = """
(init_declarator declarator: (identifier) @name) @store
(init_declarator declarator: (pointer_declarator declarator: (identifier) @name)) @store
(assignment_expression left: (identifier) @name) @store
(update_expression argument: (identifier) @name) @store
"""
_ADDRESSES = '(pointer_expression operator: "&" argument: (identifier) @name) @store'
_DECLARED = "(declaration) @d"
_SCOPES = frozenset({"compound_statement", "for_statement", "case_statement"})
_LEAVING = "[(goto_statement) (break_statement) (continue_statement)] @jump"
_EXPORTED = re.compile(rb"EXPORT_\w+\s*\(\s*$")
_NEAR = 400
"""Bytes before and after a function, in which an #if may have torn it."""
_DEFINED_BY_MACRO = re.compile(rb"(\w+)\s*\(([^;{}]*)\)\s*$")


@dataclass(frozen=True, slots=True)
class Parameter:
    """Of a function; type: its words."""

    name: str
    type: str


@dataclass(eq=False)
class Function:
    """A definition.  static: nobody outside of the file calls it by name."""

    unit: Unit
    node: Node
    name: str
    parameters: tuple[Parameter, ...]
    static: bool
    conditions: dict[int, list[Condition]] = field(default_factory=dict)
    guards: dict[int, list[Condition]] = field(default_factory=dict)

    @property
    def line(self) -> int:
        return self.node.start_point[0] + 1

    @cached_property
    def text(self) -> str:
        return text(self.node)

    @cached_property
    def stores(self) -> dict[str, list[Node]]:
        """By name of a variable what stores in it, in the order of the text."""
        return _by_name(_LOCALS, self.node)

    @cached_property
    def addresses(self) -> dict[str, list[Node]]:
        """By name of a variable where its address is taken, in the order of the text."""
        return _by_name(_ADDRESSES, self.node)

    def changes(self, name: str) -> list[Node]:
        """What stores in a variable of that name, or takes its address."""
        if name not in self.addresses:
            return self.stores.get(name, [])
        return sorted([*self.stores.get(name, []), *self.addresses[name]], key=lambda node: node.start_byte)

    @cached_property
    def calls(self) -> list[Call]:
        """In the order of the text."""
        return self.unit.inside.get(self, [])

    @cached_property
    def called(self) -> frozenset[str]:
        """The names of the functions that it calls."""
        return frozenset(call.name for call in self.calls)

    @cached_property
    def labels(self) -> dict[str, int]:
        """Where each label is, in bytes."""
        found = syntax.captures("(labeled_statement label: (_) @label)", self.node).get("label", [])
        return {text(one): one.start_byte for one in found}

    @cached_property
    def jumps(self) -> list[tuple[Node, int]]:
        """Each goto, break and continue, and the byte where it goes on."""
        made = []
        for node in syntax.captures(_LEAVING, self.node).get("jump", []):
            if node.type == "goto_statement":
                to = self.labels.get(text(child(node, "label")))
            else:
                to = _left(node, self.node)
            if to is not None:
                made.append((node, to))
        return made

    @cached_property
    def declarations(self) -> dict[str, list[tuple[int, int, int]]]:
        """Of each name that is declared: from where it is known, and the block that it is known in."""
        found: dict[str, list[tuple[int, int, int]]] = {}
        for node in syntax.captures(_DECLARED, self.node).get("d", []):
            block = next((one for one, _ in syntax.ancestors(node, self.node) if one.type in _SCOPES), self.node)
            for one in node.children_by_field_name("declarator"):
                place = one.start_byte, block.start_byte, block.end_byte
                found.setdefault(syntax.declared(one), []).append(place)
        return found

    def declaration(self, name: str, at: int) -> int:
        """Which declaration of a name counts at a place, by where it is; -1: the parameter, or none that is seen."""
        known = [(start, one) for one, start, end in self.declarations.get(name, ()) if start <= at < end and one <= at]
        return max(known)[1] if known else -1

    def changes_at(self, name: str, at: int) -> list[Node]:
        """What changes the variable that a name is at a place."""
        stores = self.changes(name)
        if len(self.declarations.get(name, ())) + (self.parameter(name) is not None) < 2:
            return stores
        meant = self.declaration(name, at)
        return [one for one in stores if self.declaration(name, one.end_byte - 1) == meant]

    def parameter(self, name: str) -> int | None:
        """Which one has this name."""
        return next((number for number, one in enumerate(self.parameters) if one.name == name), None)

    @cached_property
    def types(self) -> dict[str, str]:
        """By name of a variable or parameter the words of its type, with a star for each pointer."""
        found = {one.name: one.type for one in self.parameters}
        for node in syntax.captures("(declaration) @d", self.node).get("d", []):
            words = text(child(node, "type"))
            for one in node.children_by_field_name("declarator"):
                left = text(one).partition("=")[0]
                found[syntax.declared(one)] = words + "*" * left.count("*") + "[]" * ("[" in left)
        return found


@dataclass(eq=False)
class Call:
    """Of a function by its name; or by a macro whose text calls it, where the node is that of the macro."""

    unit: Unit
    node: Node
    name: str
    function: Function | None

    @property
    def line(self) -> int:
        return self.node.start_point[0] + 1

    @cached_property
    def arguments(self) -> list[Node]:
        return syntax.arguments_of(self.node)

    @cached_property
    def in_macro(self) -> bool:
        """Whether it stands in a #define."""
        return any(above.type.startswith("preproc_") and "def" in above.type and above.type != "preproc_ifdef"
                   for above, _ in syntax.ancestors(self.node, None))  # fmt: skip


@dataclass(eq=False)
class Unit:
    """path: as the tree names it; split: whether only one part of each #if was read."""

    path: str
    source: bytes
    tree: Tree
    split: bool = False
    functions: dict[str, list[Function]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    macros: Macros = field(default_factory=Macros)
    owners: dict[str, dict[Function, set[str]]] = field(default_factory=dict)
    """Of fields that were asked for: the functions that name them, and whose field it is there."""
    release: str = ""
    _truths: dict[str, bool | None] = field(default_factory=dict)

    def truth(self, words: str) -> bool | None:
        """Whether an expression is true on the release; None where that is not known."""
        if words not in self._truths:
            found = conditions.number(words, self.release, self.macros)
            self._truths[words] = None if found is None else bool(found)
        return self._truths[words]

    @property
    def header(self) -> bool:
        return self.path.endswith(".h")

    @cached_property
    def fields(self) -> dict[str, list[Node]]:
        """By name of a field what is stored in it, anywhere in the file."""
        found: dict[str, list[Node]] = {}
        for pattern in (_ASSIGNED, _INITIAL):
            for match in syntax.matches(pattern, self.tree.root_node):
                found.setdefault(text(match["field"]), []).append(match["store"])
        return found

    @cached_property
    def constants(self) -> dict[str, Node]:
        """What names outside of functions stand for: enumerators with a value, and what is const."""
        root = self.tree.root_node
        found = {text(one["name"]): one["value"] for one in syntax.matches(_CONSTANTS, root)}
        for one in syntax.matches(_STATICS, root):
            declaration = one["store"].parent
            if self.enclosing(one["store"]) is None and declaration is not None:
                words = text(declaration).partition("=")[0].split()
                if "const" in words:
                    found[syntax.declared(one["name"])] = one["value"]
        return found

    @cached_property
    def called(self) -> dict[str, list[Call]]:
        """The calls by name."""
        found: dict[str, list[Call]] = {}
        for call in self.calls:
            found.setdefault(call.name, []).append(call)
        return found

    @cached_property
    def by_line(self) -> dict[int, list[Call]]:
        """The calls by the line that they begin in."""
        found: dict[int, list[Call]] = {}
        for call in self.calls:
            found.setdefault(call.line, []).append(call)
        return found

    @cached_property
    def inside(self) -> dict[Function | None, list[Call]]:
        """The calls by the function that they are in."""
        found: dict[Function | None, list[Call]] = {}
        for call in self.calls:
            found.setdefault(call.function, []).append(call)
        return found

    @cached_property
    def bounds(self) -> tuple[list[int], list[Function]]:
        """Where each function begins, and the function."""
        listed = sorted((one for same in self.functions.values() for one in same), key=lambda f: f.node.start_byte)
        return [one.node.start_byte for one in listed], listed

    def enclosing(self, node: Node) -> Function | None:
        """The function that a node is in."""
        starts, listed = self.bounds
        at = bisect_right(starts, node.start_byte) - 1
        return listed[at] if at >= 0 and listed[at].node.end_byte >= node.end_byte else None


def expansions(call: Call, macro: Macro) -> list[Call]:
    """The calls that a macro makes where it is called, with their arguments."""
    words = macro.expanded([text(one) for one in call.arguments])
    body = None if words is None else syntax.fragment(words)
    made = []
    for match in syntax.matches(_CALLS, body) if body is not None else ():
        inner = Call(call.unit, call.node, text(match["name"]), call.function)
        inner.arguments = syntax.arguments_of(match["call"])
        made.append(inner)
    return made


def _exported(unit: Unit, at: int) -> bool:
    return _EXPORTED.search(unit.source[max(0, at - 40) : at]) is not None


def mentions(unit: Unit, name: str) -> Iterator[str]:
    """Where a function is named otherwise than to call it, as a clause: by its address."""
    if name.encode() not in unit.source:
        return
    for match in re.finditer(name.encode() + rb"\b(?<![\w.>\"]" + name.encode() + rb")(\s*\()?", unit.source):
        node = unit.tree.root_node.descendant_for_byte_range(match.start(), match.start() + len(name))
        if node is not None and node.type == "identifier" and not match[1] and not _exported(unit, match.start()):
            yield "whose address is taken"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file before it is parsed.  text: without what is dead for the release; macros: what is defined at its end."""

    path: str
    text: bytes
    macros: Macros
    release: str


def prepare(path: str, source: bytes, release: str, header: Header) -> Prepared:
    """Decide for a release what of a file is live."""
    macros = Macros(path, header)
    return Prepared(path, conditions.decide(source, release, macros), macros, release)


def read(prepared: Prepared, names: frozenset[str]) -> Unit:
    """Parse a file.  names: the functions whose calls must be found in functions."""
    blank = conditions.blanked(prepared.text)
    unit = _parsed(prepared, blank)
    worst = _broken(unit, names)
    if worst:
        wanted = sum(call.name in names for call in unit.calls)
        for part in ("if", "else") if _undecided(unit, names) else ():
            other = _parsed(prepared, conditions.picked(blank, part))
            other.split = True
            broken = _broken(other, names)
            if broken < worst and sum(call.name in names for call in other.calls) >= 0.6 * wanted:
                worst, unit = broken, other
    return unit


def _undecided(unit: Unit, names: frozenset[str]) -> bool:
    """Whether an #if may be why calls are torn: one stands outside of functions, or an #if is in its function or near
    where that begins."""
    for call in unit.calls:
        if call.name in names and not call.in_macro and (call.function is None or call.function.node.has_error):
            node = None if call.function is None else call.function.node
            if node is None or conditions.has_if(unit.source[max(0, node.start_byte - _NEAR) : node.end_byte + _NEAR]):
                return True
    return False


def _broken(unit: Unit, names: frozenset[str]) -> int:
    """How badly the calls that matter are torn: outside of any function, or beside what could not be read."""
    return sum(
        10 if call.function is None else int(call.function.node.has_error)
        for call in unit.calls
        if call.name in names and not call.in_macro
    )


def _parsed(prepared: Prepared, source: bytes) -> Unit:
    tree = syntax.parse(source)
    unit = Unit(prepared.path, source, tree, macros=prepared.macros, release=prepared.release)
    root = tree.root_node
    parts = syntax.captures(_PARTS, root)
    ended = 0
    for node in parts.get("function", []):
        if node.end_byte <= ended:  # C has none in another: it is a macro with a block
            continue
        ended = node.end_byte
        made = _function(unit, node)
        if made is not None:
            unit.functions.setdefault(made.name, []).append(made)
    for node in parts.get("block", []):
        made = _by_macro(unit, node)
        if made is not None:
            unit.functions.setdefault(made.name, []).append(made)
    calls = []
    for name in parts.get("name", []):
        above = name.parent
        while above is not None and above.type != "call_expression":
            above = above.parent
        if above is not None:
            calls.append(Call(unit, above, text(name), unit.enclosing(above)))
    unit.calls += sorted(calls, key=lambda one: one.node.start_byte)
    return unit


def _function(unit: Unit, node: Node) -> Function | None:
    declarator = child(node, "declarator")
    while declarator is not None and declarator.type != "function_declarator":
        declarator = child(declarator, "declarator")
    if declarator is None:
        return None
    name = text(child(declarator, "declarator"))
    if not re.fullmatch(r"\w+", name):
        return None
    listed = child(declarator, "parameters")
    parameters = tuple(
        Parameter(syntax.declared(child(one, "declarator")), text(one).rpartition(" ")[0] or text(one))
        for one in (listed.named_children if listed is not None else [])
        if one.type == "parameter_declaration"
    )
    static = "static" in unit.source[node.start_byte : declarator.start_byte].decode("latin1").split()
    return Function(unit, node, name, parameters, static)


def _by_name(query: str, node: Node) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for match in syntax.matches(query, node):
        found.setdefault(text(match["name"]), []).append(match["store"])
    for stores in found.values():
        stores.sort(key=lambda one: one.start_byte)
    return found


def _left(node: Node, function: Node) -> int | None:
    """Where a break or continue goes on; none for what ends a `case`, which has its own condition."""
    for above, below in syntax.ancestors(node, function):
        if above.type in syntax.LOOPS:
            body = child(above, "body")
            return above.end_byte if node.type == "break_statement" or body is None else body.end_byte
        if above.type == "case_statement" and node.type == "break_statement":
            return None if below == node else above.end_byte
    return None


def _by_macro(unit: Unit, node: Node) -> Function | None:
    """A block at the top level, such as that of SYSCALL_DEFINE3(name, ...): its name is the macro's first argument."""
    before = unit.source[max(0, node.start_byte - 400) : node.start_byte]
    match = _DEFINED_BY_MACRO.search(before)
    if match is None:
        return None
    arguments = [part.strip().decode("latin1") for part in match[2].split(b",")]
    macro = match[1].decode("latin1")
    name = arguments[0] if macro.isupper() or macro.rstrip("0123456789x").isupper() else macro
    if not re.fullmatch(r"\w+", name):
        return None
    pairs = zip(arguments[1::2], arguments[2::2], strict=False)
    return Function(unit, node, name, tuple(Parameter(n, t) for t, n in pairs), True)
