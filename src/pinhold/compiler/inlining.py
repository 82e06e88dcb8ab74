"""What a call comes to where the callee is one expression, or one store: that, with the arguments in its places."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping, Sequence
from typing import TypeVar

from pinhold.compiler.nodes import pure, reads

Node = TypeVar("Node", ast.expr, ast.stmt)


def substituted(node: Node, names: Sequence[str], args: Sequence[ast.expr], changing: bool) -> Node | None:
    """The node with arguments for names; None where an argument would be evaluated twice, or see another state.

    changing: whether what the node calls changes the record.  An argument is evaluated before the call; in its new
    place, perhaps behind the change.
    """
    uses = [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
    for name, arg in zip(names, args, strict=True):
        if not pure(arg) or (changing and reads(arg)):
            return None
        if not isinstance(arg, (ast.Name, ast.Constant)) and uses.count(name) > 1:
            return None
    changed: Node = _Put(dict(zip(names, args, strict=True))).visit(copy.deepcopy(node))
    return changed


class _Put(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node)
