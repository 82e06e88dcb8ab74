"""`pinhold audit`: what it prints, as what, with which status, and how it refuses."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from audited import write
from pinhold.audit import syntax
from pinhold.cli import main

STALE = """
static int take(long at, struct page **p, unsigned int gup) { return pin_user_pages_fast(at, 4, gup, p); }
int registers(long at, struct page **p) { return take(at, p, FOLL_LONGTERM); }
int launches(long at, struct page **p) { return take(at, p, FOLL_WRITE); }
"""
FORCED = "int forced(struct page **p) { return pin_user_pages_fast(0, 4, FOLL_FORCE, p); }\n"
RIGHT = "int right(struct page **p) { return pin_user_pages_fast(0, 4, FOLL_LONGTERM, p); }\n"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where these tests alone keep answers."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tree_sitter", reason="sources are parsed by tree-sitter: pip install 'pinhold[audit]'")
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Status, output and errors of the command."""
    status = main(["audit", *map(str, arguments)])
    done = capsys.readouterr()
    return status, done.out, done.err


def words(text: str) -> str:
    """On one line."""
    return " ".join(text.split())


def test_the_report_names_call_caller_and_cure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And its status is that of an error; no line is longer than 100 columns."""
    root = write(tmp_path, {"drivers/one.c": STALE})
    status, out, err = run(capsys, root, "--release", "6.1")
    assert (status, err) == (1, "")
    assert out.startswith("drivers/one.c:2  take()  pin_user_pages_fast(gup)\n  error STALE: ")
    assert "passed by registers() line 3" in out
    assert "launches" not in out
    assert "FOLL_LONGTERM is right from 6.2 on" in out
    assert "1 error, 0 warnings, 0 notes" in out
    assert max(map(len, out.splitlines())) <= 100


def test_nothing_found_is_status_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And one sentence; so is a tree that names no function at all."""
    status, out, _ = run(capsys, write(tmp_path, {"one.c": RIGHT}), "--release", "6.12")
    assert (status, len(out.split("\n\n"))) == (0, 1)
    assert run(capsys, write(tmp_path / "b", {"one.c": "int x;\n"}), "--release", "6.12")[0] == 0


def test_warnings_alone_are_status_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are told all the same."""
    text = "int f(struct page **p) { pin_user_pages_fast(0, 4, FOLL_WRITE, p); use(p); unpin_user_pages(p, 4); }"
    status, out, _ = run(capsys, write(tmp_path, {"one.c": text}), "--release", "6.12")
    assert (status, "warning NODIRTY" in out) == (0, True)


def test_the_release_is_the_makefiles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a kernel's tree; one that was not read has its nearest, and a line says so."""
    makefile = "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 192\n"
    root = write(tmp_path, {"Makefile": makefile, "Kconfig": "", "mm/x.c": "", "drivers/a.c": STALE})
    assert "by the rules of 6.1.192" in words(run(capsys, root)[1])
    (root / "Makefile").write_text(makefile.replace("192", "999"))
    _, out, err = run(capsys, root)
    assert "whose rules stand in" in err
    assert "by the rules of 6.1." in words(out)


@pytest.mark.parametrize(("release", "rules", "stale"), [("6.6.30", "6.2", False), ("5.15.7", "5.10", True)])
def test_a_release_between_two_is_judged_by_the_older(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], release: str, rules: str, stale: bool
) -> None:
    """One line says so, #if lines are decided by the tree's own release, and --release names another."""
    version, patchlevel, sublevel = release.split(".")
    makefile = f"VERSION = {version}\nPATCHLEVEL = {patchlevel}\nSUBLEVEL = {sublevel}\n"
    own = f"#if LINUX_VERSION_CODE == KERNEL_VERSION({version}, {patchlevel}, {sublevel})\n{STALE}\n#endif\n"
    root = write(tmp_path, {"Makefile": makefile, "Kconfig": "", "mm/x.c": "", "drivers/a.c": own})
    status, out, err = run(capsys, root)
    assert (status, "STALE" in out) == (int(stale), stale)
    assert f"by the rules of {rules}." in words(out)
    assert "1 call of functions" in words(out)
    assert err.startswith(f"pinhold: no rules for {release}: ")
    assert err.endswith(f"the next older: {rules}, whose rules stand in; --release names another\n")
    assert run(capsys, root, "--release", rules)[2] == ""


