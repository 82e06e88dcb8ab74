"""What madvise() can be told: one record an advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Advice:
    """One advice.

    number: as madvise() takes it (include/uapi/asm-generic/mman-common.h).  since: the release that has it first, where
    kernels older than that are still run.  config: what a kernel without it was built without.  pages: it is about the
    pages there and leaves VMAs as they are.  thp: there have to be THPs for it.
    """

    name: str
    number: int
    since: str | None = None
    config: str | None = None
    pages: bool = False
    thp: bool = False

    @property
    def constant(self) -> str:
        """The kernel's name."""
        return f"MADV_{self.name.upper()}"


ADVICE: Mapping[str, Advice] = {
    advice.name: advice
    for advice in (
        Advice("dontneed", 4, pages=True),
        Advice("pageout", 21, pages=True),
        Advice("populate_read", 22, since="5.14", pages=True),
        Advice("populate_write", 23, since="5.14", pages=True),
        Advice("hugepage", 14, thp=True),
        Advice("nohugepage", 15),
        Advice("dontfork", 10),
        Advice("dofork", 11),
        Advice("mergeable", 12, config="KSM"),
        Advice("unmergeable", 13, config="KSM"),
        Advice("free", 8, pages=True),
        Advice("collapse", 25, since="6.1", pages=True, thp=True),
    )
}
