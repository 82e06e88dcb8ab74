"""The files of evidence: each is whole, what it says can be so, and a file that says too little does not load."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

import source_marks
from pinhold.mm.releases import file_of, held, releases
from pinhold.mm.releases.evidence import KINDS, Kernel, Source
from pinhold.mm.releases.files import BESIDE, FOLDER, BadRelease, load
from pinhold.mm.rules import RULES, BadRule, Commit, NoCommit, Switch, Value
from rule_probes import PROBES

FILES = sorted(FOLDER.rglob("*.toml"))


def changed(folder: Path, release: str, line: str, instead: str) -> Path:
    """A copy of all the files, in which the lines of one that match are others."""
    copy = folder / "copy"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("*.py", "__pycache__"), dirs_exist_ok=True)
    path = copy / f"{release}.toml"
    text, count = re.subn(line, instead, path.read_text(), flags=re.MULTILINE)
    assert count, f"nothing in {path.name} is {line}"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("release", "line", "instead", "told"),
    [
        ("6.1", r"^gup_unshares = .*\n", "", "6.1.toml: it says nothing of gup_unshares"),
        ("6.1", r"^\[rules\]\n", "[rules]\nfolios = { }\n", "6.1.toml: it knows a rule folios, which is none"),
        ("6.1", r"^(gup_unshares = .*)kind = \"source\", ", r"\1", "gup_unshares: its kind of evidence is missing"),
        ("6.1", r"^(gup_unshares = .*)\"source\"", r'\1"guess"', "gup_unshares: its kind of evidence is guess"),
        ("6.1", r"^(gup_unshares = .*)\"anon\"", r'\1"some"', "6.1.toml: gup_unshares: 'some' is none of its values"),
        ("6.1", r"^(gup_unshares = .*), line = \d+", r"\1", "6.1.toml: gup_unshares: its source lacks line"),
        ("6.1", r"^(gup_unshares = .*) }", r"\1, by = 1 }", "gup_unshares: its source has by, which says nothing"),
        ("6.1", r", has = .*", " }", "says neither what is there nor what is not"),
        ("6.1", r"^read = .*\n", "", "evidence from a source, and no source was read"),
        ("6.1", r"before = \"6.1.130\"", 'before = "6.1.131"', "zero_page_pin_exempt: no change of 6.1.131 gives it"),
        ("6.1", r"^release = \"6.1.130\"", 'release = "6.2.1"', "6.2.1 is not the next of 6.1's stable releases"),
        ("6.2", r"^(gup_unshares = .*)after", r"\1behind", "6.2.toml: gup_unshares: its history has behind"),
        ("6.2", r"^(wp_reuse_large = .*)cd197c3a2040", r"\1a7f226604170", "6.2.toml: wp_reuse_large: its commits are"),
        ("6.2", r"^(direct_io = ).*", r'\1{ value = "foll_get", kind = "between", sides = ["6.1", "6.12"] }',
         "6.2.toml: direct_io: foll_get, but between foll_get in 6.1, foll_pin in 6.12"),
        ("6.2", r"^(anon_exclusive = .*)\"6.12\"", r'\1"6.18"', "6.2.toml: between 6.18, of which no source was read"),
        ("6.18", r"rule = \"huge_wp_reuse\"", 'rule = "nothing"', "it is moot by nothing, which is no rule"),
        ("7.3", r"^release = \"7.3\"", 'release = "7.4"', "7.3.toml: it calls itself 7.4"),
        ("7.3", r"^stable = .*\n", "", "7.3.toml: it has release, read"),
        ("7.3", r"^\[rules\]", "[rules", "7.3.toml: "),
    ],
)  # fmt: skip
def test_a_file_that_says_too_little_does_not_load(
    tmp_path: Path, release: str, line: str, instead: str, told: str
) -> None:
    """A rule or a kind that is missing or unknown, or what cannot be so: a sentence names the file and the rule."""
    with pytest.raises(BadRelease) as refused:
        load(changed(tmp_path, release, line, instead))
    assert told in str(refused.value)


@pytest.mark.parametrize("release", releases())
def test_a_value_of_another_release_is_noticed(tmp_path: Path, release: str) -> None:
    """Each rule of a file with each other value: since when mainline has it says that this cannot be."""
    for rule in RULES:
        value = held(rule, release).value
        for other in set(rule.names) - {value}:
            path = changed(
                tmp_path / rule.name / other, release, rf"^({rule.name} = {{ value = )\"{value}\"", rf'\1"{other}"'
            )
            with pytest.raises(BadRelease, match=f"{release}.toml: {rule.name}: "):
                load(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_loads_and_every_kind_is_known(path: Path) -> None:
    """Each file, also those of sources without a row, holds a value of every rule."""
    assert load(path).held.keys() == {rule.name for rule in RULES}


def test_every_kind_of_evidence_is_used() -> None:
    """No kind without an example."""
    used = {type(one.evidence) for path in FILES for one in load(path).held.values()}
    assert used == set(KINDS.values())


def test_a_kernel_ran_a_probe_that_there_is() -> None:
    """The scenario that a kernel ran is that of the rule's probe."""
    ran = {(name, one.evidence) for path in FILES for name, one in load(path).held.items()}
    probes = {name: evidence.probe for name, evidence in ran if isinstance(evidence, Kernel)}
    assert probes
    assert all(name == probe and probe in PROBES for name, probe in probes.items())


