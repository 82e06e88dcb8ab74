"""The kernel's lists and trees, walked with an end: damaged, or changed meanwhile, they can be circles."""

from __future__ import annotations

from collections.abc import Iterator

from drgn import Object, container_of

from pinhold.inspect.errors import CannotLook

MOST = 1 << 22
"""Members of a list or a tree: as many as a machine has tasks (PID_MAX_LIMIT)."""


class Endless(CannotLook):
    """A list or a tree has more members than there can be, or comes back to one of them."""


def entries_of(head: Object, type_: str, member: str) -> Iterator[Object]:
    """Pointers to the members of a list.  head: struct list_head *.  Raises Endless, drgn.FaultError."""
    end = head.value_()
    seen: set[int] = {end}
    here = head.next.read_()
    while here.value_() != end:
        if here.value_() in seen or len(seen) > MOST:
            raise Endless(f"a list of {type_} goes in a circle: it is damaged, or changed while it was read")
        seen.add(here.value_())
        yield container_of(here, type_, member)
        here = here.next.read_()


def chained_in(head: Object, type_: str, member: str) -> Iterator[Object]:
    """Pointers to the members of a chain of hashes.  head: a struct hlist_head.  As above."""
    seen: set[int] = set()
    here = head.first.read_()
    while here:
        if here.value_() in seen or len(seen) > MOST:
            raise Endless(f"a chain of {type_} goes in a circle: it is damaged, or changed while it was read")
        seen.add(here.value_())
        yield container_of(here, type_, member)
        here = here.next.read_()


def nodes_of(root: Object, type_: str, member: str) -> Iterator[Object]:
    """Pointers to the members of a red-black tree, in order.  root: its struct rb_node *.  As above."""
    seen: set[int] = set()
    left: list[Object] = []
    here = root.read_()
    while left or here:
        while here:
            if here.value_() in seen or len(seen) > MOST:
                raise Endless(f"a tree of {type_} goes in a circle: it is damaged, or changed while it was read")
            seen.add(here.value_())
            left.append(here)
            here = here.rb_left.read_()
        node = left.pop()
        yield container_of(node, type_, member)
        here = node.rb_right.read_()
