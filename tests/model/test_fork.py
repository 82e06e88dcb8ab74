"""fork(): what is shared, copied, left out."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from play import Play, row, verdict

PINNED = "map P x anon\nwrite P x 0x11\npin P x as p write longterm\nfork P C\n"


@pytest.mark.parametrize("release", ["5.10", "5.10.262", "6.1", "6.2", "6.12", "6.18"])
@pytest.mark.parametrize("memory", ["anon", "thp"])
def test_a_pinned_page_stays_its_owners(release: str, memory: str) -> None:
    """The child gets a copy at once; the parent's entry stays writable, its next write reaches the pin."""
    text = PINNED.replace("anon", memory)
    assert verdict(row(release), f"{text}write P x 0xff\nexpect p sees P x\nexpect C x 0x11\n") == "held"
    played = Play(row(release), text)
    assert played.writable()
    assert played.frame() != played.frame(process="C")


def test_a_pinned_thp_is_copied_page_by_page() -> None:
    """One pinned page of a THP splits the mapping, and the child gets 512 small copies."""
    played = Play(row("6.2"), "map P x thp\nwrite P x 0x11\npin P x[3] as p write\nfork P C\n")
    assert not played.entry() & k.PTE_PSE
    child = {played.frame(page=page, process="C") for page in range(512)}
    assert len(child) == 512
    assert all(played.m.folio_order[frame] == 0 for frame in child)


def test_what_is_not_pinned_is_shared_read_only() -> None:
    """Both entries lose their write permission, the page its mark."""
    played = Play(row("6.2"), "map P x anon\nwrite P x 0x11\nfork P C\n")
    assert played.frame() == played.frame(process="C")
    assert not (played.entry() | played.entry(process="C")) & k.PTE_RW
    assert not played.view().exclusive


def test_a_mapping_that_was_only_read_is_left_out() -> None:
    """Zero pages and file pages can be faulted in again; a huge zero mapping has an anon_vma and is copied."""
    for memory in ("zeropage", "memfd private", "memfd shared"):
        assert Play(row("6.2"), f"map P x {memory}\nread P x\nfork P C\n").state(process="C") == "none"
    assert Play(row("6.2"), "map P x hugezero\nread P x\nfork P C\n").view(process="C").kind == "zero"


def test_madv_dontfork_keeps_a_mapping_from_the_child() -> None:
    """And MADV_DOFORK gives it back."""
    played = Play(row("6.2"), "map P x anon\nwrite P x 0x11\nmadvise P x dontfork\nfork P C\nread C x\n")
    assert played.errnos[-1] == k.EFAULT
    text = "map P x anon\nwrite P x 0x11\nmadvise P x dontfork\nmadvise P x dofork\nfork P C\nread C x\n"
    assert Play(row("6.2"), text).errnos[-1] == 0


def test_a_swapped_page_is_exclusive_for_neither_after_fork() -> None:
    """The mark in the swap entry is cleared on both sides."""
    text = "map P x anon\nwrite P x 0x11\nswapout P x\nfork P C\nread P x\nread C x\n"
    played = Play(row("6.2"), text)
    assert played.frame() == played.frame(process="C")
    assert not played.view().exclusive


def test_5_10_copies_a_pinned_page_cache_page_only_before_the_backport() -> None:
    """Mainline 5.10 gives the child an anonymous copy, 5.10.153 shares the page."""
    text = "map P x memfd private pages 2\nwrite P x[0] 0x11\nread P x[1]\npin P x[1] as p\nfork P C\n"
    assert Play(row("5.10"), text).view(page=1, process="C").kind == "anon"
    assert Play(row("5.10.152"), text).view(page=1, process="C").kind == "anon"
    assert Play(row("5.10.153"), text).view(page=1, process="C").kind == "file"


def test_without_the_sequence_count_gup_fast_pins_behind_forks_back() -> None:
    """5.10.3 against 5.10.4, where 57efa1fe5957 came."""
    from rule_probes.gup import write_protect_seq

    assert write_protect_seq(row("5.10.3"))[0] == "pinned"
    assert write_protect_seq(row("5.10.4"))[0] == "waits"


@pytest.mark.parametrize("release", ["5.10", "6.12", "7.3"])
def test_the_child_has_a_table_where_its_parent_has_one(release: str) -> None:
    """Also one without entries, in which no huge page is faulted in; where the parent has none, it has none."""
    empty = "map P x thp\nmadvise P x nohugepage\nwrite P x[0] 1\nmadvise P x[0] free\nmadvise P x[0] pageout\n"
    then = "madvise P x hugepage\nfork P C\nread C x[1]\n"
    assert not Play(row(release), f"{empty}{then}").entry(process="C")
    assert Play(row(release), f"map P x thp\nwrite P x 1\nmadvise P x dontneed\n{then}").entry(process="C")
