"""What the project's files look like: sizes, words, and what must never be in them."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATED = {".git", ".venv", "__pycache__", ".hypothesis", ".pytest_cache", ".mypy_cache", ".ruff_cache", "_build"}
LONGEST = 800


def project_files() -> list[Path]:
    """Every file of the project, without what tools made."""
    return [
        file
        for file in ROOT.rglob("*")
        if file.is_file() and GENERATED.isdisjoint(file.relative_to(ROOT).parts) and not file.name.endswith(".pyc")
    ]


def text_files() -> list[tuple[str, str]]:
    """Path and text of each."""
    return [(str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")) for file in project_files()]


def test_no_source_file_outgrows_its_concept() -> None:
    """No Python file has more than 800 lines."""
    assert {p: n for p, t in text_files() if p.endswith(".py") and (n := t.count("\n")) > LONGEST} == {}


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("an absolute path of a machine", r"(?<![\w.-])/(?:home|root|work|Users|opt|mnt|srv)/[A-Za-z0-9_.-]+"),
        (
            "a private network address",  # the loopback address is of every machine
            r"(?<!=)\b(?:10|127(?!\.0\.0\.1\b)|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2,3}\b",
        ),
        ("a name of a host", r"\b[a-z0-9][a-z0-9-]*\.(?:local|lan|internal|corp|intranet)\b"),
        ("somebody's shell prompt", r"(?m)^\w+@[\w-]+:[~/]"),
    ],
)
def test_no_machine_is_committed(what: str, pattern: str) -> None:
    """Neither paths nor names nor addresses of one machine are in any file."""
    found = [
        f"{path}: {match[0]}"
        for path, text in text_files()
        if path not in ("tests/repo/test_files.py", "LICENSE")
        for match in re.finditer(pattern, text)
    ]
    assert found == [], what


def test_constraints_pin_versions_and_name_no_place() -> None:
    """Each line of constraints.txt is NAME==VERSION."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", line)] == []
    assert len(lines) > 10


def test_every_dependency_is_pinned() -> None:
    """What pyproject.toml names, constraints.txt pins."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    wanted = {re.split(r"[ <>=]", name)[0] for extra in project["optional-dependencies"].values() for name in extra}
    assert wanted - pinned == set()
    assert project["dependencies"] == []


def test_every_test_says_what_it_shows() -> None:
    """Each test function has a docstring of its own."""
    silent = [
        f"{path}: {node.name}"
        for path, text in text_files()
        if path.startswith("tests/") and path.endswith(".py")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert silent == []


def test_the_licence_is_there_whole() -> None:
    """LICENSE is the text of the Apache License 2.0."""
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