def test_two_folders_of_one_kernel_are_no_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are read; so a folder of it and the whole of another are two trees."""
    makefile = "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 192\n"
    files = {"Makefile": makefile, "Kconfig": "", "mm/x.c": "", "drivers/a.c": STALE, "sound/b.c": STALE}
    one, other = write(tmp_path / "one", files), write(tmp_path / "other", files)
    status, out, _ = run(capsys, one / "drivers", one / "sound")
    assert (status, "drivers/a.c" in out, "sound/b.c" in out) == (1, True, True)
    status, out, _ = run(capsys, one / "drivers", other / "drivers")
    assert (status, "drivers/a.c" in out) == (0, False)
    assert run(capsys, one / "drivers", one / "sound", "--series")[0] == 3


def test_the_release_of_other_trees_is_the_running_kernels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing else is said."""
    monkeypatch.setattr("pinhold.commands.audit._running", lambda: "6.1.150")
    assert "by the rules of 6.1.150" in words(run(capsys, write(tmp_path, {"one.c": STALE}))[1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none"], "no file or folder"),
        (["{tree}", "--release", "2.4"], "no rules for 2.4"),
        (["{tree}", "--release", "new"], "is not a kernel release"),
        (["{tree}", "--release", ""], "is not a kernel release"),
        (["{tree}", "--release", "6.12", "--scenarios", "{tree}/one.c"], "one.c: that is no folder"),
        (["{tree}", "--series"], "--series takes two trees"),
        (["{tree}", "{tree}", "--format", "sarif"], "the difference is text or json"),
        (["{tree}", "{tree}", "--baseline", "x"], "--baseline is for one"),
        (["{tree}", "--baseline", "none.json", "--release", "6.12"], "cannot read 'none.json'"),
        (["{tree}/empty", "--release", "6.12"], "no file of C is in it"),
        (["{tree}", "--release", "6.12", "--confirm", "nowhere"], "unknown target 'nowhere'"),
    ],
)
def test_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: Sequence[str], said: str) -> None:
    """Status 3, and one line that names what is wrong."""
    root = write(tmp_path, {"one.c": RIGHT})
    (root / "empty").mkdir()
    status, out, err = run(capsys, *(word.format(tree=root) for word in arguments))
    assert (status, out) == (3, "")
    assert said in err
    assert err.count("\n") == 1


def test_without_tree_sitter_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 4."""
    syntax.language.cache_clear()
    monkeypatch.setitem(sys.modules, "tree_sitter", None)
    status, _, err = run(capsys, write(tmp_path, {"one.c": RIGHT}), "--release", "6.12")
    assert (status, err) == (4, "pinhold: sources are parsed by tree-sitter: pip install 'pinhold[audit]'\n")


def test_json_has_findings_and_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each alternative of each call, with its callers, and the scenario of what is stale."""
    status, out, _ = run(capsys, write(tmp_path, {"one.c": STALE}), "--release", "6.1", "--format", "json")
    document = json.loads(out)
    assert (status, document["schema"], document["rules"]) == (1, 1, "6.1")
    (finding,) = document["findings"]
    assert (finding["kind"], finding["callers"][0][0]["function"]) == ("STALE", "registers")
    assert finding["scenario"].startswith("scenario private anonymous")
    (call,) = document["calls"]
    assert {(one["flags"], one["callers"][0]) for one in call["alternatives"]} == {
        ("FOLL_LONGTERM", "registers"),
        ("FOLL_WRITE", "launches"),
    }


