"""The umem of an AF_XDP socket: xdp_umem_pin_pages(), net/xdp/xdp_umem.c.  It keeps the pages, and no address."""

from __future__ import annotations

from collections.abc import Iterator

from pinhold.inspect.holders.kept import MOST, Run, bounded, joined, pointers
from pinhold.inspect.view import View

KIND = "AF_XDP"
OPERATIONS = (("", "socket_file_ops"),)

_AF_XDP = 44


def held(view: View, private: int) -> Iterator[Run]:
    """private: the struct socket.  Raises CannotLook, drgn.FaultError."""
    sk = view.pointer("struct socket *", private).sk.read_()
    if not sk or int(sk.member_("__sk_common").skc_family.value_()) != _AF_XDP:
        return
    umem = view.pointer("struct xdp_sock *", sk).umem.read_()
    if not umem:
        return
    count = bounded(int(umem.npgs.value_()), MOST, "pages of a umem")
    yield from joined(Run(view.pfn_of(page), 1) for page in pointers(view, int(umem.pgs.value_()), count))
