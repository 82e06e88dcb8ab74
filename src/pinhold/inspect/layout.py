"""Where the kernel keeps what is looked at, asked of its types: members come and go, and versions do not tell which.

Offsets are in bytes; those of a folio go on over the struct pages of its tail pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from drgn import Program, Type, TypeKind, offsetof, sizeof

from pinhold.inspect.errors import CannotLook

_FLAGS = ("enum pageflags", "enum folioflags")
_MOST_PAGE = 1 << 10
"""Bytes of a struct page: 64, and more with debugging."""


@dataclass(frozen=True, slots=True)
class PageType:
    """How the word of _mapcount tells that a page is of a type: what it is under `mask`."""

    mask: int
    value: int

    def has(self, word: int) -> bool:
        return word & self.mask == self.value


@dataclass(frozen=True, slots=True)
class Layout:
    """size: of struct page; None: this kernel has no such member.

    head: the word that tells of a tail page where its head is; index: of the head page; order, dtor: bytes of large
    folios; pincount, entire_mapcount, large_mapcount, nr_pages_mapped: of large folios.
    flags: page flags by name, to their bit; types: page types by name ("slab", "hugetlb", ...).
    hugetlb_dtor: what `dtor` is of hugetlb folios, where it is what tells them.
    """

    size: int
    page_flags: int
    head: int
    mapping: int
    index: int
    private: int
    mapcount: int
    refcount: int
    order: int
    pincount: int
    entire_mapcount: int
    large_mapcount: int | None
    nr_pages_mapped: int | None
    dtor: int | None = None
    hugetlb_dtor: int | None = None
    flags: Mapping[str, int] = field(default_factory=dict)
    types: Mapping[str, PageType] = field(default_factory=dict)

    @property
    def pincount_page(self) -> int:
        """Which struct page of a large folio has the pincount; one with fewer has none (hpage_pincount_available())."""
        return self.pincount // self.size


def ask(program: Program) -> Layout:
    """Of this kernel.  Raises CannotLook where its types lack what every kernel that is known has."""
    page = type_of(program, "struct page")
    folio = type_of(program, "struct folio", needed=False)
    size = sizeof(page)
    if not 32 <= size <= _MOST_PAGE or size % 8:
        raise CannotLook(f"struct page has {size} bytes in this kernel's types: they are damaged")
    large = _Members(page, folio, size)
    flags = {name: bit for words in _FLAGS for name, bit in enumerators(program, words).items()}
    dtor = large.perhaps("_folio_dtor", ("compound_dtor", 1))
    types = _page_types(program)
    if not types and dtor is None and "PG_hugetlb" not in flags:
        types = _NAMELESS
    return Layout(
        size=size,
        page_flags=large.needed("flags"),
        head=large.needed("compound_info", "compound_head"),
        mapping=large.needed("mapping"),
        index=large.needed("index", "__folio_index"),
        private=large.needed("private"),
        mapcount=large.needed("_mapcount"),
        refcount=large.needed("_refcount"),
        order=large.needed("_folio_order", ("compound_order", 1), "_flags_1"),
        pincount=large.needed("_pincount", ("compound_pincount", 1), ("hpage_pinned_refcount", 2)),
        entire_mapcount=large.needed("_entire_mapcount", ("compound_mapcount", 1)),
        large_mapcount=large.perhaps("_large_mapcount"),
        nr_pages_mapped=large.perhaps("_nr_pages_mapped"),
        dtor=dtor,
        hugetlb_dtor=enumerators(program, "enum compound_dtor_id").get("HUGETLB_PAGE_DTOR"),
        flags=flags,
        types=types,
    )


_WORD = (1 << 32) - 1
_NAMELESS = {"hugetlb": PageType(0xF000_0800, 0xF000_0000)}
"""In 6.9, and in what stable kernels took of it (d99e3140a4d3): types are macros, which BTF does not have."""


def _page_types(program: Program) -> dict[str, PageType]:
    """A type is the highest byte (PGTY_slab, since 6.12), or a bit that is 0 where those of PAGE_TYPE_BASE are 1
    (PG_slab in 6.10, 46df8e73a4a3; other bits in 6.11)."""
    named = enumerators(program, "enum pagetype")
    base = named.get("PAGE_TYPE_BASE")
    if base is None:
        return {
            name.removeprefix("PGTY_"): PageType(0xFF << 24, value << 24)
            for name, value in named.items()
            if name.startswith("PGTY_") and 0 <= value <= 0xFF
        }
    return {
        name.removeprefix("PG_"): PageType((base | bit) & _WORD, base & _WORD)
        for name, bit in named.items()
        if name.startswith("PG_")
    }


class _Members:
    """Members of struct folio, and those of struct page that a kernel has instead, in a tail page of that number."""

    def __init__(self, page: Type, folio: Type | None, size: int) -> None:
        self._page, self._folio, self._size = page, folio, size

    def perhaps(self, *names: str | tuple[str, int]) -> int | None:
        for name in names:
            word, tail = name if isinstance(name, tuple) else (name, 0)
            for type_ in (None if tail else self._folio, self._page):
                at = offset(type_, word) if type_ is not None else None
                if at is not None:
                    return at + tail * self._size
        return None

    def needed(self, *names: str | tuple[str, int]) -> int:
        at = self.perhaps(*names)
        if at is None:
            words = " or ".join(name if isinstance(name, str) else name[0] for name in names)
            raise CannotLook(
                f"the types of this kernel have no {words} in struct page or struct folio: pinhold does not know it"
            )
        return at


def type_of(program: Program, name: str, needed: bool = True) -> Type | None:
    """A type by name.  None, or CannotLook where it is needed and not there."""
    try:
        return program.type(name)
    except LookupError:
        if needed:
            raise CannotLook(f"the types of this kernel have no {name}: they are damaged, or not a kernel's") from None
        return None


def offset(type_: Type, member: str) -> int | None:
    """Of a member in bytes, also within unnamed ones; None where the type has none of this name."""
    try:
        return int(offsetof(type_, member))
    except (LookupError, TypeError):
        return None


def enumerators(program: Program, name: str) -> dict[str, int]:
    """Of an enumeration; nothing where the kernel has none of this name."""
    type_ = type_of(program, name, needed=False)
    if type_ is None or type_.kind != TypeKind.ENUM:
        return {}
    return {each.name: each.value for each in type_.enumerators or ()}
