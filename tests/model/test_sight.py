"""What the model's observations tell of entries and pins."""

from tests.play import Play, row

from pinhold.scenario.observation import Observation, PageView


def _seen(text: str, **config: int) -> Observation:
    """After the last step, on a model that tracks soft-dirty."""
    return Play(row(), text, **{"soft_dirty": 1, **config}).session.observe()


def _page(text: str, page: int = 0, region: str = "x", proc: str = "P", **config: int) -> PageView:
    found = _seen(text, **config)
    return next(view for view in found.pages if (view.proc, view.region, view.page) == (proc, region, page))


def test_the_level_is_that_of_the_entry() -> None:
    """A base page by a PTE, a THP and a 2 MiB page by a PMD, 1 GiB by a PUD, and what maps nothing by none."""
    assert _page("map P x anon\nwrite P x 0x01").level == "pte"
    assert _page("map P x thp\nwrite P x 0x01").level == "pmd"
    assert _page("map P x thp\nwrite P x 0x01\nmprotect P x[1] read").level == "pte"
    assert _page("map P x hugetlb 2M\nwrite P x 0x01").level == "pmd"
    assert _page("map P x hugetlb 1G\nwrite P x 0x01").level == "pud"
    assert _page("map P x anon").level is None
    assert _page("map P x anon\nwrite P x 0x01\nswapout P x", swap=1).level is None


def test_a_swap_entry_keeps_whether_the_page_was_exclusive() -> None:
    """Until fork() shares it; of what was never mapped there is nothing to tell."""
    swapped = "map P x anon\nwrite P x 0x01\ndrain\nswapout P x"
    assert _page(swapped, swap=1).exclusive is True
    assert _page(swapped + "\nfork P C", swap=1).exclusive is False
    assert _page("map P x anon", swap=1).exclusive is None


def test_writable_and_dirty_are_the_entry_s() -> None:
    """A write makes both; fork() and mprotect() take the right and leave the dirty bit; a read makes neither."""

    def marks(text: str) -> tuple[bool | None, bool | None]:
        view = _page(text)
        return view.writable, view.dirty

    assert marks("map P x anon\nwrite P x 0x01") == (True, True)
    assert marks("map P x anon\nwrite P x 0x01\nfork P C") == (False, True)
    assert marks("map P x anon\nwrite P x 0x01\nmprotect P x read") == (False, True)
    assert marks("map P x memfd\nread P x") == (False, False)
    assert marks("map P x anon") == (None, None)


def test_soft_dirty_is_of_the_entry_or_of_the_vma() -> None:
    """New memory is soft-dirty whole, untouched pages too; after clear_refs only what is written again, and the swap
    entry keeps it; of hugetlb, pagemap tells the VMA's alone.  None where the kernel tracks none."""
    assert _page("map P x anon").soft_dirty is True
    cleared = "map P x anon pages 2\nwrite P x 0x01\nclear_softdirty P"
    assert _page(cleared).soft_dirty is False
    written = cleared + "\nwrite P x[0] 0x02"
    assert (_page(written).soft_dirty, _page(written, 1).soft_dirty) == (True, False)
    swapped = written + "\ndrain\nswapout P x"
    assert (_page(swapped, swap=1).soft_dirty, _page(swapped, 1, swap=1).soft_dirty) == (True, False)
    assert _page("map P x hugetlb 2M\nwrite P x 0x01\nclear_softdirty P\nwrite P x 0x02").soft_dirty is False
    assert _page("map P x anon\nwrite P x 0x01\nunmap P x").soft_dirty is False
    assert _page("map P x anon\nwrite P x 0x01", soft_dirty=0).soft_dirty is None


def test_anonymous_or_not_is_told_of_every_kind() -> None:
    """hugetlb is both, KSM pages are anonymous, the zero page and the page cache are not."""
    told = {
        "map P x anon\nwrite P x 0x01": ("anon", True),
        "map P x anon\nread P x": ("zero", False),
        "map P x memfd\nwrite P x 0x01": ("anon", True),
        "map P x memfd shared\nwrite P x 0x01": ("file", False),
        "map P x hugetlb 2M\nwrite P x 0x01": ("hugetlb", True),
        "map P x memfd_hugetlb 2M shared\nwrite P x 0x01": ("hugetlb", False),
        "map P x anon pages 2\nwrite P x 0x01\nksm P x[0] with P x[1]": ("ksm", True),
    }
    assert {text: (_page(text).kind, _page(text).anon) for text in told} == told


def test_nothing_is_write_protected_by_userfaultfd() -> None:
    """The language has no step that does it, and the model says so of every state."""
    for text in ("map P x anon", "map P x anon\nwrite P x 0x01"):
        assert _page(text).uffd_wp is False


def test_a_pin_tells_whose_it_is_what_it_holds_and_how_it_was_taken() -> None:
    """Also after fork() and after its owner has moved the memory; a copy has an owner alone."""
    found = _seen(
        "map P x anon pages 4\nwrite P x 0x01\nfork P C\npin C x[1:3] as p longterm write\nvmsplice P x[3] as q\n"
        "process_vm_readv C x[0] as c\nmremap C x to y"
    )
    told = {(view.pin, view.owner, view.range, view.flags) for view in found.pins}
    assert told == {
        ("p", "C", "x[1:3]", "FOLL_WRITE|FOLL_LONGTERM|FOLL_PIN"),
        ("q", "P", "x[3]", "FOLL_GET"),
        ("c", "C", None, None),
    }
