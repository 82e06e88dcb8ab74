"""mm: extend FAULT_FLAG_UNSHARE support to anything in a COW mapping, as a rule of one's own: what 6.1 has not.

gup_must_unshare.py needs it: that one asks for unshare faults on pages that are not anonymous, which 6.1 leaves as they
are, and so asks again, for ever.
"""

from pinhold.mm.file import folio_mark_dirty
from pinhold.mm.flags import FAULT_DONE, FAULT_FLAG_UNSHARE, FAULT_WROTE, VM_MAYSHARE, VM_SHARED
from pinhold.mm.folio import folio_get, folio_test_anon, page_folio
from pinhold.mm.kernel import kernel
from pinhold.mm.pgtable import pte_pfn, pte_special
from pinhold.mm.rmap import set_page_anon_exclusive
from pinhold.mm.state import State
from pinhold.mm.task import finish, goto
from pinhold.mm.vma import anon_vma_prepare
from pinhold.mm.wp import FAULT_COPY, wp_can_reuse, wp_page_reuse


@kernel
def do_wp_page(m: State, task: int, act: int, vma: int, slot: int) -> int:
    """A write, or an unshare, meets a read-only entry: reuse the page, share it writably, or copy it."""
    entry = m.pte[slot]
    unshare = m.act_flags[act] & FAULT_FLAG_UNSHARE
    page = pte_pfn(entry)
    normal = not pte_special(entry)
    folio = page_folio(m, page)
    if normal and folio_test_anon(m, folio):
        if wp_can_reuse(m, page):
            set_page_anon_exclusive(m, page)
            if unshare:
                return finish(m, task, FAULT_DONE)
            wp_page_reuse(m, vma, slot)
            return finish(m, task, FAULT_WROTE)
    elif m.vma_flags[vma] & (VM_SHARED | VM_MAYSHARE):
        if unshare:
            return finish(m, task, FAULT_DONE)
        folio_mark_dirty(m, folio)
        wp_page_reuse(m, vma, slot)
        return finish(m, task, FAULT_WROTE)
    anon_vma_prepare(m, vma)
    m.act_page[act] = page
    if normal:
        folio_get(m, folio)
    return goto(m, act, FAULT_COPY)
