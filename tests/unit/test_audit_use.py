"""What `pinhold audit` sees of the use of pages: who writes to them, who marks them, and where they stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from audited import found

PIN = """
int take(struct x *x, long at)
{{
    int n = pin_user_pages_fast(at, 4, {gup}, x->pages);

    if (n < 4)
        goto out;
    {then}
    dma_map_page(x->dev, x->pages[0], 0, 4096, {way});
    return 0;
out:
    unpin_user_pages(x->pages, n);
    return -14;
}}
"""
DETACH = "void detach(struct x *x) { unpin_user_pages(x->pages, 4); }\n"


def pin(gup: str = "FOLL_WRITE", then: str = "", way: str = "DMA_FROM_DEVICE") -> str:
    """Code that pins, and maps the pages for a device."""
    return PIN.format(gup=gup, then=then, way=way)


def test_pages_that_the_device_only_reads_need_no_mark(tmp_path: Path) -> None:
    """6.1 wants LONGTERM|WRITE for a reading device, too: no NODIRTY there; the same for a writing one has it."""
    gup = "FOLL_LONGTERM | FOLL_WRITE"
    assert found(tmp_path / "a", "NODIRTY", "6.1", driver=pin(gup, way="DMA_TO_DEVICE") + DETACH) == []
    assert len(found(tmp_path / "b", "NODIRTY", "6.1", driver=pin(gup) + DETACH)) == 1


def test_another_file_may_mark_what_is_kept(tmp_path: Path) -> None:
    """get.c unpins on failure alone, put.c marks and unpins; a put.c that marks what is not of this structure does
    not count."""
    put = "void put(struct x *x) { unpin_user_pages_dirty_lock(x->pages, 4, 1); }\n"
    assert found(tmp_path / "a", "NODIRTY", get=pin(), put=put) == []
    other = put.replace("struct x", "struct other")
    assert len(found(tmp_path / "b", "NODIRTY", get=pin(), put=other)) == 1


@pytest.mark.parametrize("asks", ["if (is_dirty(x)) look(x);", "if (PageDirty(x->pages[0])) look(x);"])
def test_to_ask_is_not_to_mark(tmp_path: Path, asks: str) -> None:
    """is_dirty() marks nothing; x_mark_dirty() of another file may."""
    assert len(found(tmp_path / "a", "NODIRTY", driver=pin(then=asks) + DETACH)) == 1
    assert found(tmp_path / "b", "NODIRTY", driver=pin(then="x_mark_dirty(x);") + DETACH) == []


def test_a_function_of_the_file_is_known_by_what_it_does(tmp_path: Path) -> None:
    """set_dirty_bit() that marks no page marks none; one that calls set_page_dirty_lock() does."""
    named = "static void set_dirty_bit(struct x *x) {{ {} }}\n"
    flag, page = named.format("x->dirty = 1;"), named.format("set_page_dirty_lock(x->pages[0]);")
    text = pin(then="set_dirty_bit(x);") + DETACH
    assert len(found(tmp_path / "a", "NODIRTY", driver=flag + text)) == 1
    assert found(tmp_path / "b", "NODIRTY", driver=page + text) == []


def test_needlesswrite_is_of_what_the_kernel_does_not_write_either(tmp_path: Path) -> None:
    """Pages for a reading device alone need no FOLL_WRITE; where the kernel copies into them, they do."""
    assert len(found(tmp_path / "a", "NEEDLESSWRITE", driver=pin(way="DMA_TO_DEVICE"))) == 1
    copies = pin(then="memcpy_to_page(x->pages[0], 0, x->reply, 8);", way="DMA_TO_DEVICE")
    assert found(tmp_path / "b", "NEEDLESSWRITE", driver=copies) == []
    command = pin(then="dma_map_single(x->dev, x->command, 8, DMA_TO_DEVICE);", way="0").replace("dma_map_page", "give")
    assert found(tmp_path / "c", "NEEDLESSWRITE", driver=command) == []


HELD = """
int attach(struct x *x, long at)
{
    struct page *pages[4];
    int i, n = get_user_pages_fast(at, 4, FOLL_WRITE, pages);

    for (i = 0; i < n; i++)
        sg_set_page(&x->sgl[i], pages[i], 4096, 0);
    return n;
}
void detach(struct x *x)
{
    set_page_dirty_lock(sg_page(x->sgl));
    put_page(sg_page(x->sgl));
}
"""


def test_getheld_in_a_scatterlist(tmp_path: Path) -> None:
    """Pages of a local array that are put into an object's scatterlist stay there; in one of the stack they do not."""
    (one,) = found(tmp_path / "a", "GETHELD", driver=HELD)
    assert "kept in x->sgl, released by detach()" in one.says
    local = HELD.replace("struct page *pages[4];", "struct page *pages[4];\n    struct scatterlist sgl[4];", 1)
    assert found(tmp_path / "b", "GETHELD", driver=local.replace("&x->sgl[i]", "&sgl[i]", 1)) == []


KEPT = """
int take(struct x *x, long at)
{
    struct page **pages = alloc(4);
    int n = pin_user_pages_fast(at, 4, 0, pages);

    x->pages = pages;
    return n;
}
void let(struct x *x) { unpin_user_pages(x->pages, 4); }
"""


def test_who_releases_is_of_the_same_structure(tmp_path: Path) -> None:
    """x->pages by a local array: let() of struct x releases it, one of another structure does not."""
    (one,) = found(tmp_path / "a", "NOLONGTERM", driver=KEPT)
    assert "kept in x->pages, released by let()" in one.says
    other = KEPT.replace("void let(struct x *x)", "void let(struct other *x)")
    assert found(tmp_path / "b", "NOLONGTERM", driver=other) == []