def test_a_baseline_leaves_what_is_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was found before is counted and not told, wherever in its file it is now; what is new is an error."""
    root, old = write(tmp_path, {"one.c": STALE}), tmp_path / "old.json"
    assert run(capsys, root, "--release", "6.1", "--format", "json", "-o", old)[0] == 1
    (root / "one.c").write_text("/* moved */\n\n" + STALE)
    status, out, _ = run(capsys, root, "--release", "6.1", "--baseline", old)
    assert (status, "1 more is in the baseline" in words(out)) == (0, True)
    (root / "one.c").write_text(STALE + FORCED)
    status, out, _ = run(capsys, root, "--release", "6.1", "--baseline", old)
    assert (status, "FORCE" in out, "STALE" in out) == (1, True, False)


def test_a_second_call_like_one_of_the_baseline_is_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two calls alike in a function are two findings: the baseline has one, and their SARIF prints differ."""
    call = "pin_user_pages_fast(0, 4, FOLL_FORCE, p);\n"
    root, old = write(tmp_path, {"one.c": f"void f(struct page **p)\n{{\n{call}}}\n"}), tmp_path / "old.json"
    assert run(capsys, root, "--release", "6.12", "--format", "json", "-o", old)[0] == 1
    assert run(capsys, root, "--release", "6.12", "--baseline", old)[0] == 0
    (root / "one.c").write_text(f"void f(struct page **p)\n{{\n{call}{call}}}\n")
    status, out, _ = run(capsys, root, "--release", "6.12", "--baseline", old)
    assert (status, out.count("error FORCE"), "1 more is in the baseline" in words(out)) == (1, 1, True)
    results = json.loads(run(capsys, root, "--release", "6.12", "--format", "sarif")[1])["runs"][0]["results"]
    forced = [one for one in results if one["ruleId"] == "FORCE"]
    assert len({one["partialFingerprints"]["pinhold/v1"] for one in forced}) == len(forced) == 2


@pytest.mark.parametrize("form", ["text", "json", "sarif", "html"])
def test_a_name_that_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    """A byte that is no UTF-8 is told as \\xff, in SARIF as its address has it; every form can be written to a file."""
    if form == "html":
        pytest.importorskip("jinja2")
    root, page = write(tmp_path, {"one.c": FORCED}), tmp_path / "out"
    os.rename(root / "one.c", os.fsencode(root) + b"/bad\xff.c")
    assert run(capsys, root, "--release", "6.12", "--format", form, "--all", "-o", page)[0] == 1
    told = {"text": r"bad\xff.c:1", "json": r"bad\\xff.c", "sarif": "bad%FF.c", "html": r"bad\xff.c"}
    assert told[form] in page.read_bytes().decode()
    if form == "json":
        assert run(capsys, root, "--release", "6.12", "--baseline", page)[0] == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"findings": 3, "schema": 1}', '{"findings": [], "schema": 9}'])
def test_what_is_no_baseline_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    """By name, in one line."""
    baseline = tmp_path / "b.json"
    baseline.write_text(text)
    status, _, err = run(capsys, write(tmp_path, {"one.c": RIGHT}), "--release", "6.12", "--baseline", baseline)
    assert (status, err.count("\n")) == (3, 1)
    assert str(baseline) in err


def test_sarif_is_what_forges_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths as seen from where it was started, a level, a line, and a print that stays when lines move."""
    write(tmp_path, {"src/one.c": STALE})
    monkeypatch.chdir(tmp_path)
    _, out, _ = run(capsys, "tree", "--release", "6.1", "--format", "sarif")
    document = json.loads(out)
    (result,) = document["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    rules = document["runs"][0]["tool"]["driver"]["rules"]
    assert document["version"] == "2.1.0"
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("tree/src/one.c", 2)
    assert (result["level"], rules[result["ruleIndex"]]["id"]) == ("error", result["ruleId"])
    (tmp_path / "tree" / "src" / "one.c").write_text("\n\n" + STALE)
    (moved,) = json.loads(run(capsys, "tree", "--release", "6.1", "--format", "sarif")[1])["runs"][0]["results"]
    assert moved["partialFingerprints"] == result["partialFingerprints"]


def test_html_is_one_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what sources say taken as text."""
    pytest.importorskip("jinja2")
    text = FORCED.replace("FOLL_FORCE", "a < b ? FOLL_FORCE : FOLL_WRITE")
    page = tmp_path / "page.html"
    assert run(capsys, write(tmp_path, {"one.c": text}), "--release", "6.12", "--format", "html", "-o", page)[0] == 1
    assert "a &lt; b" in page.read_text()
    assert "<h2>Errors</h2>" in page.read_text()


