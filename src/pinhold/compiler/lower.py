"""From fields to addresses: the last pass over specialised source before numba compiles it.

`m.field[index]` becomes a load or store at `m + offset + index * width`, where `m` is the address of a record: nothing
of the record's type is left, only 64-bit integers, which compiles several times faster than typed records do.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping

from pinhold.mm.state import Layout, Slot


def lower(source: str, layout: Layout, decorator: str) -> str:
    """The same functions over addresses, each under the decorator."""
    tree = ast.parse(source)
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    lowered = ast.fix_missing_locations(_Lower(layout.slots, functions).visit(tree))
    return "\n\n\n".join(f"@{decorator}\n{ast.unparse(node)}" for node in lowered.body) + "\n"


class _Lower(ast.NodeTransformer):
    def __init__(self, slots: Mapping[str, Slot], functions: Collection[str]) -> None:
        self.slots = slots
        self.functions = functions

    def address(self, name: str, index: ast.expr | None) -> ast.expr:
        slot = self.slots[name]
        if index is None:
            return ast.BinOp(ast.Name("m", ast.Load()), ast.Add(), ast.Constant(slot.offset))
        if isinstance(index, ast.Constant):
            return ast.BinOp(
                ast.Name("m", ast.Load()), ast.Add(), ast.Constant(slot.offset + slot.width * int(str(index.value)))
            )
        scaled = index if slot.width == 1 else ast.BinOp(index, ast.Mult(), ast.Constant(slot.width))
        base = ast.BinOp(ast.Name("m", ast.Load()), ast.Add(), ast.Constant(slot.offset))
        return ast.BinOp(base, ast.Add(), scaled)

    def load(self, name: str, index: ast.expr | None) -> ast.expr:
        width = self.slots[name].width
        return ast.Call(ast.Name(f"load{width}", ast.Load()), [self.address(name, index)], [])

    def store(self, name: str, index: ast.expr, value: ast.expr) -> ast.stmt:
        width = self.slots[name].width
        return ast.Expr(ast.Call(ast.Name(f"store{width}", ast.Load()), [self.address(name, index), value], []))

    def field(self, node: ast.expr) -> str | None:
        """The field that `m.field` names."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "m":
            return node.attr
        return None

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        name = self.field(node)
        return node if name is None else self.load(name, None)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        name = self.field(node.value)
        if name is None:
            return ast.Subscript(self.visit(node.value), self.visit(node.slice), node.ctx)
        return self.load(name, self.visit(node.slice))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Constants are passed as integers like any other, or numba would compile the callee for each anew."""
        args = [self.visit(a) for a in node.args]
        if isinstance(node.func, ast.Name) and node.func.id in self.functions:
            args = [ast.Call(ast.Name("int64", ast.Load()), [a], []) if literal(a) else a for a in args]
        return ast.Call(node.func, args, [])

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        target = node.targets[0]
        value = self.visit(node.value)
        if isinstance(target, ast.Subscript):
            name = self.field(target.value)
            if name is not None:
                return self.store(name, self.visit(target.slice), value)
            return ast.Assign([self.visit(target)], value)
        return ast.Assign(node.targets, value)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        value = self.visit(node.value)
        if isinstance(node.target, ast.Subscript):
            name = self.field(node.target.value)
            if name is not None:
                index = self.visit(node.target.slice)
                return self.store(name, index, ast.BinOp(self.load(name, index), node.op, value))
        return ast.AugAssign(node.target, node.op, value)


def literal(node: ast.expr) -> bool:
    """Whether the expression is a number, perhaps with a sign."""
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    return isinstance(node, ast.Constant)
