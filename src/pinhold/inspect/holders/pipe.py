"""Pages that vmsplice() gave to a pipe: iter_to_pipe(), fs/splice.c.  References, no pins, and no address."""

from __future__ import annotations

from collections.abc import Iterator

from drgn import Object, sizeof

from pinhold.inspect.holders.kept import Run, bounded, joined
from pinhold.inspect.view import View

KIND = "vmsplice"
OPERATIONS = (("", "pipefifo_fops"), ("", "pipeanon_fops"))

_MOST = 1 << 19
"""Buffers of a pipe: of the largest that pipe_set_size() makes, 2 GiB."""


def held(view: View, private: int) -> Iterator[Run]:
    """private: the struct pipe_inode_info.  Raises CannotLook, drgn.FaultError."""
    pipe = view.pointer("struct pipe_inode_info *", private).read_()
    size = bounded(int(pipe.ring_size.value_()), _MOST, "buffers of a pipe")
    head, tail = pipe.member_("head"), pipe.member_("tail")  # since 6.14 within unnamed members, of 16 or 32 bits
    first = int(tail.value_())
    used = (int(head.value_()) - first) % (1 << 8 * sizeof(head))
    bounded(used, size, "used buffers of a pipe")
    buffers = (pipe.bufs[index & size - 1] for index in range(first, first + used))
    pages = (int(one.page.value_()) for one in buffers if _of_user(view, one))
    yield from joined(Run(view.pfn_of(page), 1, pinned=False) for page in pages)


def _of_user(view: View, buffer: Object) -> bool:
    return view.symbols.name(int(buffer.ops.value_())) == "user_page_pipe_buf_ops"