def test_two_trees_are_a_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is new decides the status; what is gone has a line."""
    old, new = write(tmp_path / "old", {"one.c": FORCED}), write(tmp_path / "new", {"one.c": RIGHT})
    status, out, _ = run(capsys, old, new, "--release", "6.12")
    assert status == 0
    assert f"Nothing is new in {new} (6.12).\nGone since {old} (6.12):" in out
    assert "one.c:1  forced()  error FORCE FOLL_FORCE" in out
    status, out, _ = run(capsys, new, old, "--release", "6.12", "--format", "json")
    document = json.loads(out)
    assert (status, [one["kind"] for one in document["new"]], document["gone"]) == (1, ["FORCE"], [])


def test_a_series_tells_what_came_too_far(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Flags that the newer tree passes rightly, and that the older one's rules make stale."""
    makefile = "VERSION = 6\nPATCHLEVEL = {}\nSUBLEVEL = 0\n"
    trees = [
        write(tmp_path / n, {"Makefile": makefile.format(n), "Kconfig": "", "mm/x.c": "", "drivers/a.c": STALE})
        for n in ("1", "12")
    ]
    status, out, _ = run(capsys, *trees, "--series")
    assert status == 1
    assert "the newer tree passes the same (drivers/a.c: take()), and there it is right" in words(out)
    assert "1 pin is stale by the rules of 6.1, and not by those of 6.12" in words(out)
    (trees[0] / "drivers" / "a.c").write_text(STALE.replace("FOLL_LONGTERM", "FOLL_LONGTERM | FOLL_WRITE"))
    status, out, _ = run(capsys, *trees, "--series", "--format", "json")
    assert (status, json.loads(out)["backports"]) == (0, [])


def test_scenarios_are_written_and_confirmed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each stale pin's test is a file, with the finding above it; a target is asked and its word is printed."""
    root, folder = write(tmp_path, {"one.c": STALE}), tmp_path / "scenarios"
    arguments = (root, "--release", "6.1", "--scenarios", folder, "--confirm")
    _, out, _ = run(capsys, *arguments, "model:6.1")
    (file,) = folder.iterdir()
    assert file.name == "take-longterm.pin"
    assert file.read_text().startswith("# one.c:2: take() calls pin_user_pages_fast(gup): on 6.1")
    assert "confirmed on model:6.1" in out
    assert main(["run", str(file), "--on", "model:6.1"]) == 1
    capsys.readouterr()
    assert "not confirmed on model:6.2" in words(run(capsys, *arguments, "model:6.2")[1])


def test_a_target_without_a_kernel_is_named_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No empty parentheses."""
    _, out, _ = run(capsys, write(tmp_path, {"one.c": STALE}), "--release", "6.1", "--confirm", "model:6.1")
    assert "()" not in words(out).partition("confirmed on")[2]


def test_lines_are_as_wide_as_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """80 columns there; in a file a call has one line."""
    long = FORCED.replace("forced(", f"forced_{'by_a_long_name_' * 4}(")
    root = write(tmp_path, {f"drivers/{'folder/' * 4}one.c": long})
    lines = run(capsys, root, "--release", "6.12", "--all")[1].splitlines()
    assert sum("pin_user_pages_fast()" in one and "forced_" in one for one in lines) == 1
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    assert max(map(len, run(capsys, root, "--release", "6.12", "--all")[1].splitlines())) <= 80


def test_what_was_parsed_in_part_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A function with a call, the finding in it, and a file that is hardly C; not a type among a macro's arguments."""
    torn = FORCED.replace("{ return", "{ int a[ = { ]; return")
    kind = FORCED.replace("{ return", "{ void *a = alloc_objects(struct page *, 4); return")
    files = {"a.c": torn, "b.c": kind, "c.c": ")]}{([" * 400}
    root = write(tmp_path, files)
    _, out, _ = run(capsys, *(root / name for name in files), "--release", "6.12")
    assert "a.c: forced() was parsed in part." in out
    assert "most of c.c could not be parsed" in words(out)
    assert "b.c: forced() was" not in out
    assert out.count("forced() was parsed in part: read it yourself") == 1
    document = json.loads(run(capsys, root, "--release", "6.12", "--format", "json")[1])
    assert document["torn"] == ["a.c: forced() was parsed in part"]


