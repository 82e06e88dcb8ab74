"""Which functions a patch changes, and which tests go through them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.commands.agreement import compare_results
from pinhold.compiler.patch import patched
from pinhold.mm.follow import gup_must_unshare
from pinhold.mm.kernel import REGISTRY
from pinhold.scenario.suites import suite
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario
from pinhold.touched.changes import changes
from pinhold.touched.diff import MOST, BadDiff, parse
from pinhold.touched.names import known
from pinhold.touched.text import named, places
from pinhold.touched.through import entered, through
from pinhold.touched.tree import Tree

NAMES = ["gup_must_unshare", "do_wp_page"]
PATCHES = [str(Path(__file__).parents[2] / "examples" / "patches" / f"{name}.py") for name in NAMES]

BEFORE = """\
/*
 * Words about do_wp_page().
 */
#define BIAS 1024
#define grab(page) \\
\tdo { take(page); \\
\t} while (0)

static int helper(int a,
\t\t  int b);

static int helper(int a,
\t\t  int b)
{
\tif (a)
\t\tgoto out;
\t/*
\t * Words about odd_one().
\t */
\t*place = b;
out:
\treturn grab(a);
}

struct thing {
\tint size;
};

static const struct mm_walk_ops walk = {
\t.pmd_entry = odd_one,
};

static struct thing *
odd_one(struct thing *thing)
{
\tint a;
\tint b;
\tint c;
\tint d;
\treturn thing;
}

SYSCALL_DEFINE2(madvise, int, a, int, b)
{
\treturn walked(&walk);
}

vm_fault_t do_wp_page(struct vm_fault *vmf)
{
\treturn helper(1, 2);
}
"""

CHANGED = {
    "BIAS 1024": "",
    "do { take": "grab",
    "\t\t  int b);": "",
    "\tif (a)": "helper",
    "\t*place = b;": "helper",
    "\treturn grab(a);": "helper",
    "\tint size;": "",
    ".pmd_entry": "walk",
    "\tint d;": "odd_one",
    "\treturn walked": "madvise",
    "do_wp_page(struct": "do_wp_page",
    "\treturn helper": "do_wp_page",
}
"""A part of a line that is changed, and what it is in."""


def diff(before: str, after: str, folder: Path, context: int = 3, *, named: str = "mm/x.c") -> bytes:
    """As diff -up writes it."""
    files = folder / "before.c", folder / "after.c"
    for file, text in zip(files, (before, after), strict=True):
        file.write_text(text)
    command = ["diff", "-p", f"-U{context}", "--label", f"a/{named}", "--label", f"b/{named}", *map(str, files)]
    return subprocess.run(command, capture_output=True, check=False).stdout


def tree(folder: Path, text: str, name: str = "mm/x.c") -> Tree:
    """A kernel's tree with that file."""
    for each, words in ((name, text), ("include/linux/mm.h", "")):
        (folder / each).parent.mkdir(parents=True, exist_ok=True)
        (folder / each).write_text(words)
    return Tree(folder)


@pytest.mark.parametrize(("part", "place"), CHANGED.items())
@pytest.mark.parametrize("side", ["before", "after", None])
def test_a_changed_line_is_in_its_function(part: str, place: str, side: str | None, tmp_path: Path) -> None:
    """With the tree before the change, after it, or the diff alone; what is in none is counted."""
    after = BEFORE.replace(part, f"changed_{part}" if part[0] != "\t" else f"\tchanged {part[1:]}")
    after = after.replace("changed_do_wp_page", "do_wp_page") if "do_wp_page" in part else after
    after = after.replace("do_wp_page(struct", "do_wp_page(const struct")
    own = None if side is None else tree(tmp_path, BEFORE if side == "before" else after)
    found = changes(parse(diff(BEFORE, after, tmp_path)), own)
    assert not found.strange
    assert place in found.functions or (not place and found.elsewhere == {"mm/x.c": 2})
    assert set(found.functions) <= {place, "do_wp_page"}


def test_a_diff_of_another_tree_is_read_by_itself(tmp_path: Path) -> None:
    """And that is told."""
    after = BEFORE.replace("\tint d;", "\tlong d;")
    found = changes(parse(diff(BEFORE, after, tmp_path)), tree(tmp_path, "int other;\n"))
    assert found.strange == ["mm/x.c"]
    assert list(found.functions) == ["odd_one"]


def test_no_file_outside_of_the_tree_is_read(tmp_path: Path) -> None:
    """Whatever path a diff names, and wherever a link leads."""
    (tmp_path / "secret.c").write_text(BEFORE)
    inside = tree(tmp_path / "tree", BEFORE)
    os.symlink(tmp_path / "secret.c", tmp_path / "tree" / "mm" / "link.c")
    assert inside.lines("mm/x.c") == BEFORE.splitlines()
    assert [inside.lines(path) for path in ("../secret.c", str(tmp_path / "secret.c"), "mm/link.c", "mm")] == [None] * 4


