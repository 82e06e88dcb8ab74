"""Releases of the other family, and results in variables that cannot be negative: each with its twin."""

from __future__ import annotations

from pathlib import Path

import pytest

from audited import found

TAKE = """
int take(struct x *x, long at)
{{
    struct page *page;
    int n = {get}(at, 1, FOLL_WRITE, &page);

    if (n != 1)
        return -14;
    use(x, page);
    {put}
    return 0;
}}
"""


@pytest.mark.parametrize(
    ("kind", "get", "wrong", "right"),
    [
        ("PUTFORPIN", "pin_user_pages_fast", "put_page(page);", "unpin_user_page(page);"),
        ("UNPINFORGET", "get_user_pages_fast", "unpin_user_pages(&page, 1);", "put_page(page);"),
    ],
)
def test_a_release_of_the_other_family(tmp_path: Path, kind: str, get: str, wrong: str, right: str) -> None:
    """A note; not for the right one, not for another page, and not in one branch of an #if."""
    (one,) = found(tmp_path / "a", kind, driver=TAKE.format(get=get, put=wrong))
    assert one.severity == "note"
    assert "line 10: " in one.says
    other = wrong.replace("page)", "x->spare)").replace("&page,", "&x->spare,")
    branch = f"\n#ifdef OLD\n{wrong}\n#else\n{right}\n#endif\n"
    for number, put in enumerate((right, other, branch, f"page = x->spare; {wrong}")):
        assert found(tmp_path / str(number), kind, driver=TAKE.format(get=get, put=put)) == []


UNSIGNED = """
int take(struct x *x, long at, int count)
{{
    {type} n;

    n = pin_user_pages_fast(at, count, FOLL_WRITE, x->pages);
    if (n {test})
        return -14;
    return 0;
}}
"""


def test_an_errno_that_is_unsigned(tmp_path: Path) -> None:
    """`n < count` and `n < 0` miss it; `n != count` does not, nor does a signed one."""
    for number, test in enumerate(("< count", "< 0", "<= 0")):
        (one,) = found(tmp_path / str(number), "UNSIGNEDRET", driver=UNSIGNED.format(type="unsigned int", test=test))
        assert one.severity == "note"
    assert found(tmp_path / "a", "UNSIGNEDRET", driver=UNSIGNED.format(type="unsigned int", test="!= count")) == []
    assert found(tmp_path / "b", "UNSIGNEDRET", driver=UNSIGNED.format(type="long", test="< count")) == []