def test_all_lists_every_call_and_wrapper(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also those without a finding."""
    _, out, _ = run(capsys, write(tmp_path, {"one.c": STALE, "two.c": RIGHT}), "--release", "6.12", "--all")
    assert "two.c:1  right()  pin_user_pages_fast()  FOLL_LONGTERM" in out
    assert "take() for launches, registers" in out


def test_names_that_would_say_something_to_a_terminal_do_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escape sequences in names of files and in sources are printed as ?."""
    root = write(tmp_path, {"a\x1b[31m.c": FORCED.replace("FOLL_FORCE", "FOLL_FORCE /**/ | \x1b]0;x\x07")})
    _, out, _ = run(capsys, root, "--release", "6.12", "--all", "--notes")
    assert "\x1b" not in out
    assert "a?[31m.c" in out


@pytest.mark.parametrize("seed", range(4))
def test_torn_sources_end_in_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int) -> None:
    """Bytes changed and cut anywhere: some answer or none, and never an exception."""
    import random

    chance = random.Random(seed)
    whole = (STALE + FORCED + RIGHT) * 3
    sources = {}
    for number in range(12):
        text = list(whole[: chance.randrange(20, len(whole))])
        for _ in range(30):
            text[chance.randrange(len(text))] = chance.choice("(){};,#\\\"'*&|=!<>?:\n\0\xff ab0")
        sources[f"f{number}.c"] = "".join(text)
    assert run(capsys, write(tmp_path, sources), "--release", "6.12", "--all", "--notes")[0] in (0, 1)


def test_answers_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run computes nothing, and a kept file that is damaged is computed again."""
    root = write(tmp_path, {"one.c": STALE})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = run(capsys, root, "--release", "6.1")
    (kept,) = (tmp_path / "cache" / "pinhold" / "audit").iterdir()
    with monkeypatch.context() as patched:
        patched.setattr("pinhold.audit.oracle._compute", lambda *_: pytest.fail("computed again"))
        assert run(capsys, root, "--release", "6.1") == first
    for damaged in ("", "[]", '{"pin_user_pages(FOLL_LONGTERM)": {"words": {}}}'):
        kept.write_text(damaged)
        assert run(capsys, root, "--release", "6.1") == first


@pytest.mark.parametrize(
    "text",
    [
        "int f(struct page **p)\n{\n" + "if (x) " * 20000 + "pin_user_pages(0, 1, FOLL_WRITE, p);\n}\n",
        "int f(struct page **p)\n{ int g = 0;\n" + "g |= 1; if (a) g = 0; pin_user_pages(0, 1, g, p);\n" * 3000 + "}\n",
        "#if 1\n" * 20000 + "int f(struct page **p) { return pin_user_pages(0, 1, 0, p); }\n" + "#endif\n" * 20000,
        "int f(struct page **p) { return pin_user_pages(0, 1, " + "(" * 20000 + "0" + ")" * 20000 + ", p); }\n",
        "int f(struct page **p) { return pin_user_pages(0, 1, " + "|".join(["(a ? 1 : 0)"] * 5000) + ", p); }\n",
        "void last(void) { use(); }\n"
        + "".join(f"void f{n}(void) {{ {f'f{n + 1}(); ' * 400} }}\n" for n in range(4)).replace("f4(", "last(")
        + "int f(struct page **p, int n) { int r = pin_user_pages_fast(0, n, 0, p);"
        + " if (r != n) { f0(); return -1; } use(p); }\n",
        "int f(struct x *x) { return pin_user_pages(0, 1, FOLL_WRITE, x->pages); }\n"
        + "".join(f"void f{n}(struct x *x) {{ look(x->pages); }}\n" for n in range(8000)),
    ],
    ids=["if", "calls", "#if", "parentheses", "alternatives", "callees", "functions"],
)
def test_sources_that_are_made_to_cost_are_bounded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """Without bounds each would take minutes, or end in Python's own limit."""
    assert run(capsys, write(tmp_path, {"one.c": text}), "--release", "6.12", "--notes")[0] in (0, 1)
