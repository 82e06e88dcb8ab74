"""`pinhold audit` and macros: a release decides them, several count under conditions, other files have their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from audited import flags, only, reading, write
from pinhold.audit.files import find
from pinhold.audit.sites import sites

L, LW = "FOLL_LONGTERM", "FOLL_LONGTERM|FOLL_WRITE"
CALL = "int f(struct region *r, int write) { return pin_user_pages_fast(0, 4, %s, r->pages); }\n"
OLD, NEW = "6.1", "6.12"


@pytest.mark.parametrize(("release", "meant"), [(OLD, {LW}), (NEW, {L})])
@pytest.mark.parametrize(
    ("defines", "use"),
    [
        ("#if LINUX_VERSION_CODE >= KERNEL_VERSION(6,2,0)\n#define HAVE_RO\n#endif\n"
         "#ifdef HAVE_RO\n#define GUP FOLL_LONGTERM\n#else\n#define GUP (FOLL_LONGTERM | FOLL_WRITE)\n#endif\n", "GUP"),
        ("#if LINUX_VERSION_IS_GEQ(6,2,0)\n#define GUP FOLL_LONGTERM\n#else\n"
         "#define GUP (FOLL_LONGTERM | FOLL_WRITE)\n#endif\n", "GUP"),
        ("#define SINCE(a, b) (LINUX_VERSION_CODE >= KERNEL_VERSION(a, b, 0))\n#if SINCE(6, 2)\n"
         "#define GUP FOLL_LONGTERM\n#else\n#define GUP (FOLL_LONGTERM | FOLL_WRITE)\n#endif\n", "GUP"),
        ("#define RO (LINUX_VERSION_CODE >= KERNEL_VERSION(6,2,0))\n",
         "FOLL_LONGTERM | (RO ? 0 : FOLL_WRITE)"),
        ("#define GUP FOLL_LONGTERM\n#if LINUX_VERSION_CODE < KERNEL_VERSION(6,2,0)\n#undef GUP\n"
         "#define GUP (FOLL_LONGTERM | FOLL_WRITE)\n#endif\n", "GUP"),
    ],
)  # fmt: skip
def test_versions_decide_macros(tmp_path: Path, defines: str, use: str, release: str, meant: set[str]) -> None:
    """Of the file itself, and of a header that it includes behind a guard."""
    assert flags(only(reading(tmp_path / "one", release, driver=defines + CALL % use))) == meant
    guarded = f"#ifndef COMPAT_H\n#define COMPAT_H\n{defines}#endif\n"
    two = reading(tmp_path / "two", release, compat_h=guarded, driver='#include "compat.h"\n' + CALL % use)
    assert flags(only(two)) == meant


@pytest.mark.parametrize(
    "defines",
    [
        "#ifdef CONFIG_RO\n#define GUP FOLL_LONGTERM\n#else\n#define GUP (FOLL_LONGTERM | FOLL_WRITE)\n#endif\n",
        "#ifdef CONFIG_RW\n#define GUP (FOLL_LONGTERM | FOLL_WRITE)\n#else\n#define GUP FOLL_LONGTERM\n#endif\n",
        "#define GUP FOLL_LONGTERM\n#ifdef CONFIG_RW\n#undef GUP\n#define GUP (FOLL_LONGTERM | FOLL_WRITE)\n#endif\n",
    ],
)
def test_what_nobody_decides_counts_with_a_condition(tmp_path: Path, defines: str) -> None:
    """Whichever #define comes last."""
    site = only(reading(tmp_path, driver=defines + CALL % "GUP"))
    assert flags(site) == {L, LW}
    assert all(one.when and one.when[0].text == "#if" for one in site.value)


@pytest.mark.parametrize(
    ("defines", "use", "meant"),
    [
        ("#define RW (FOLL_LONGTERM | FOLL_WRITE) // FOLL_FORCE was here\n", "RW", {LW}),
        ("#define RW (FOLL_LONGTERM | FOLL_WRITE) /* FOLL_FORCE was\n here */\n", "RW", {LW}),
        ("#define P ((FOLL_LONGTERM | FOLL_FORCE) & ~FOLL_FORCE)\n", "P", {L}),
        ("#define GUP (FOLL_LONGTERM | (write ? FOLL_WRITE : 0))\n", "GUP", {L, LW}),
        ("#define FOLL_DRV (FOLL_LONGTERM)\n", "FOLL_DRV", {L}),
        ("", "FOLL_DRV", {"?FOLL_DRV"}),
        ("#define IN FOLL_LONGTERM\n#define GUP (IN | FOLL_WRITE)\n", "GUP", {LW}),
        ("#define RW(w) (FOLL_LONGTERM | ((w) ? FOLL_WRITE : 0))\n", "RW(1)", {LW}),
        ("#define RW(w) (FOLL_LONGTERM | ((w) ? FOLL_WRITE : 0))\n", "RW(r->w)", {L, LW}),
        ("#define GUP GUP\n", "GUP", {"?too deep"}),
        ("static const unsigned int gup = FOLL_LONGTERM;\n", "gup", {L}),
        ("static unsigned int gup = FOLL_LONGTERM;\n", "gup", {"?gup"}),
        ("enum { OURS = FOLL_LONGTERM | FOLL_WRITE };\n", "OURS", {LW}),
        ("static const unsigned int ways[] = { FOLL_LONGTERM, FOLL_LONGTERM | FOLL_WRITE };\n", "ways[write]", {L, LW}),
        ("static const unsigned int ways[] = { [1] = FOLL_WRITE };\n", "ways[write]", {"FOLL_WRITE"}),
        ("static unsigned int ways[2];\n", "ways[write]", {"?ways[]"}),
        ("", "FOLL_LONGTERM | (r->more ?: FOLL_WRITE)", {"FOLL_LONGTERM|?field more", LW}),
    ],
)
def test_what_a_name_stands_for(tmp_path: Path, defines: str, use: str, meant: set[str]) -> None:
    """Macros are expressions; constants, enumerators and tables hold flags; what is none of them is unknown."""
    assert flags(only(reading(tmp_path, driver=defines + CALL % use))) == meant