def test_a_release_without_a_source_claims_none() -> None:
    """Of 6.2 and 6.18 none was at hand."""
    for release in releases():
        claims = [name for name, one in file_of(release).held.items() if isinstance(one.evidence, Source)]
        assert bool(claims) == bool(file_of(release).read), release
    assert [release for release in releases() if not file_of(release).read] == ["6.2", "6.18"]
    assert [path.stem for path in (FOLDER / BESIDE).glob("*.toml")] == ["7.2"]


@pytest.mark.skipif("PINHOLD_SOURCES" not in os.environ, reason="PINHOLD_SOURCES names no directory of them")
def test_the_sources_have_what_the_files_say() -> None:
    """Each line of each source is in the function and has the name that is told, and the function lacks the others."""
    assert source_marks.evidence_differences(Path(os.environ["PINHOLD_SOURCES"])) == []


SOURCE = """\
/* with_it( in a comment */
static int decides(struct thing *t)
{
\treturn with_it(t); /* without_it */
}

#define SIZE 31
"""


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        (Source("a.c", "decides", 4, "with_it", ("without_it",)), ""),
        (Source("a.c", "SIZE", 7, "31"), ""),
        (Source("a.c", "decides", 2, lacks=("other",)), ""),
        (Source("a.c", "decides", 3, "with_it"), "line 3 has no with_it"),
        (Source("a.c", "decides", 4, "without_it"), "line 4 has no without_it"),
        (Source("a.c", "decides", 4, "with_it", ("return",)), "it has return"),
        (Source("a.c", "other", 4, "with_it"), "line 4 is not in other"),
        (Source("b.c", "decides", 4, "with_it"), "there is no b.c"),
    ],
)
def test_a_wrong_line_of_a_source_is_noticed(tmp_path: Path, evidence: Source, told: str) -> None:
    """Of another function, without the name, with what should not be there."""
    (tmp_path / "a.c").write_text(SOURCE)
    assert source_marks.wrong(tmp_path, evidence) == told


def test_a_value_without_a_commit_does_not_load() -> None:
    """It says why it has none; a hash has twelve digits."""
    with pytest.raises(BadRule, match="is no commit"):
        Commit("", "6.2")
    with pytest.raises(BadRule, match="says why it has none"):
        NoCommit("", "6.2")
    with pytest.raises(BadRule, match="value 'yes': '' is neither a Commit nor a NoCommit"):
        Value("yes", "", "it does")  # type: ignore[arg-type]
    with pytest.raises(BadRule, match="value 'yes' says nothing"):
        Value("yes", Commit("a7f226604170", "6.2"), "")
    with pytest.raises(BadRule, match="two values or more"):
        Switch("Whether.", "function", Value("yes", Commit("a7f226604170", "6.2"), "it does"))
