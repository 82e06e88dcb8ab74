"""udmabuf, memfd pages as a DMA buffer: udmabuf_create(), drivers/dma-buf/udmabuf.c.

It pins the folios since 6.12 (memfd_pin_folios()), and had references on pages before; it keeps no address.
"""

from __future__ import annotations

from collections.abc import Iterator

from pinhold.inspect.holders.kept import MOST, PAGE, Run, bounded, joined, pointers
from pinhold.inspect.view import View

KIND = "udmabuf"
OPERATIONS = (("", "dma_buf_fops"),)

_TYPE = "struct udmabuf"


def held(view: View, private: int) -> Iterator[Run]:
    """private: the struct dma_buf.  Raises CannotLook, drgn.FaultError."""
    buffer = view.pointer("struct dma_buf *", private)
    if view.symbols.name(int(buffer.ops.value_())) != "udmabuf_ops":
        return
    udmabuf = view.pointer(f"{_TYPE} *", buffer.priv)
    count = bounded(int(udmabuf.pagecount.value_()), MOST, "pages of a udmabuf")
    pages = pointers(view, int(udmabuf.member_("folios" if view.has(_TYPE, "folios") else "pages").value_()), count)
    offsets = pointers(view, int(udmabuf.offsets.value_()), count) if view.has(_TYPE, "offsets") else [0] * count
    pinned = any(view.has(_TYPE, name) for name in ("pinned_folios", "unpin_list"))
    yield from joined(
        Run(view.pfn_of(page) + at // PAGE, 1, pinned=pinned, of_file=True)
        for page, at in zip(pages, offsets, strict=True)
    )
