"""mm/gup: reliable R/O long-term pinning in COW mappings, as a rule of one's own: what the patch changes in Linux 6.1.

A read-only long-term pin breaks copy-on-write of everything that a COW mapping maps, not only of anonymous pages.
"""

from pinhold.mm.flags import FOLL_LONGTERM, FOLL_PIN, FOLL_WRITE, NO_VMA
from pinhold.mm.folio import folio_test_anon, page_folio
from pinhold.mm.kernel import kernel
from pinhold.mm.rmap import page_anon_exclusive
from pinhold.mm.state import State
from pinhold.mm.vma import is_cow_mapping


@kernel
def gup_must_unshare(m: State, vma: int, flags: int, page: int) -> bool:
    """Whether a read-only pin of `page` has to break COW first."""
    if flags & FOLL_WRITE or not flags & FOLL_PIN:
        return False
    if folio_test_anon(m, page_folio(m, page)):
        return not page_anon_exclusive(m, page)
    if not flags & FOLL_LONGTERM:
        return False  # a short pin is a snapshot
    if vma == NO_VMA:
        return True  # GUP-fast knows no VMA: the slow path looks it up
    return is_cow_mapping(m.vma_flags[vma])