def test_who_calls_a_function_stands_for_it(tmp_path: Path) -> None:
    """By a macro, by another function, by a table of a walk; words in comments call nothing."""
    own = tree(tmp_path, BEFORE)
    assert own.above("helper", known()) == ["do_wp_page"]
    assert own.above("take", known()) == ["do_wp_page"]
    assert own.above("odd_one", known()) == ["madvise"]
    assert own.above("nobody", known()) == []


def test_the_names_of_definitions() -> None:
    """Attributes are no names, and what begins no function has none."""
    assert named("static __always_inline __attribute__((cold)) int one(void)") == "one"
    assert named("__printf(1, 2) void two(const char *text, ...)") == "two"
    assert [named(line) for line in ("out:", "\tcall(a);", "struct thing {", "int a = call(b);", "")] == [""] * 5
    assert list(places(["int one(void)", "", "int two(void) { return 1; }", "\tx"])) == ["", "", "two", ""]


def test_paths_and_what_stands_between_hunks() -> None:
    """A mail of format-patch, a file that goes, names with times, lines that look like headers, lost blanks."""
    text = (
        "From 1 Mon Sep 17 00:00:00 2001\nSubject: words\n---\n mm/x.c | 2 +-\n\n"
        "diff --git a/mm/x.c b/mm/x.c\n--- a/mm/x.c\t2026-01-01\n+++ b/mm/x.c\t2026-01-01\n"
        "@@ -1,3 +1,3 @@ int f(void)\n \n--- a\n+++ b\n\n"
        "--- a/mm/y.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-int y;\n\\ No newline at end of file\n-- \n2.39\n"
    )
    first, second = parse(text.encode())
    assert first.path == "mm/x.c" and first.hunks[0].heading == "int f(void)"
    assert first.hunks[0].lines == (" ", "--- a", "+++ b", " ")
    assert second.path == "mm/y.c" and second.hunks[0].lines == ("-int y;",)
    assert parse(b"diff --git a/x b/x\nBinary files a/x and b/x differ\n") == []
    assert parse(b"\n") == []


BAD = {
    b"\0\1\2": "it is a binary file",
    b"words\n": "it has no hunk",
    b"--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n x\n": "line 3: the hunk is cut off at line 5",
    b"--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n x\njunk\n": "line 3: the hunk is cut off at line 5",
    b"--- a/x\n+++ b/x\n@@ -1,1 +1,2 @@\n x\n x\n": "line 3: the hunk has other lines than it says",
    b"@@ -1 +1 @@\n x\n": "line 1: a hunk of no file",
    b"--- a/x\n+++ b/x\n@@@ -1 -1 +1 @@@\n  x\n": "line 3: it is the combined diff of a merge",
    b" " * (MOST + 1): "it is larger than 16 MiB",
}


@pytest.mark.parametrize(("data", "why"), BAD.items(), ids=BAD.values())
def test_what_is_no_patch_is_a_sentence(data: bytes, why: str) -> None:
    """Which line, and why."""
    with pytest.raises(BadDiff) as error:
        parse(data)
    assert why in str(error.value)


def test_a_function_is_known_by_any_of_its_names() -> None:
    """Of one release or another; an operation's, and that of a decision; not those that are no kernel's."""
    old, new = known()["page_try_share_anon_rmap"], known()["folio_try_share_anon_rmap_pte"]
    assert old.functions & new.functions
    assert gup_must_unshare in known()["gup_must_unshare"].functions
    assert known()["__get_user_pages"].functions
    assert known()["can_follow_write_pte"].sites
    assert {"call", "finish", "goto", "step", "store"}.isdisjoint(known())


def test_what_is_noted_is_as_before_afterwards() -> None:
    """All functions at once: what they do is what they did, and nothing stays."""
    test = suite("seed").tests[150].scenario
    functions = [function for function in REGISTRY if function.__module__ != "pinhold.mm.step"]
    before = {function: function.__code__ for function in functions}  # type: ignore[attr-defined]
    alone = run_scenario(ModelTarget("6.12"), test)
    with entered(functions) as seen:
        noted = run_scenario(ModelTarget("6.12"), test)
    assert noted.observations == alone.observations and noted.verdict == alone.verdict
    assert gup_must_unshare in seen
    assert before == {function: function.__code__ for function in functions}  # type: ignore[attr-defined]
    assert not [name for function in functions for name in function.__globals__ if "_pinhold_" in name]


