"""io_uring's registered ("fixed") buffers: io_sqe_buffer_register(), io_uring/rsrc.c.

A struct io_mapped_ubuf has the address in the memory of ctx->mm_account, and a struct bio_vec for each page, since 6.12
(a8edbb424b13) for each folio.  Where they stand: an array of structures or of pointers to them (`user_bufs`), since
6.13 nodes of `buf_table`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from drgn import Object, TypeKind, offsetof, sizeof

from pinhold.inspect.holders.kept import PAGE, Run, bounded, joined
from pinhold.inspect.view import View

KIND = "io_uring"
OPERATIONS = (("", "io_uring_fops"),)

_CTX = "struct io_ring_ctx"
_BUFFERS = 1 << 14
"""IORING_MAX_REG_BUFFERS."""
_BVECS = (1 << 18) + 1
"""Pages of 1 GiB, the most of a buffer, from somewhere in the first to somewhere in the last."""
_NOBODY = 0, 0xFFFF_FFFF_FFFF_FFFF
"""Addresses of what is no memory of a user: the kernel's own buffers (6.15), empty slots (dummy_ubuf, up to 6.12)."""


def held(view: View, private: int) -> Iterator[Run]:
    """private: the struct io_ring_ctx.  Raises CannotLook, drgn.FaultError."""
    ctx = view.pointer(f"{_CTX} *", private)
    mm = int(ctx.mm_account.value_()) if view.has(_CTX, "mm_account") else 0
    for buffer in _buffers(view, ctx):
        if int(buffer.ubuf.value_()) not in _NOBODY:
            yield from joined(_pages(view, buffer, mm))


def _buffers(view: View, ctx: Object) -> Iterator[Object]:
    """Each as a struct io_mapped_ubuf *."""
    if view.has(_CTX, "buf_table"):
        nodes = ctx.buf_table.nodes
        for index in range(bounded(int(ctx.buf_table.nr.value_()), _BUFFERS, "buffers of a ring")):
            node = nodes[index].read_()
            if node:
                yield node.buf.read_()
        return
    for index in range(bounded(int(ctx.nr_user_bufs.value_()), _BUFFERS, "buffers of a ring")):
        one = ctx.user_bufs[index]
        yield one.read_() if one.type_.kind == TypeKind.POINTER else one.address_of_()


def _pages(view: View, buffer: Object, mm: int) -> Iterator[Run]:
    type_ = buffer.type_.type
    count = bounded(int(buffer.nr_bvecs.value_()), _BVECS, "pieces of a buffer")
    bvec = view.program.type("struct bio_vec")
    inline = not _is_pointer(type_, "bvec")
    start = buffer.value_() + offsetof(type_, "bvec") if inline else int(buffer.bvec.value_())
    size = sizeof(bvec)
    page_at, length_at, offset_at = (offsetof(bvec, name) for name in ("bv_page", "bv_len", "bv_offset"))
    data = view.read(start, size * count)
    address = int(buffer.ubuf.value_())
    for at in range(0, size * count, size):
        (page,) = struct.unpack_from("<Q", data, at + page_at)
        length, offset = (struct.unpack_from("<I", data, at + where)[0] for where in (length_at, offset_at))
        pages = -(-(offset % PAGE + length) // PAGE)
        yield Run(view.pfn_of(page) + offset // PAGE, pages, address - offset % PAGE, mm)
        address += length


def _is_pointer(type_: object, name: str) -> bool:
    members = getattr(type_, "members", ())
    return any(member.name == name and member.type.kind == TypeKind.POINTER for member in members)
