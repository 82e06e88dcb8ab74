"""Imports keep their direction, and `pinhold --help` imports next to nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "pinhold"
STANDARD_ONLY = ("mm", "scenario", "targets", "system")
BELOW = {
    "mm": set[str](),
    "scenario": set[str](),
    "compiler": {"mm", "trust"},
    "targets": {"mm", "scenario", "trust"},
    "system": {"scenario", "targets", "trust"},
    "ask": {"mm", "scenario", "targets"},
    "audit": {"ask", "mm", "scenario", "trust"},
    "touched": {"mm", "scenario", "targets"},
    "inspect": {"scenario", "targets", "trust"},
    "report": {"ask", "audit", "inspect", "mm", "scenario", "targets"},
}
"""What each room may import besides itself."""


def imported(file: Path) -> set[str]:
    """The names of all modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "pinhold"}
    return names


@pytest.mark.parametrize("room", STANDARD_ONLY)
def test_what_travels_into_guests_is_standard_library_only(room: str) -> None:
    """mm, scenario, targets and system import the standard library and pinhold, nothing else."""
    tops = {name.partition(".")[0] for file in (PACKAGE / room).rglob("*.py") for name in imported(file)}
    assert tops - sys.stdlib_module_names == {"pinhold"} & tops


@pytest.mark.parametrize(("room", "allowed"), BELOW.items())
def test_imports_run_downwards(room: str, allowed: set[str]) -> None:
    """No room imports from a room above or beside it."""
    wrong = {
        f"{file.relative_to(PACKAGE)} imports {name}"
        for file in (PACKAGE / room).rglob("*.py")
        for name in imported(file)
        if name.startswith("pinhold.") and name.split(".")[1] not in {room, "__version__", *allowed}
    }
    assert wrong == set()


def test_import_linter_keeps_the_contracts() -> None:
    """The contracts of pyproject.toml hold, indirect imports included."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-logo"]
    done = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_help_imports_only_the_grammar() -> None:
    """`pinhold --help` reads none of the rooms below it: it is there at once."""
    script = (
        "import sys; from pinhold.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    grammar = {
        "pinhold",
        "pinhold.cli",
        "pinhold.commands",
        "pinhold.commands.grammar_audit",
        "pinhold.commands.grammar_cluster",
        "pinhold.commands.grammar_conform",
        "pinhold.commands.grammar_explore",
        "pinhold.commands.grammar_inspect",
        "pinhold.commands.grammar_lab",
        "pinhold.commands.grammar_pages",
        "pinhold.commands.grammar_run",
        "pinhold.commands.grammar_touches",
    }
    assert {name for name in loaded if name.startswith("pinhold")} == grammar
    assert loaded.isdisjoint({"ctypes", "multiprocessing", "json", "xml", "numpy", "numba", "tempfile", "difflib"})
