"""The decision sites, a file a subsystem; all are declared, and so numbered, when this is imported."""

from __future__ import annotations

from pinhold.mm.sites import fork, gup, hugetlb, khugepaged, ksm, lazyfree, numa, pin, swap, thp, vma, wp
from pinhold.mm.sites.site import SITES, Site, decided

FILES = (fork, gup, hugetlb, khugepaged, ksm, lazyfree, numa, pin, swap, thp, vma, wp)

__all__ = ["FILES", "SITES", "Site", "decided"]
