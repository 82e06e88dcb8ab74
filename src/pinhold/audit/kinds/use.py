"""Kinds about what is done with the pages: GETHELD, NODIRTY, NEEDLESSWRITE."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pinhold.audit import lifetime
from pinhold.audit.finding import NOTE, WARNING, Finding
from pinhold.audit.kinds.context import Context, by_flags, found
from pinhold.audit.reach import conditions_of
from pinhold.audit.sites import Site
from pinhold.audit.syntax import line
from pinhold.audit.unit import Function

_TO_DEVICE = re.compile(r"\b(?:DMA_TO_DEVICE|PCI_DMA_TODEVICE)\b")
_FROM_DEVICE = re.compile(
    r"\b(?:DMA_FROM_DEVICE|DMA_BIDIRECTIONAL|PCI_DMA_FROMDEVICE|PCI_DMA_BIDIRECTIONAL|DMA_NONE)\b"
)
_ACCESS = re.compile(
    r"\b(?:dma_map_\w+|pci_map_\w+|sg_alloc_table_from_pages\w*|sg_set_page|iommu_map\w*|vmap|kmap\w*|page_address|"
    r"page_to_phys|page_to_pfn|page_to_virt)\b"
)
_MAPPED = re.compile(r"\b(?:dma_map_(?:page|sg|sgtable|phys|resource)|pci_map_(?:page|sg))\w*\s*\(")
_WRITTEN = re.compile(
    r"\b(?:memcpy_to_page|memset_page|memzero_page|copy_page_from_iter\w*|copy_to_user_page|kmap\w*|vmap|page_address|"
    r"page_to_virt|clear_highpage|zero_user\w*)\s*\("
)
"""How pages are mapped for a device, and how the kernel itself comes to their data."""
_ASKS = re.compile(r"(?:^|_)(?:is|test|was|has|can)_|^PageDirty$|^folio_test|balance_dirty")
_NOT_DRIVERS = re.compile(r"mm/|kernel/|lib/|fs/proc/|fs/exec|arch/[^/]+/mm/|virt/|security/")


def getheld(context: Context, site: Site) -> Iterator[Finding]:
    """References of get_user_pages() that a driver keeps, and whose data it or its device accesses."""
    if site.pin or not site.gup or context.core(site):
        return
    if context.reading.tree.kernel and _NOT_DRIVERS.match(site.path):
        return
    stays = context.kept(site)
    if stays is not None and _has_twin(context, site):
        return
    if stays is None or not _ACCESS.search(site.unit.source.decode("latin1")):
        return
    write = any("FOLL_WRITE" in one.flags for one in site.value)
    says = f"the pages are {stays.words}, and their data is accessed: fork() and writeback pass over pins alone"
    call = site.call.name.replace("get_user_pages", "pin_user_pages") if "get_user_pages" in site.call.name else ""
    advice = [
        f"call {call or 'pin_user_pages'}() and release by unpin_user_pages{'_dirty_lock' if write else ''}(), with "
        "FOLL_LONGTERM if users decide how long"
    ]
    yield found(context, site, "GETHELD", WARNING, says, advice=advice)


def nodirty(context: Context, site: Site) -> Iterator[Finding]:
    """Pages to be written, which the file releases, and never marks dirty."""
    if not site.gup or site.keeps_none or context.core(site):
        return
    if context.reading.tree.kernel and _NOT_DRIVERS.match(site.path):
        return
    called = set(site.unit.called)
    if not called & context.names.releases or called & context.names.dirties or _dirties(context, site):
        return
    if any(needlesswrite(context, site)) or _to_device_alone(site) or not _accessed(context, site):
        return
    if _dirtied_beside(context, site):
        return
    for flags, alternatives in by_flags(site).items():
        if "FOLL_WRITE" not in flags or not all(flag.startswith("FOLL_") for flag in flags):
            continue
        answer = context.answer(site, flags)
        refused = answer is not None and answer.shared_file.isupper()
        says = "pages are pinned to be written, and the file that releases them marks none dirty"
        if refused:
            says += f"; of files on disks {context.release} refuses such a pin, so swap and tmpfs are what can lose it"
        else:
            says += f"; {context.release} pins shared pages of files on disks, whose data may be lost"
        advice = ["release by unpin_user_pages_dirty_lock(pages, count, written)" if site.pin else
                  "set_page_dirty_lock() each page before put_page()"]  # fmt: skip
        yield found(
            context, site, "NODIRTY", NOTE if refused else WARNING, says, alternatives=alternatives, advice=advice
        )
        return


def _has_twin(context: Context, site: Site) -> bool:
    """Whether it is one branch of an #if that nobody decides, and the same function pins in another."""
    function = site.call.function
    if function is None or not any(one.text == "#if" for one in conditions_of(site.call.node, function)):
        return False
    return any(other.pin and other.gup and other.call.function is function for other in context.reading.sites)