def test_no_test_that_is_left_out_is_changed_by_the_patch() -> None:
    """Functions are replaced: what that makes different is among the tests that go through them; some tests do not."""
    tests = [test.scenario for name in ("pins", "seed") for test in suite(name).tests[-18:]]
    gone = [bool(through(ModelTarget("6.1"), test, NAMES)) for test in tests]
    before = [run_scenario(ModelTarget("6.1"), test) for test in tests]
    with patched(PATCHES):
        after = [run_scenario(ModelTarget("6.1"), test) for test in tests]
    differ = [
        one.verdict.kind != two.verdict.kind or compare_results(one, two).difference is not None
        for one, two in zip(before, after, strict=True)
    ]
    assert not [n for n, (differs, touched) in enumerate(zip(differ, gone, strict=True)) if differs and not touched]
    assert any(differ) and not all(gone)


def test_run_runs_those_tests(capsys: pytest.CaptureFixture[str]) -> None:
    """By name; how many of all is said, which function brings how many, and what is not known."""
    assert (
        main(["run", "pins", "--on", "model:6.12", "--touches", "gup_must_unshare,hugetlb_wp", "--touches", "odd"]) == 0
    )
    out = capsys.readouterr().out
    assert out.startswith("32 of 44 tests go through what is changed, on model:6.12:\n  gup_must_unshare: 32\n")
    assert "\n  hugetlb_wp: 8\n  not in the specification: odd; --tree DIR" in out
    assert "model:6.12: 32 held" in out


def test_compare_compares_those_tests(capsys: pytest.CaptureFixture[str]) -> None:
    """The same; a test counts that goes there on either side."""
    assert main(["compare", "model:6.1", "model:6.2", "seed/148-153", "--touches", "gup_must_unshare"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("3 of 6 tests go through what is changed, on model:6.1, model:6.2:\n")
    assert "differ in 3 tests" in out


def test_what_touches_nothing_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0 where all of it is known, and 4 where not; a name alone that nobody knows is a mistake."""
    words = ["run", "seed/1-3", "--on", "model:6.12", "--touches"]
    assert main([*words, "hugetlb_wp"]) == 0
    assert capsys.readouterr().out.endswith("  hugetlb_wp: none\nNothing is run.\n")
    assert main([*words, "hugetlb_wp,odd_one"]) == 4
    assert "not all of it is known" in capsys.readouterr().err
    assert main([*words, "do_wp_pag"]) == 3
    assert "no function 'do_wp_pag': did you mean do_wp_page?" in capsys.readouterr().err
    assert main([*words, "a b"]) == 3
    assert main(["run", "seed/1-3", "--on", "model:6.12", "--tree", "."]) == 3
    assert "add --touches" in capsys.readouterr().err
    assert main([*words, "do_wp_page", "--tree", "/nonexistent"]) == 3
    assert "no kernel's source" in capsys.readouterr().err


def test_a_patch_by_standard_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the kernel's tree: a helper stands for who calls it; KTAP on standard output has nothing else in it."""
    after = BEFORE.replace("\tif (a)", "\tif (b)").replace("\tint size;", "\tlong size;")
    data = diff(BEFORE, after, tmp_path)
    tree(tmp_path, after)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert main(["run", "seed/1-3", "--on", "model:6.12", "--format", "ktap", "--touches-diff", "-"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("TAP version") and "1..3" in said.out
    assert said.err.startswith(
        "3 of 3 tests go through what is changed, on model:6.12:\n  helper (mm/x.c): 3, by do_wp_page\n"
    )
    assert "  outside of functions, which may concern any test: mm/x.c (2 lines)\n" in said.err


def test_a_patch_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Junk, a file that is not there, an empty one."""
    words = ["run", "seed/1-3", "--on", "model:6.12", "--touches-diff"]
    (tmp_path / "junk").write_bytes(bytes(range(256)))
    assert main([*words, str(tmp_path / "junk")]) == 3
    assert f"{tmp_path}/junk is no patch: it is a binary file" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "none")]) == 3
    assert "No such file" in capsys.readouterr().err
    (tmp_path / "empty").touch()
    assert main([*words, str(tmp_path / "empty")]) == 0
    assert capsys.readouterr().out == "The patch changes no function.\nNothing is run.\n"


def test_random_scenarios_are_not_chosen_by_what_they_touch(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside tests that are; where none of these goes through it, it is not said that nothing is run."""
    sides, words = ["compare", "model:6.12", "model:6.12"], ["--random", "1", "--touches", "hugetlb_wp"]
    assert main([*sides, *words]) == 3
    said = capsys.readouterr()
    assert "random scenarios are none: name a suite, such as seed" in said.err and "Nothing is run" not in said.out
    assert main([*sides, "seed/1", *words]) == 0
    out = capsys.readouterr().out
    assert out.startswith("0 of 1 test goes through what is changed, ")
    assert "Only random scenarios are run.\n" in out and "Nothing is run" not in out
