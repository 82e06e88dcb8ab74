"""A real kernel's configuration, as the model takes it."""

from __future__ import annotations

from collections.abc import Mapping


def configuration(config: Mapping[str, str]) -> dict[str, int]:
    """What of the model's CONFIG and RESOURCES a kernel tells, by what it says of itself (TargetInfo.config) or of its
    pools (Result.pools).  What it does not tell is left out."""
    known = {
        "soft_dirty": _switch(config.get("MEM_SOFT_DIRTY"), off=("n",)),
        "thp": _switch(config.get("thp"), off=("never", "n")),
        "use_zero_page": _switch(config.get("huge_zero_page"), off=("n",)),
        "swap": _switch(config.get("swap_kib"), off=("0",)),
        "swap_sync": _switch(config.get("swap_synchronous"), off=("n",)),
        "swap_clusters": _switch(config.get("swap_rotates"), off=("y",)),
        "pt_reclaim": _switch(config.get("PT_RECLAIM"), off=("n",)),
        "hugetlb_2M": _number(config.get("hugetlb_2M"), {"none": 0}),
        "hugetlb_1G": _number(config.get("hugetlb_1G"), {"none": 0}),
        "swap_pages": _pages(config.get("swap_free_kib")),
        "memlock_pages": _pages(config.get("memlock_kib")),
        "ipc_lock": _switch(config.get("ipc_lock"), off=("n",)),
        "ksm": _switch(config.get("ksm_by_steps"), off=("n",)),
    }
    return {name: value for name, value in known.items() if value is not None}


def _switch(value: str | None, off: tuple[str, ...]) -> int | None:
    return None if value is None else int(value not in off)


def _number(value: str | None, words: Mapping[str, int]) -> int | None:
    """The number that a value begins with ("3 free of 16"), or what it is in words; None where it says neither."""
    if value is None or value in words:
        return None if value is None else words[value]
    first = value.partition(" ")[0]
    return int(first) if first.isdecimal() else None


def _pages(kib: str | None) -> int | None:
    pages = _number(kib, {"unlimited": -4})
    return None if pages is None else pages // 4