def _accessed(context: Context, site: Site) -> bool:
    """Whether somebody may access the data: pages that are looked up and let go at once are not written."""
    function, pages = site.call.function, lifetime.base(site.pages)
    if function is None or pages is None or context.kept(site) is not None:
        return True
    if _ACCESS.search(site.unit.source.decode("latin1")):
        return True
    return any(
        line(argument) == line(pages)
        for call in function.calls
        if call.name not in context.names.entries
        and not lifetime.releases(call, context.names, line(pages))
        and "alloc" not in call.name
        for argument in call.arguments
    )


def _dirties(context: Context, site: Site) -> bool:
    """By other means than the functions that are known: one that is named so, and is no question, nor one of these
    sources that marks nothing."""
    known = context.reading.evaluator.functions
    for name in site.unit.called:
        if "bio_release_pages" in name:
            return True
        if "dirty" in name.lower() and not _ASKS.search(name):
            own = known.get(name, [])
            if not own or any(one.called & context.names.dirties or _deeper(one) for one in own):
                return True
    return False


def _deeper(function: Function) -> bool:
    """Whether it calls something else that is named so."""
    return any("dirty" in name.lower() and not _ASKS.search(name) for name in function.called)


def _dirtied_beside(context: Context, site: Site) -> bool:
    """Whether another file of the folder has the structure and the field that pages stay in, and marks pages dirty."""
    stays = context.kept(site)
    field = lifetime.field_of(stays.where) if stays is not None else ""
    if stays is None or not field:
        return False
    named = re.compile(rb"\bstruct\s+" + stays.owner.encode() + rb"\b")
    taken = re.compile(rb"(?:->|\.)\s*" + field.encode() + rb"\b")
    marks = re.compile("|".join(rf"\b{name}\b" for name in sorted(context.names.dirties)).encode())
    beside = context.reading.tree.beside(site.path, field, lifetime.MOST_BESIDE)
    return any(marks.search(text) and named.search(text) and taken.search(text) for text in beside.values())


def _to_device_alone(site: Site) -> bool:
    """Whether all that the file does with pages is to let devices read them."""
    source = site.unit.source.decode("latin1")
    return bool(
        _TO_DEVICE.search(source)
        and _MAPPED.search(source)
        and not _FROM_DEVICE.search(source)
        and not _WRITTEN.search(source)
    )


def needlesswrite(context: Context, site: Site) -> Iterator[Finding]:
    """Pages are got for writing alone, and go to the device alone."""
    function = site.call.function
    if function is None or not site.gup or context.core(site) or not site.value:
        return
    if not all("FOLL_WRITE" in one.flags and one.known for one in site.value):
        return
    why = ""
    if _TO_DEVICE.search(function.text) and _to_device_alone(site):
        why = "all that the file does with them is DMA to the device"
    elif _write_handler(site):
        why = f"{function.name}() is a write(2), which reads its caller's memory"
    if not why:
        return
    less = site.value[0].flags - {"FOLL_WRITE"}
    longterm = "FOLL_LONGTERM" in less
    answer = context.answer(site, less) if longterm else None
    if answer is not None and answer.losing:  # then it is FOLL_WRITE that makes the pin reliable
        return
    says = f"FOLL_WRITE, and {why}: memory that may only be read is refused, and what is read gets copied"
    yield found(
        context, site, "NEEDLESSWRITE", WARNING, says, alternatives=site.value[:1], advice=["leave FOLL_WRITE out"]
    )


def _write_handler(site: Site) -> bool:
    """Whether the call is in a file's write(): (struct file *, const char __user *, size_t, loff_t *)."""
    function = site.call.function
    if function is None or len(function.parameters) != 4:
        return False
    types = [one.type for one in function.parameters]
    return "const char" in types[1] and "size_t" in types[2] and "loff_t" in types[3]
