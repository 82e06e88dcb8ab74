"""Probes of the rules of mappings."""

from __future__ import annotations

from typing import Any

from pinhold.mm import flags as k
from pinhold.mm import rules
from play import Play, Row
from rule_probes.registry import probe


@probe(
    {
        "none": (False, False, False),
        "exclusive_dirty": (True, False, False),
        "exclusive": (True, True, True),
    }
)
def mprotect_upgrade(chosen: Row) -> Any:
    """Which entries come out of mprotect() writable: a written page, a clean one from swap, a THP."""
    toggle = "mprotect P x read\nmprotect P x rw\n"
    written = Play(chosen, f"map P x anon\nwrite P x 0x11\n{toggle}").writable()
    clean = Play(chosen, f"map P x anon\nwrite P x 0x11\nswapout P x\nread P x\n{toggle}").writable()
    return written, clean, Play(chosen, f"map P x thp\nwrite P x 0x11\n{toggle}").writable()


@probe({"single": ((False, True), (False, False)), "rows": ((True, True), (True, True))})
def mprotect_batch(chosen: Row) -> Any:
    """Of a THP that base pages map the second page was written after MADV_FREE; it is made read-only: is its first page
    dirty, and the second, and is each of them soft-dirty again, though nothing was since clear_refs?"""
    whole = {"madv_free_large": rules.BY_NAME["madv_free_large"].names.index("whole")}
    split = "map P x thp\nwrite P x 0x11\nmprotect P x[0] read\nmprotect P x rw\n"
    text = f"{split}madvise P x free\nwrite P x[1] 0x22\nclear_softdirty P\nmprotect P x read\n"
    played = Play({**chosen, **whole}, text, soft_dirty=1)
    entries = [played.entry(page=page) for page in (0, 1)]
    return tuple(tuple(entry & bit != 0 for entry in entries) for bit in (k.PTE_DIRTY, k.PTE_SOFT_DIRTY))


@probe({"no": False, "yes": True})
def soft_dirty_skips_pinned(chosen: Row) -> Any:
    """Whether a page pinned for writing stays writable when soft-dirty is cleared."""
    return Play(chosen, "map P x anon\nwrite P x 0x11\npin P x as p write longterm\nclear_softdirty P\n").writable()


@probe({"no": k.EFAULT, "yes": 0})
def mremap_several_vmas(chosen: Row) -> Any:
    """The errno of mremap() of a range of which one page has other rights."""
    text = "map P x anon pages 3\nwrite P x 0x11\nmprotect P x[1] read\nmremap P x to y\n"
    return Play(chosen, text).errnos[-1]


@probe({"no": (True, True), "yes": (False, True)})
def mremap_realigns(chosen: Row) -> Any:
    """A mapping that begins within a page table and reaches its end is moved, and another that does not begin there:
    is a page of it, which was not soft-dirty, so afterwards?"""
    text = "map P x anon pages 1024\nunmap P x[:4]\nwrite P x[4:] 0x11\nclear_softdirty P\n"
    moves = ("mremap P x[4:512] to y\n", "mremap P x[5:512] to y\n")
    return tuple(Play(chosen, text + move, soft_dirty=1).entry("y") & k.PTE_SOFT_DIRTY != 0 for move in moves)


@probe({"no": False, "yes": True})
def dontneed_frees_tables(chosen: Row) -> Any:
    """A THP that was mapped by PTEs is discarded page by page, and written again: by a huge entry?"""
    text = "map P x thp\nwrite P x 0x11\nmadvise P x[0] dontneed\nmadvise P x dontneed\nwrite P x 0x22\n"
    return Play(chosen, text).entry() & k.PTE_PSE != 0


