"""What a release decides of #if lines: dead lines are blank, all others stay where they are."""

from __future__ import annotations

from textwrap import dedent

import pytest

from pinhold.audit.conditions import decide, picked, version_code


def live(condition: str, release: str = "6.12.3") -> str:
    """Which branch is live: "if", "else", or "both"."""
    text = f"#if {condition}\nint yes;\n#else\nint no;\n#endif\n"
    left = decide(text.encode(), release).decode()
    assert left.count("\n") == text.count("\n")
    return {(True, False): "if", (False, True): "else", (True, True): "both"}["yes" in left, "no" in left]


@pytest.mark.parametrize(
    ("condition", "branch"),
    [
        ("LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)", "if"),
        ("LINUX_VERSION_CODE < KERNEL_VERSION(6,12,0)", "else"),
        ("LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 4)", "else"),
        ("(LINUX_VERSION_CODE >= KERNEL_VERSION(5, 6, 0)) && (LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0))", "else"),
        ("!(LINUX_VERSION_CODE < KERNEL_VERSION(4, 9, 0)) /* since flags */", "if"),
        ("defined(HAVE_PIN)", "both"),
        ("defined(HAVE_PIN) && LINUX_VERSION_CODE < KERNEL_VERSION(5, 6, 0)", "else"),
        ("defined(HAVE_PIN) || LINUX_VERSION_CODE >= KERNEL_VERSION(5, 6, 0)", "if"),
        ("defined(HAVE_PIN) || LINUX_VERSION_CODE < KERNEL_VERSION(5, 6, 0)", "both"),
        ("defined(RHEL_RELEASE_CODE) && RHEL_RELEASE_CODE >= 2049", "else"),
        ("LINUX_VERSION_CODE >= KERNEL_VERSION(9, 0, 0) || defined(CONFIG_SUSE_KERNEL)", "else"),
        ("RTLNX_VER_MIN(6,5,0)", "if"),
        ("RTLNX_VER_MAX(6,5,0)", "else"),
        ("RTLNX_VER_RANGE(5,6,0, 6,13,0)", "if"),
        ("RTLNX_VER_MIN(6,13,0) || RTLNX_RHEL_MIN(8,2)", "else"),
        ("0", "else"),
        ("1", "if"),
        ("IS_ENABLED(CONFIG_THING)", "both"),
        ("LINUX_VERSION_CODE >= SOMETHING_ELSE", "both"),
        ("LINUX_VERSION_CODE >=", "both"),
        ("((((", "both"),
        ("LINUX_VERSION_CODE >= 0x060c00", "if"),
        ("1 << 99", "both"),
    ],
)
def test_a_condition(condition: str, branch: str) -> None:
    """Versions, numbers and other distributions are decided; what a configuration says is not."""
    assert live(condition) == branch


def test_a_macro_of_the_file_for_a_release() -> None:
    """#define OURS KERNEL_VERSION(...) counts, and one that names itself costs nothing."""
    text = dedent("""\
    #define OURS KERNEL_VERSION(6, 0, 0)
    #define ROUND (ROUND + KERNEL_VERSION(1, 0, 0))
    #if LINUX_VERSION_CODE < OURS
    int old;
    #endif
    #if ROUND > 1
    int round;
    #endif
    """)
    left = decide(text.encode(), "6.1").decode()
    assert "old" not in left
    assert "round;" in left


def test_elif_takes_the_first_that_is_true() -> None:
    """Others are dead, and so is #else."""
    text = dedent("""\
    #if LINUX_VERSION_CODE < KERNEL_VERSION(5, 0, 0)
    int a;
    #elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
    int b;
    #elif LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
    int c;
    #else
    int d;
    #endif
    int e;
    """)
    words = {release: decide(text.encode(), release).split() for release in ("4.4", "6.1", "6.12", "7.3")}
    assert [words[r][1::2] for r in words] == [[b"a;", b"e;"], [b"b;", b"e;"], [b"c;", b"e;"], [b"d;", b"e;"]]


def test_lines_stay_where_they_are() -> None:
    """A directive over several lines is blank in all of them; what is nested in dead lines is dead."""
    text = dedent("""\
    #if LINUX_VERSION_CODE < \\
        KERNEL_VERSION(5, 0, 0)
    #ifdef X
    int a;
    #endif
    #endif
    int b;
    """)
    assert decide(text.encode(), "6.1").decode() == "\n" * 6 + "int b;\n"


def test_endif_without_if_and_if_without_endif_are_no_error() -> None:
    """Sources that others wrote may be torn."""
    assert decide(b"#endif\n#else\nint a;\n#if 0\nint b;", "6.1") == b"#endif\n#else\nint a;\n\n"


def test_one_part_of_each_if() -> None:
    """The first or the last."""
    text = b"#ifdef A\nint a;\n#else\nint b;\n#endif\nint c;"
    assert picked(text, "if") == b"\nint a;\n\n\n\nint c;"
    assert picked(text, "else") == b"\n\n\nint b;\n\nint c;"


def test_the_code_of_a_release() -> None:
    """The third number is capped, as the kernel's own macro is."""
    assert version_code("6.1.300-fc") == (6 << 16) + (1 << 8) + 255
    assert version_code("6.12") == (6 << 16) + (12 << 8)
