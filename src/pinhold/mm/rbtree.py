"""A red-black tree that takes the shape that the kernel's takes: lib/rbtree.c.

For where the shape is seen: a search comes by the nodes that are above what it looks for, and ksmd gives up at one
whose page is gone.  The order is the caller's, who goes down from the root and says where a node is to hang.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")

LEFT, RIGHT = 0, 1


@dataclass(slots=True, eq=False)
class Node(Generic[Item]):
    """child: the left one and the right one."""

    item: Item
    parent: Node[Item] | None = None
    child: list[Node[Item] | None] = field(default_factory=lambda: [None, None])
    red: bool = True

    @property
    def side(self) -> int:
        """Which child of its parent it is."""
        assert self.parent is not None
        return LEFT if self.parent.child[LEFT] is self else RIGHT


@dataclass(slots=True, eq=False)
class Tree(Generic[Item]):
    """No two red nodes are parent and child, and each way down from the root comes by as many black ones."""

    root: Node[Item] | None = None

    def insert(self, item: Item, parent: Node[Item] | None, side: int) -> None:
        """As a child that the parent has not yet, or as the root of an empty tree.

        Linux: rb_link_node(), rb_insert_color().
        """
        node = Node(item, parent)
        if parent is None:
            self.root = node
        else:
            parent.child[side] = node
        while (parent := node.parent) is not None and parent.red and (above := parent.parent) is not None:
            side = parent.side
            uncle = above.child[1 - side]
            if _red(uncle):
                parent.red, above.red = False, True
                _black(uncle)
                node = above
                continue
            if node.side != side:
                self._lift(node)
                parent = node
            self._lift(parent)
            parent.red, above.red = False, True
            break
        _black(self.root)

    def erase(self, node: Node[Item]) -> None:
        """What the node has in the tree goes, and the node or the one behind it with it.  Linux: rb_erase()."""
        if node.child[LEFT] is not None and (behind := node.child[RIGHT]) is not None:
            while (before := behind.child[LEFT]) is not None:
                behind = before
            node.item, node = behind.item, behind
        child = node.child[LEFT] or node.child[RIGHT]
        parent = node.parent
        side = node.side if parent is not None else LEFT
        self._hang(child, node)
        if child is not None:
            child.red = False
        elif not node.red and parent is not None:
            self._blacken(parent, side)

    def _blacken(self, parent: Node[Item], side: int) -> None:
        """Ways down by this child have one black node less than others.  Linux: ____rb_erase_color()."""
        while True:
            sibling = parent.child[1 - side]
            assert sibling is not None
            if sibling.red:
                self._lift(sibling)
                sibling.red, parent.red = False, True
                continue
            if not _red(sibling.child[LEFT]) and not _red(sibling.child[RIGHT]):
                sibling.red = True
                if parent.red or parent.parent is None:
                    parent.red = False
                    return
                parent, side = parent.parent, parent.side
                continue
            near, far = sibling.child[side], sibling.child[1 - side]
            if not _red(far) and near is not None:
                self._lift(near)
                far, sibling = sibling, near
            self._lift(sibling)
            sibling.red, parent.red = parent.red, False
            _black(far)
            return

    def _hang(self, node: Node[Item] | None, place: Node[Item]) -> None:
        """The node hangs where another does."""
        if place.parent is None:
            self.root = node
        else:
            place.parent.child[place.side] = node
        if node is not None:
            node.parent = place.parent

    def _lift(self, node: Node[Item]) -> None:
        """The node and its parent change their roles: a rotation at the parent."""
        parent, side = node.parent, node.side
        assert parent is not None
        inner = node.child[1 - side]
        self._hang(node, parent)
        parent.child[side] = inner
        if inner is not None:
            inner.parent = parent
        node.child[1 - side] = parent
        parent.parent = node


def _red(node: Node[Item] | None) -> bool:
    return node is not None and node.red


def _black(node: Node[Item] | None) -> None:
    if node is not None:
        node.red = False
