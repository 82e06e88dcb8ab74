"""The red-black tree takes the kernel's shape."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinhold.mm.rbtree import LEFT, RIGHT, Node, Tree


def turned(tree: Tree[int], item: int) -> None:
    """Put the number in, or take it out if it is there."""
    parent, side, node = None, LEFT, tree.root
    while node is not None and node.item != item:
        parent, side = node, LEFT if item < node.item else RIGHT
        node = node.child[side]
    if node is None:
        tree.insert(item, parent, side)
    else:
        tree.erase(node)


def shape(node: Node[int] | None) -> str:
    """(number, colour, left child, right child)."""
    if node is None:
        return "."
    return f"({node.item}{'r' if node.red else 'b'}{shape(node.child[LEFT])}{shape(node.child[RIGHT])})"


def looked_over(node: Node[int] | None, parent: Node[int] | None = None) -> tuple[list[int], int]:
    """The numbers in order, and how many black nodes each way down comes by."""
    if node is None:
        return [], 0
    assert node.parent is parent
    assert not (node.red and (parent is None or parent.red))
    (left, one), (right, other) = (looked_over(child, node) for child in node.child)
    assert one == other
    return [*left, node.item, *right], one + (not node.red)


@given(st.lists(st.integers(0, 15), max_size=60))
def test_it_stays_a_red_black_tree_of_what_is_in_it(numbers: list[int]) -> None:
    """In order, after each change; no two red nodes in a row, and each way down as black as the others."""
    tree = Tree[int]()
    inside: set[int] = set()
    for number in numbers:
        turned(tree, number)
        inside ^= {number}
        assert looked_over(tree.root)[0] == sorted(inside)


@pytest.mark.parametrize(
    ("numbers", "made"),
    [
        ("0 1 7 4 6 3 8 10 9 3 3 5 2 0 4 8 6 11 1 2 9 6 10 9", "(7b(5b(3r..)(6r..))(11b(9r..).))"),
        ("6 2 8 10 1 11 0 8 3 2 5 6 4 6 7 10 8 9 4 10 9 11 2 10 2 6", "(5b(1r(0b..)(3b..))(7b.(8r..)))"),
    ],
)
def test_the_shape_is_what_the_kernels_own_code_made(numbers: str, made: str) -> None:
    """lib/rbtree.c of 6.12, in a program around it that was given the same numbers.  Each case of insert and erase is
    among them."""
    tree = Tree[int]()
    for number in numbers.split():
        turned(tree, int(number))
    assert shape(tree.root) == made