@probe({"no": [(False, False)] * 3, "yes": [(True, True), (True, True), (False, False)]})
def read_fault_dirty(chosen: Row) -> Any:
    """Whether a page of a memfd that was read is dirty, and soft-dirty, in a shared mapping: that itself was asked for,
    and one by fault-around, which was asked for in another mapping; and in a private one."""
    maps = "map P x memfd pages 2 shared\nread P x[1]\nmap P y of x shared\nmap P z of x private\n"
    played = Play(chosen, f"{maps}read P y[0]\nread P z[0]\n", soft_dirty=1)
    entries = played.entry("x", page=1), played.entry("y", page=1), played.entry("z")
    return [tuple(entry & bit != 0 for bit in (k.PTE_DIRTY, k.PTE_SOFT_DIRTY)) for entry in entries]


@probe({"yes": (False, False, False), "no": (True, True, True)})
def zap_drains(chosen: Row) -> Any:
    """A page that MADV_FREE put into the batch, and that a child shared: is it copied by a write, where the child has
    ended, unmapped it, or discarded it?"""
    begin = "map P x anon\nwrite P x 0x11\nmadvise P x free\nfork P C\n"
    copied = []
    for end in ("exit C\n", "unmap C x\n", "madvise C x dontneed\n"):
        played = Play(chosen, f"{begin}{end}process_vm_writev P x 0x22\n", stop=4)
        before = played.frame()
        copied.append(played.play().frame() != before)
    return tuple(copied)


@probe({"neighbour_has": ("none", "present"), "either_has": ("present", "present")})
def vma_merges_anon(chosen: Row) -> Any:
    """A written page takes the advice of the rest, of which nothing is written, and the other way round: is it one VMA,
    so that fork() copies the zero page of the rest as well?"""
    begin = "map P x anon pages 2\nmadvise P x[1] mergeable\nread P x[1]\nwrite P x[0] 0x11\n"
    changes = ("madvise P x[0] mergeable\n", "madvise P x[1] unmergeable\n")
    return tuple(Play(chosen, f"{begin}{change}fork P C\n").state(page=1, process="C") for change in changes)


@probe({"no": "present", "yes": "none"})
def mprotect_unaccounts(chosen: Row) -> Any:
    """The same, where a written part is read-only and the rest becomes so."""
    begin = "map P x anon pages 2\nmadvise P x[1] mergeable\nread P x[1]\nwrite P x[0] 0x11\n"
    change = "mprotect P x[0] read\nmadvise P x[1] unmergeable\nmprotect P x[1] read\n"
    return Play(chosen, f"{begin}{change}fork P C\n").state(page=1, process="C")


@probe(
    {
        "absent": (k.EINVAL, "none"),
        "each_vma": (k.ENOMEM, "present"),
        "to_a_hole": (k.ENOMEM, "none"),
    }
)
def madv_populate(chosen: Row) -> Any:
    """The errno of MADV_POPULATE_WRITE of a range with a hole, and whether it gets to what is behind it."""
    played = Play(chosen, "map P x anon pages 3\nunmap P x[1]\nmadvise P x populate_write\n")
    return played.errnos[-1], played.state(page=2)


@probe(
    {
        "absent": (k.EINVAL, 0, 0),
        "dirty_if_writable": (0, False, True),
        "dirty": (0, True, True),
    }
)
def uffd_continue(chosen: Row) -> Any:
    """The errno of UFFDIO_CONTINUE, and whether it maps a page of a private and of a shared mapping dirty."""
    played = [Play(chosen, f"map P x memfd {how}\nuffdio_continue P x\n") for how in ("private", "shared")]
    return played[0].errnos[-1], *(p.entry() & k.PTE_DIRTY != 0 for p in played)


@probe({"no": (k.ENOENT, "none"), "yes": (k.ENOENT, "present")})
def uffd_prepares_first(chosen: Row) -> Any:
    """UFFDIO_CONTINUE of a private mapping and of the hole behind it: its errno, and whether fork() copies the entry of
    a page that is read afterwards."""
    text = "map P x memfd private pages 2\nunmap P x[1]\nuffdio_continue P x\nread P x[0]\nfork P C\n"
    played = Play(chosen, text)
    return played.errnos[2], played.state(process="C")
