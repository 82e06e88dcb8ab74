"""How long pages stay with a driver: what is kept where, and which function lets it go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from pinhold.audit import syntax
from pinhold.audit.aliases import Names
from pinhold.audit.places import owner_of
from pinhold.audit.sites import Reading, Site
from pinhold.audit.syntax import bare, child, line, text
from pinhold.audit.unit import Call, Function, Unit, prepare, read

if TYPE_CHECKING:
    from tree_sitter import Node

DEEPEST = 3
MOST_BESIDE = 20
"""Calls in each other, and other files of a folder, in which a release is looked for."""
_RELEASING = re.compile(r"put_|_put|release|unpin|free|destroy|cleanup|unmap|unlock_pages")


@dataclass(frozen=True, slots=True)
class Kept:
    """where: the field or the out parameter that has the pages when the function returns, as the source writes it;
    function: the one that puts them there; released: functions of the file that let go what is in such a field; owner:
    the structure that has the field, "" where it is not seen."""

    where: str
    function: str
    released: tuple[str, ...] = ()
    owner: str = ""

    @property
    def words(self) -> str:
        said = f"kept in {self.where}"
        return f"{said}, released by {self.released[0]}()" if self.released else said


def base(node: Node | None) -> Node | None:
    """The variable or field that an expression for a place in an array begins with: x->pages of &x->pages[i] + 1."""
    while node is not None:
        node = bare(node)
        if node.type in ("pointer_expression", "subscript_expression", "update_expression"):
            node = child(node, "argument")
        elif node.type == "binary_expression":
            node = child(node, "left")
        else:
            return node
    return None


def kept(reading: Reading, site: Site) -> Kept | None:
    """Where the pages of a call stay after its function has returned, as far as that is seen; None: they do not."""
    function = site.call.function
    pages = base(site.pages)
    if function is None or pages is None:
        return None
    return _kept(reading, function, pages, site.call.node, 0)


def _kept(reading: Reading, function: Function, pages: Node, after: Node, depth: int) -> Kept | None:
    where = _field(function, pages)
    if where is None and pages.type == "identifier":
        name = text(pages)
        where = _stored(function, name, after)
        number = function.parameter(name)
        if where is None and number is not None and depth < DEEPEST:
            return _by_callers(reading, function, number, depth)
        if where is None and depth < DEEPEST and _returns(function, name):
            return _by_result(reading, function, depth)
    if where is None:
        return None
    if _let_go(function, reading.names, text(pages), after):
        return None
    owner = _owner(function, where)
    released = releasing(reading, function, where, owner)
    return Kept(where, function.name, tuple(one.name for one in released), owner)


def _field(function: Function, node: Node) -> str | None:
    """A field of what outlives the function: of a pointer, or of a structure that is not its own."""
    if node.type != "field_expression":
        return None
    root = node
    through = False
    while root.type in ("field_expression", "subscript_expression", "parenthesized_expression"):
        through = through or (root.type == "field_expression" and text(child(root, "operator")) == "->")
        inner = child(root, "argument") or (root.named_children[0] if root.named_children else None)
        if inner is None:
            break
        root = inner
    if not through:
        return None
    name = text(root)
    for store in function.stores.get(name, []):  # a pointer to a structure on the stack
        value = child(store, "value") or child(store, "right")
        if value is not None and value.type == "pointer_expression" and text(value).startswith("&"):
            inner = base(value)
            if inner is not None and inner.type == "identifier" and text(inner) in function.types:
                return None
    return line(node)


def _stored(function: Function, name: str, after: Node) -> str | None:
    """Where a local array is put: in a field, or through a pointer that was passed."""
    for node in syntax.captures("(assignment_expression) @a", function.node).get("a", []):
        left, right = child(node, "left"), child(node, "right")
        if left is None or right is None or text(child(node, "operator")) != "=":
            continue
        value = base(right)
        if value is None or value.type != "identifier" or text(value) != name:
            continue
        target = bare(left)
        if target.type == "field_expression" and _field(function, target):
            return line(target)
        if target.type == "subscript_expression":
            array = base(target)
            if array is not None and _field(function, array):
                return line(array)
            if array is not None and function.parameter(text(array)) is not None:
                return line(array)
        if target.type == "pointer_expression":
            inner = child(target, "argument")
            if inner is not None and function.parameter(text(inner)) is not None:
                return line(target)
    return _in_table(function, name)


_TABLES = ("sg_set_page", "sg_alloc_table_from_pages", "sg_alloc_table_from_pages_segment")


def _in_table(function: Function, name: str) -> str | None:
    """The scatterlist of an object that pages of a local array are put into."""
    for call in function.calls:
        if call.name not in _TABLES or len(call.arguments) < 2:
            continue
        pages, table = base(call.arguments[1]), base(call.arguments[0])
        if pages is not None and text(pages) == name and table is not None and _field(function, table):
            return line(table)
    return None


def _returns(function: Function, name: str) -> bool:
    found = syntax.captures("(return_statement (identifier) @v)", function.node).get("v", [])
    return any(text(one) == name for one in found)


def _by_callers(reading: Reading, function: Function, number: int, depth: int) -> Kept | None:
    """What the callers do with the array that they pass."""
    for call in reading.evaluator.callers(function):
        if call.function is None or call.function is function or number >= len(call.arguments):
            continue
        passed = base(call.arguments[number])
        found = None if passed is None else _kept(reading, call.function, passed, call.node, depth + 1)
        if found is not None:
            return found
    return None


def _by_result(reading: Reading, function: Function, depth: int) -> Kept | None:
    """What the callers do with the array that they get."""
    for call in reading.evaluator.callers(function):
        if call.function is None or call.function is function:
            continue
        found = kept_result(reading, call, depth)
        if found is not None:
            return found
    return None


def kept_result(reading: Reading, call: Call, depth: int = 0) -> Kept | None:
    """Where a caller keeps the array that a function gives it."""
    if call.function is None:
        return None
    above = call.node.parent
    while above is not None and above.type in ("parenthesized_expression", "cast_expression"):
        above = above.parent
    if above is None:
        return None
    target = child(above, "left") if above.type == "assignment_expression" else child(above, "declarator")
    if above.type not in ("assignment_expression", "init_declarator") or target is None:
        return None
    while target.type == "pointer_declarator":
        inner = child(target, "declarator")
        if inner is None:
            return None
        target = inner
    return _kept(reading, call.function, bare(target), call.node, depth + 1)


def _let_go(function: Function, names: Names, pages: str, after: Node) -> bool:
    """Whether the function itself releases what it got, where nothing has failed: outside of `if`s that leave, and
    before any label."""
    labels = syntax.captures("(labeled_statement) @l", function.node).get("l", [])
    first = min((one.start_byte for one in labels if one.start_byte > after.end_byte), default=1 << 62)
    returned = syntax.captures("(return_statement) @r", function.node).get("r", [])
    for call in function.calls:
        if call.node.start_byte < after.end_byte or not releases(call, names, pages):
            continue
        leaving = any(
            above.type in ("if_statement", "else_clause") and _leaves(above) for above, _ in
            syntax.ancestors(call.node, function.node)
        )  # fmt: skip
        if leaving:
            continue
        falls_in = not any(first > one.start_byte > after.end_byte and _plain(one, function) for one in returned)
        if call.node.start_byte < first or falls_in:
            return True
    return False


def _leaves(node: Node) -> bool:
    return bool(syntax.captures("[(return_statement) (goto_statement)] @leave", node))


def _plain(node: Node, function: Function) -> bool:
    """Whether a statement stands under no `if`."""
    return not any(above.type in ("if_statement", "case_statement") for above, _ in
                   syntax.ancestors(node, function.node))  # fmt: skip


def releases(call: Call, names: Names, pages: str = "") -> bool:
    """Whether a call lets pages go: by a function of the API, or by one that is named so and gets them."""
    if call.name in names.releases:
        return True
    return bool(_RELEASING.search(call.name)) and bool(pages) and any(pages in line(one) for one in call.arguments)


def lets_go(reading: Reading, name: str, depth: int = 0) -> bool:
    """Whether a function releases pages, itself or by others that it calls."""
    at = name, depth
    if at not in reading.letting:
        functions = reading.evaluator.functions.get(name, [])[:2]
        reading.letting[at] = any(one.called & reading.names.releases for one in functions) or (
            depth < DEEPEST and any(lets_go(reading, inner, depth + 1) for one in functions for inner in one.called)
        )
    return reading.letting[at]


def releases_any(reading: Reading, function: Function) -> bool:
    """Whether something that it calls releases pages."""
    return any(name in reading.names.releases or lets_go(reading, name) for name in function.called)


def _owner(function: Function, where: str) -> str:
    """The structure that has the field, as the type of its variable says: region of r->pages; "" for others."""
    match = re.fullmatch(r"(\w+)(?:->|\.)\w+", where)
    named = re.search(r"\bstruct\s+(\w+)", function.types.get(match[1], "")) if match else None
    return named[1] if named else ""


def field_of(where: str) -> str:
    """The name at the end: pages of x->pages; "" where there is none."""
    name = re.split(r"->|\.", where)[-1].strip("*() ")
    return name if re.fullmatch(r"\w+", name) else ""


def releasing(reading: Reading, function: Function, where: str, owner: str = "") -> tuple[Function, ...]:
    """Functions of the file, other than this one, that name the field and release pages.  owner: the structure that
    has the field, "" where it is not seen; a field of the same name in another structure is another one."""
    return releasing_in(reading, function.unit, where, owner, function)


def releasing_in(
    reading: Reading, unit: Unit, where: str, owner: str = "", other_than: Function | None = None
) -> tuple[Function, ...]:
    """The same of any file."""
    name = field_of(where)
    if not name:
        return ()
    word = re.compile(rb"\b" + name.encode() + rb"\b")
    owners = _owners(unit, name) if "->" in where or "." in where else None
    return tuple(
        other
        for same in unit.functions.values()
        for other in same
        if other is not other_than
        and (word.search(other.node.text or b"") if owners is None else _may_own(owners.get(other), owner))
        and releases_any(reading, other)
    )


def released_beside(reading: Reading, function: Function, where: str, owner: str = "") -> bool:
    """Whether another file of the folder releases what is in the field."""
    name = field_of(where)
    if not name:
        return False
    releases = re.compile("|".join(rf"\b{one}\b" for one in sorted(reading.names.releases)).encode())
    for path, source in reading.tree.beside(function.unit.path, name, MOST_BESIDE).items():
        if path not in reading.units and not releases.search(source):
            continue
        unit = reading.units.get(path) or read(
            prepare(path, source, reading.release, reading.tree.header), frozenset(reading.names.releases)
        )
        if releasing_in(reading, unit, where, owner):
            return True
    return False


def _may_own(owners: set[str] | None, owner: str) -> bool:
    return owners is not None and (not owner or "" in owners or owner in owners)


def _owners(unit: Unit, name: str) -> dict[Function, set[str]]:
    """By function that has a field of that name in it: the structures that have it, "" for one that is not seen."""
    if name not in unit.owners:
        found: dict[Function, set[str]] = {}
        pattern = f'((field_expression field: (field_identifier) @field) @whole (#eq? @field "{name}"))'
        for match in syntax.matches(pattern, unit.tree.root_node):
            function = unit.enclosing(match["whole"])
            if function is not None:
                found.setdefault(function, set()).add(owner_of(match["whole"], function))
        unit.owners[name] = found
    return unit.owners[name]


@cache
def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})\b")


_FOR_DEVICE = (
    r"dma_map_\w+|pci_map_\w+|sg_alloc_table_from_pages\w*|sg_set_page|dma_map_sgtable|iommu_map\w*|vmap|page_to_phys"
)
_DATA = r"kmap\w*|memcpy_to_page|memcpy_from_page|page_address|page_to_virt|vmap"
_NOTIFIER = r"mmu_notifier_\w+|mmu_interval_\w+|hmm_range_fault"
_BIO = r"bio_add_page|bio_alloc\w*|bvec_set_page|blk_rq_map_user\w*"


def documented(site: Site, stays: Kept | None, longterm: bool) -> str:
    """Which case of Documentation/core-api/pin_user_pages.rst a call is, by what its file does with the pages."""
    source = site.unit.source.decode("latin1")
    if _pattern(_NOTIFIER).search(source):
        return "CASE 3 (MMU notifiers): no pin is needed where the notifier ends the use"
    if longterm:
        return "CASE 2 (RDMA, long-term): pin_user_pages() with FOLL_LONGTERM"
    if _pattern(_FOR_DEVICE).search(source):
        if stays is not None:
            return "CASE 2 where it stays for long, CASE 1 for one transfer: pin_user_pages()"
        return "CASE 1 (direct I/O, for one transfer): pin_user_pages() without FOLL_LONGTERM"
    if _pattern(_DATA).search(source):
        return "CASE 5 (the kernel accesses the data): pin_user_pages()"
    return "CASE 4 (struct page alone, not its data) needs get_user_pages() only; CASE 5 (the data) pin_user_pages()"
