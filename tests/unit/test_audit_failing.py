"""What `pinhold audit` takes for a path of failure that leaves pages, and what it does not: each with its twin."""

from __future__ import annotations

from pathlib import Path

import pytest

from audited import found

LOOP = """
int take(struct x *x, long at, int want, struct page **pages)
{{
    int nr = 0, i, ret;

    while (nr < want) {{
        ret = pin_user_pages_fast(at, 1, FOLL_WRITE, &pages[nr]);
        if (ret < 0)
            goto undo;
        if (ret != 1) {{
            ret = -14;
            goto undo;
        }}
        {check}
        nr++;
    }}
    return 0;
undo:
    for (i = 0; i < nr; i++)
        unpin_user_page(pages[i]);
    return ret;
}}
"""


def test_a_call_may_be_asked_twice(tmp_path: Path) -> None:
    """Both tests of its result leave before there is a page; a test of something else, even in the same variable,
    leaves it behind."""
    assert found(tmp_path / "a", "LASTLEAK", driver=LOOP.format(check="")) == []
    for number, check in enumerate(("if (bad(x)) goto undo;", "ret = look(x); if (ret) goto undo;")):
        assert len(found(tmp_path / str(number), "LASTLEAK", driver=LOOP.format(check=check))) == 1


FIELD = """
int region_take(struct region *r, long at)
{
    r->nr = pin_user_pages_fast(at, r->want, FOLL_WRITE, r->pages);
    if (r->nr != r->want)
        return -14;
    return start(r);
}
"""
FREE = """
void region_free(struct region *r)
{
    unpin_user_pages_dirty_lock(r->pages, r->nr, 1);
}
"""


def test_a_release_in_another_file_of_the_folder(tmp_path: Path) -> None:
    """region_free() of main.c lets go what pin.c keeps; without it, or of another structure, the pages stay."""
    assert found(tmp_path / "a", "ERRLEAK", pin=FIELD, main=FREE) == []
    assert [one.severity for one in found(tmp_path / "b", "ERRLEAK", pin=FIELD, main="int x;\n")] == ["warning"]
    other = FREE.replace("struct region", "struct buffer")
    assert len(found(tmp_path / "c", "ERRLEAK", pin=FIELD, main=other)) == 1


def test_another_structures_pages_are_not_these(tmp_path: Path) -> None:
    """In the same file, too: the field of that name in another structure; and a release through a function of the
    file counts."""
    assert len(found(tmp_path / "a", "ERRLEAK", pin=FIELD + FREE.replace("struct region", "struct buffer"))) == 1
    through = "static void let(struct page **p, int n) { unpin_user_pages(p, n); }\n"
    free = "void region_free(struct region *r) { let(r->pages, r->nr); }\n"
    assert found(tmp_path / "b", "ERRLEAK", pin=through + FIELD + free) == []


TEST = """
int take(struct x *x, long at, int n)
{{
    struct page **p = alloc(n);
    int got;

    {test}
    start(x, p);
    unpin_user_pages_dirty_lock(p, n, 1);
    return 0;
}}
"""
CALL = "pin_user_pages_fast(at, n, FOLL_WRITE, p)"


@pytest.mark.parametrize(
    "test",
    [
        f"got = {CALL}; if (n != got) {{ CLEAN return -14; }}",
        f"got = {CALL}; if (n > got) {{ CLEAN return -14; }}",
        f"got = {CALL}; if (unlikely(got < n)) {{ CLEAN return -14; }}",
        f"if ({CALL} != n) {{ CLEAN return -14; }}",
        f"got = {CALL}; if (got == n) {{ start(x, p); return 0; }} CLEAN return -14;",
        f"got = {CALL}; if (got == n) {{ start(x, p); }} else {{ CLEAN return -14; }}",
    ],
)
def test_ways_to_ask_for_a_short_count(tmp_path: Path, test: str) -> None:
    """Each leaves the pages that were got, unless they are released there."""
    text = TEST.format(test=test).replace("unpin_user_pages_dirty_lock(p, n, 1)", "finish(x)")
    assert len(found(tmp_path / "a", "ERRLEAK", driver=text.replace("CLEAN", ""))) == 1
    assert found(tmp_path / "b", "ERRLEAK", driver=text.replace("CLEAN", "unpin_all(p);")) == []


@pytest.mark.parametrize(
    "other", ["put_device(x->dev);", "clear_bit(1, &x->flags);", "put_user(0, x->at);", "forget(x);"]
)
def test_what_is_named_so_and_releases_no_pages(tmp_path: Path, other: str) -> None:
    """put_device() and clear_bit() are no release of pages; what is named so and gets the pages is."""
    text = TEST.format(test=f"got = {CALL}; if (got != n) {{ CLEAN return -14; }}")
    assert len(found(tmp_path / "a", "ERRLEAK", driver=text.replace("CLEAN", other))) == 1
    assert found(tmp_path / "b", "ERRLEAK", driver=text.replace("CLEAN", "x_put_pages(p, got);")) == []


def test_a_count_for_the_caller_and_another_try_leak_nothing(tmp_path: Path) -> None:
    """The caller has the array, and is told how many; a jump back goes on with the rest.  An errno tells nobody."""
    wrapper = """
    static int some(long at, int n, struct page **p)
    {
        int got = pin_user_pages_fast(at, n, FOLL_WRITE, p);

        if (got < n)
            return got;
        return n;
    }
    """
    assert found(tmp_path / "a", "ERRLEAK", driver=wrapper) == []
    assert len(found(tmp_path / "b", "ERRLEAK", driver=wrapper.replace("return got;", "return -14;"))) == 1
    again = TEST.format(test=f"again: got = {CALL}; if (got < n) {{ p += got; n -= got; goto again; }}")
    assert found(tmp_path / "c", "ERRLEAK", driver=again) == []
    away = again.replace("goto again; }", "goto out; }").replace("return 0;\n", "return 0;\nout:\n    return -14;\n")
    assert len(found(tmp_path / "d", "ERRLEAK", driver=away)) == 1


COUNTS = """
int take(struct x *x, long at, int n)
{{
    int got;

    if (!n)
        return 0;
    got = pin_user_pages_fast(at, n, FOLL_WRITE, x->pages);
    if (got < n) {{
        note(x);
        return got;
    }}
    return {done};
}}
"""


def test_nothing_asked_for_is_nothing_got(tmp_path: Path) -> None:
    """`if (!n) return 0;` makes no function whose success is 0; `return 0` after the test does."""
    assert found(tmp_path / "a", "POSITIVERET", driver=COUNTS.format(done="n")) == []
    assert len(found(tmp_path / "b", "POSITIVERET", driver=COUNTS.format(done="0"))) == 1
