"""From fields to addresses: the last pass over specialised source before numba compiles it.

`m.field[index]` becomes a load or store at `m + offset + index * width`, where `m` is the address of a record: nothing
of the record's type is left, only 64-bit integers, which compiles several times faster than typed records do.

An index of `m.field[index] += value` is computed twice, for the load and for the store, and an index of a store before
the value: the subset (subset.py) lets neither make a difference.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping

from pinhold.compiler.nodes import constant, value
from pinhold.compiler.subset import OutsideSubset
from pinhold.mm.state import Layout, Slot

STRUCTURE = (ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.If, ast.While, ast.For, ast.Return, ast.Expr)
EXPRESSIONS = (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Tuple, ast.Name, ast.Constant)
WORDS = (ast.Pass, ast.Break, ast.Continue, ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
KEPT = STRUCTURE + EXPRESSIONS + WORDS
"""What stays as it is in specialised source; what it consists of is lowered."""


def lower(source: str, layout: Layout, decorator: str) -> str:
    """The same functions over addresses, each under the decorator.  Raises OutsideSubset for what it does not know."""
    tree = ast.parse(source)
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    lowered = ast.fix_missing_locations(_Lower(layout.slots, functions).visit(tree))
    return "\n\n\n".join(f"@{decorator}\n{ast.unparse(node)}" for node in lowered.body) + "\n"


class _Lower(ast.NodeTransformer):
    """What is neither kept nor said here is refused."""

    def __init__(self, slots: Mapping[str, Slot], functions: Collection[str]) -> None:
        self.slots = slots
        self.functions = functions

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if not isinstance(node, KEPT):
            raise OutsideSubset(f"specialised source, line {getattr(node, 'lineno', '?')}: {type(node).__name__}")
        return super().generic_visit(node)

    def address(self, slot: Slot, index: ast.expr) -> ast.expr:
        if constant(index):
            return added(ast.Name("m", ast.Load()), ast.Constant(slot.offset + slot.width * int(value(index))))
        scaled = index if slot.width == 1 else ast.BinOp(index, ast.Mult(), ast.Constant(slot.width))
        return added(added(ast.Name("m", ast.Load()), ast.Constant(slot.offset)), scaled)

    def load(self, slot: Slot, index: ast.expr) -> ast.expr:
        return ast.Call(ast.Name(f"load{slot.width}", ast.Load()), [self.address(slot, index)], [])

    def store(self, slot: Slot, index: ast.expr, new: ast.expr) -> ast.stmt:
        return ast.Expr(ast.Call(ast.Name(f"store{slot.width}", ast.Load()), [self.address(slot, index), new], []))

    def slot(self, node: ast.expr) -> Slot | None:
        """The place of the field that `m.field` names; of all other expressions None."""
        match node:
            case ast.Attribute(ast.Name("m"), name):
                return self.slots[name]
            case _:
                return None

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """A scalar."""
        slot = self.slot(node)
        assert slot is not None and not slot.count, ast.unparse(node)
        return self.load(slot, ast.Constant(0))

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """An element that is read, or one half of a pair."""
        index = self.visit(node.slice)
        slot = self.slot(node.value)
        return ast.Subscript(self.visit(node.value), index, node.ctx) if slot is None else self.load(slot, index)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Constants are passed as integers like any other, or numba would compile the callee for each anew."""
        assert isinstance(node.func, ast.Name)
        if node.func.id == "len" and (slot := self.slot(node.args[0])):
            return ast.Constant(slot.count)
        args = [self.visit(arg) for arg in node.args]
        if node.func.id in self.functions:
            args = [ast.Call(ast.Name("int64", ast.Load()), [arg], []) if literal(arg) else arg for arg in args]
        return ast.Call(node.func, args, [])

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        new, target = self.visit(node.value), node.targets[0]
        if isinstance(target, ast.Subscript) and (slot := self.slot(target.value)):
            return self.store(slot, self.visit(target.slice), new)
        return ast.Assign(node.targets, new)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        new = self.visit(node.value)
        if isinstance(node.target, ast.Subscript) and (slot := self.slot(node.target.value)):
            index = self.visit(node.target.slice)
            return self.store(slot, index, ast.BinOp(self.load(slot, index), node.op, new))
        return ast.AugAssign(node.target, node.op, new)


def added(left: ast.expr, right: ast.expr) -> ast.expr:
    return ast.BinOp(left, ast.Add(), right)


def literal(node: ast.expr) -> bool:
    """Whether the expression is a number, perhaps with a sign."""
    return constant(node.operand if isinstance(node, ast.UnaryOp) else node)
