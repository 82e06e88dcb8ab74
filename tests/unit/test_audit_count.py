"""benchmarks/audit.py: the independent count of calls, by text alone."""

from __future__ import annotations

from textwrap import dedent

from audit import GUP, count

TEXT = dedent("""\
    long pin_user_pages(unsigned long start, unsigned long nr, unsigned int flags, struct page **pages);
    static inline int get_user_pages_fast(unsigned long start, int nr, unsigned int flags, struct page **pages)
    {
        return pin_user_pages(start, nr, flags, pages);
    }
    #define pin_user_pages_fast(a, b, c, d) \\
        pin_user_pages(a, b, c, d)
    /* pin_user_pages(1); */
    // pin_user_pages(2);
    char *text = "pin_user_pages(3)";
    int f(void)
    {
    #ifdef X
        int n = get_user_pages_fast(0, 1, 0,
                                    p);
    #endif
        if (pin_user_pages_remote (mm, 0, 1, 0, p, NULL) != 1)
            return pin_user_pages_unlocked(0, 1, p, 0);
        return my_pin_user_pages(0);
    }
""")


def test_calls_alone_are_counted() -> None:
    """No prototype, no definition, no comment, no string and no longer name; the lines are those of the text."""
    assert [(line, name) for _, line, name in count("x.c", TEXT, GUP)] == [
        (4, "pin_user_pages"),
        (14, "get_user_pages_fast"),
        (17, "pin_user_pages_remote"),
        (18, "pin_user_pages_unlocked"),
    ]