def test_another_files_macros_and_static_functions_are_not_seen(tmp_path: Path) -> None:
    """A header that is included counts, although it names no function of GUP; not what b.c has by the name."""
    header = "#define PIN_FLAGS FOLL_LONGTERM\nstatic inline unsigned int more(void) { return FOLL_WRITE; }\n"
    other = (
        "#define PIN_FLAGS (FOLL_WRITE | FOLL_FORCE)\nstatic unsigned int more(void) { return FOLL_FORCE; }\n"
        "int g(struct page **p) { return get_user_pages_fast(0, 1, PIN_FLAGS | more(), p); }\n"
    )
    seen = reading(tmp_path / "a", a_h=header, a='#include "a.h"\n' + CALL % "PIN_FLAGS | more()", b=other)
    assert [flags(one) for one in seen.sites if one.path == "a.c"] == [{LW}]
    unseen = reading(tmp_path / "b", a=CALL % "PIN_FLAGS | more()", b=other)
    assert [one.resolved for one in unseen.sites if one.path == "a.c"] == [False]


def test_headers_are_of_the_tree_alone(tmp_path: Path) -> None:
    """One beside the tree, by ../ or by a link, is not read; one elsewhere in the tree is, where it is the only one."""
    root = write(tmp_path, {
        "src/d.c": '#include "../../out.h"\n#include "link.h"\n#include <far.h>\n' + CALL % "FAR | OUT | LINK",
        "include/far.h": "#define FAR FOLL_LONGTERM\n",
    })  # fmt: skip
    (tmp_path / "out.h").write_text("#define OUT FOLL_WRITE\n")
    (tmp_path / "link.h").write_text("#define LINK FOLL_WRITE\n")
    os.symlink(tmp_path / "link.h", root / "src" / "link.h")
    assert flags(only(sites(find([str(root)]), NEW))) == {"FOLL_LONGTERM|?LINK|?OUT"}


PIN_BOTH = "#ifdef %s\n#define PIN pin_user_pages_fast\n#else\n#define PIN get_user_pages_fast\n#endif\n"
PINS = "int f(struct region *r) { return PIN(0, 4, FOLL_LONGTERM, r->pages); }\n"


def test_an_alias_is_what_the_release_says(tmp_path: Path) -> None:
    """The branch that is live; where nobody decides, both are calls."""
    version = (PIN_BOTH % "X").replace("#ifdef X", "#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 6, 0)")
    assert [one.pin for one in reading(tmp_path / "a", driver=version + PINS).sites] == [True]
    swapped = version.replace(">=", "<")
    assert [one.pin for one in reading(tmp_path / "b", driver=swapped + PINS).sites] == [False]
    both = reading(tmp_path / "c", driver=PIN_BOTH % "HAVE_PIN" + PINS).sites
    assert sorted(one.pin for one in both) == [False, True]


@pytest.mark.parametrize(
    ("defines", "use", "meant"),
    [
        ("#define PIN_RO(at, n, p) pin_user_pages_fast(at, n, FOLL_LONGTERM, p)\n", "PIN_RO(0, 4, r->pages)", {L}),
        ("#define PIN(at, n, w, p) pin_user_pages_fast(at, n, (w) ? FOLL_WRITE : 0, p)\n", "PIN(0, 4, 1, r->pages)",
         {"FOLL_WRITE"}),
        ("", "(pin_user_pages_fast)(0, 4, FOLL_LONGTERM, r->pages)", {L}),
    ],
)  # fmt: skip
def test_a_macro_that_calls(tmp_path: Path, defines: str, use: str, meant: set[str]) -> None:
    """Its flags are what it passes on; and a name in parentheses is called too."""
    text = f"{defines}int f(struct region *r, int w) {{ return {use}; }}\n"
    assert flags(only(reading(tmp_path, driver=text))) == meant


def test_callers_through_a_macro_are_callers(tmp_path: Path) -> None:
    """take_ro(r) passes FOLL_LONGTERM to take(), which another calls itself."""
    text = """
    #define take_ro(r) take(r, FOLL_LONGTERM)
    static int take(struct region *r, unsigned int gup) { return pin_user_pages_fast(0, 4, gup, r->pages); }
    int a(struct region *r) { return take(r, FOLL_LONGTERM | FOLL_WRITE); }
    int b(struct region *r) { return take_ro(r); }
    """
    assert flags(only(reading(tmp_path / "used", driver=text))) == {L, LW}
    assert flags(only(reading(tmp_path / "unused", driver=text.replace("return take_ro(r)", "return 0")))) == {LW}
