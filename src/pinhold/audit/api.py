"""The kernel's functions that take user pages, by name: what they do, and where their arguments are.

A call says by its number of arguments from which era it is.  5.10, 6.1, 6.12 and 7.3 were read in include/linux/mm.h;
older forms are as drivers that support them call them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

GET, PIN, OTHER = "get", "pin", "other"
"""get: takes references, as get_user_pages() does.  pin: as pin_user_pages().  other: calls one of them inside."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Which argument is what; None: there is none.

    write, force: booleans that stood where flags stand since 4.9.
    """

    flags: int | None = None
    pages: int | None = None
    count: int | None = None
    write: int | None = None
    force: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One function.  shapes: by number of arguments.  pinned: for OTHER, whether it pins or takes references.
    implied: flags that it always passes on; open: whether it adds FOLL_WRITE by what its arguments say."""

    kind: str
    shapes: Mapping[int, Shape] = field(default_factory=dict)
    pinned: bool = True
    implied: tuple[str, ...] = ()
    open: bool = False


_GUP = {
    4: Shape(2, 3, 1),
    5: Shape(2, 3, 1),
    6: Shape(None, 4, 1, write=2, force=3),
    7: Shape(4, 5, 3),
    8: Shape(None, 6, 3, write=4, force=5),
}
_FAST = {4: Shape(2, 3, 1)}
_REMOTE = {6: Shape(3, 4, 2), 7: Shape(3, 4, 2), 8: Shape(4, 5, 3)}
_UNLOCKED = {4: Shape(3, 2, 1), 5: Shape(4, 3, 2), 6: Shape(None, 4, 1, write=2, force=3)}
_LOCKED = {5: Shape(2, 3, 1), 6: Shape(3, 4, 2)}


def _pages(number: int, pages: int | None = None) -> Mapping[int, Shape]:
    return {number: Shape(None, pages)}


API: Mapping[str, Entry] = {
    "get_user_pages": Entry(GET, _GUP),
    "get_user_pages_longterm": Entry(GET, _GUP, implied=("FOLL_LONGTERM",)),
    "get_user_pages_fast": Entry(GET, _FAST),
    "get_user_pages_fast_only": Entry(GET, _FAST),
    "__get_user_pages_fast": Entry(GET, {4: Shape(None, 3, 1, write=2)}),
    "get_user_page_fast_only": Entry(GET, {3: Shape(1, 2)}),
    "get_user_pages_remote": Entry(GET, _REMOTE),
    "get_user_pages_unlocked": Entry(GET, _UNLOCKED),
    "get_user_pages_locked": Entry(GET, _LOCKED),
    "get_user_page_vma_remote": Entry(GET, {4: Shape(2)}),
    "__get_user_pages": Entry(GET, {6: Shape(3, 4, 2), 7: Shape(3, 4, 2)}),
    "pin_user_pages": Entry(PIN, _GUP),
    "pin_user_pages_fast": Entry(PIN, _FAST),
    "pin_user_pages_fast_only": Entry(PIN, _FAST),
    "pin_user_pages_remote": Entry(PIN, _REMOTE),
    "pin_user_pages_unlocked": Entry(PIN, _UNLOCKED),
    "pin_user_pages_locked": Entry(PIN, _LOCKED),
    "memfd_pin_folios": Entry(OTHER, _pages(6, 3), implied=("FOLL_LONGTERM",)),
    "iov_iter_get_pages": Entry(OTHER, _pages(5, 1), pinned=False, open=True),
    "iov_iter_get_pages2": Entry(OTHER, _pages(5, 1), pinned=False, open=True),
    "iov_iter_get_pages_alloc": Entry(OTHER, _pages(4, 1), pinned=False, open=True),
    "iov_iter_get_pages_alloc2": Entry(OTHER, _pages(4, 1), pinned=False, open=True),
    "iov_iter_extract_pages": Entry(OTHER, _pages(6, 1), open=True),
    "iov_iter_extract_bvecs": Entry(OTHER, open=True),
    "extract_iter_to_sg": Entry(OTHER, open=True),
    "bio_iov_iter_get_pages": Entry(OTHER, open=True),
    "bio_iov_iter_get_pages_aligned": Entry(OTHER, open=True),
    "get_vaddr_frames": Entry(OTHER, implied=("FOLL_LONGTERM",), open=True),
    "vb2_create_framevec": Entry(OTHER, implied=("FOLL_LONGTERM",), open=True),
    "ib_umem_get": Entry(OTHER, implied=("FOLL_LONGTERM",), open=True),
    "ib_umem_get_peer": Entry(OTHER, implied=("FOLL_LONGTERM",), open=True),
    "access_remote_vm": Entry(OTHER, {5: Shape(4)}, pinned=False),
    "__access_remote_vm": Entry(OTHER, {5: Shape(4), 6: Shape(5)}, pinned=False),
    "access_process_vm": Entry(OTHER, {5: Shape(4)}, pinned=False),
    "copy_remote_vm_str": Entry(OTHER, {5: Shape(4)}, pinned=False),
}

STEMS = (
    b"_user_page",
    b"memfd_pin_folios",
    b"iov_iter_get_pages",
    b"iov_iter_extract_",
    b"extract_iter_to_sg",
    b"get_vaddr_frames",
    b"vb2_create_framevec",
    b"ib_umem_get",
    b"access_remote_vm",
    b"access_process_vm",
    b"copy_remote_vm_str",
)
"""A file in which none of these is holds no name of API; long ones, which are looked for faster."""

PUTS = frozenset({"put_page", "put_pages", "release_pages", "folio_put", "folio_put_refs", "folios_put", "__free_page"})
UNPINS = frozenset({
    "unpin_user_page", "unpin_user_pages", "unpin_user_pages_dirty_lock", "unpin_user_page_range_dirty_lock",
    "unpin_folio", "unpin_folios", "unpin_user_folio", "unpin_user_folio_dirty_locked",
    "put_user_page", "put_user_pages", "put_user_pages_dirty", "put_user_pages_dirty_lock",
})  # fmt: skip
DIRTIES = frozenset({
    "set_page_dirty", "set_page_dirty_lock", "SetPageDirty", "folio_mark_dirty", "folio_mark_dirty_lock",
    "unpin_user_folio_dirty_locked", "unpin_user_pages_dirty_lock", "unpin_user_page_range_dirty_lock",
    "put_user_pages_dirty", "put_user_pages_dirty_lock", "bio_set_pages_dirty", "kvm_set_pfn_dirty", "mark_page_dirty",
    "kvm_release_pfn_dirty", "kvm_release_page_dirty",
})  # fmt: skip
"""Releases, of references and of pins; and what marks a page as written."""
