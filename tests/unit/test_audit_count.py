"""benchmarks/audit.py: the independent count of calls, by text alone; and what it says of packages."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace

import pytest

from audit import GUP, _earlier, count
from audit_dkms import row
from audited import audited

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


def test_the_last_6_1_before_the_backport() -> None:
    """The newest of its own releases whose patch level is below 191; of others, and where there is none, nothing."""
    apt = SimpleNamespace(versions=lambda _: ["6.1.192-3", "6.1.190-1", "6.1.187-1", "6.1.180-1~deb11u1"])
    assert _earlier(apt) == ["6.1=6.1.190-1"]  # type: ignore[arg-type]
    apt.versions = lambda _: ["6.1.192-3"]
    assert _earlier(apt) == []  # type: ignore[arg-type]


def test_a_packages_row(tmp_path: Path) -> None:
    """Name and version as in the file's name, calls, those whose flags are known, and what is no note."""
    pytest.importorskip("tree_sitter")
    text = "int f(struct page **p, int n) { return pin_user_pages_fast(0, n, FOLL_FORCE, p); }\n"
    made = audited(tmp_path, driver=text + text.replace("int f", "int g").replace("FOLL_FORCE", "flags_of(n)"))
    told = row("trixie", "x-dkms_1%3a2.0-1_all.deb", made)
    assert told == "| trixie | x-dkms | 1:2.0-1 | 2 | 1 | FORCE driver.c:1 f() |"
