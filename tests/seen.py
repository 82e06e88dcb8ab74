"""All that a view shows of what a scenario has pinned; it also runs in a guest, with nothing of the tests beside it."""

from __future__ import annotations

from typing import Any

from pinhold.inspect import rmap, vma
from pinhold.inspect.folio import page_at
from pinhold.inspect.scan import pinned
from pinhold.inspect.view import View

HELD = """scenario held
map P x anon pages 8
map P h thp
write P x 0x01
write P h 0x02
io_uring P x as p
io_uring P h as q
"""


def seen(view: View) -> list[dict[str, Any]]:
    """All that a view shows of what is pinned."""
    names = vma.mms(view)
    told = []
    for folio in pinned(view):
        places = list(rmap.places(view, folio))
        mms = [view.pointer("struct mm_struct *", place.mm) for place in places]
        told.append({
            "kind": folio.kind, "order": folio.order, "refcount": folio.refcount - folio.batched, "pins": folio.pins,
            "mapcount": page_at(view, folio.pfn).mapcount, "exclusive": page_at(view, folio.pfn).exclusive,
            "last": page_at(view, folio.pfn + folio.pages - 1).mapcount, "pfn": folio.pfn,
            "same": [place.pfn == folio.pfn for place in places],
            "names": [names[place.mm][1].partition("-")[0] for place in places],
            "addresses": [place.address for place in places],
            "entries": [
                (entry.level, entry.writable, entry.dirty)
                for mm, place in zip(mms, places, strict=True)
                for entry in [view.entry(mm, place.address)]
            ],
        })  # fmt: skip
    return told
