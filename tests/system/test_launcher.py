"""The command that `make` puts into a tree: it runs that tree's code, wherever it is called from or moved to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pinhold import __version__

ROOT = Path(__file__).parents[2]
HOSTILE = "import os, sys\nos.write(2, b'HOSTILE ' + __file__.encode())\nos._exit(77)\n"


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree in which make has made the command, and which was moved afterwards; at the old place there is another."""
    folder = tmp_path_factory.mktemp("trees")
    old, new = folder / "old", folder / "new"
    old.mkdir()
    shutil.copy(ROOT / "Makefile", old)
    shutil.copytree(ROOT / "src", old / "src", ignore=shutil.ignore_patterns("__pycache__"))
    make(old)
    old.rename(new)
    hostile(old / "src")
    return new


def make(tree: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Make the command as `make check` does."""
    command = ["make", "-C", str(tree), f"PYTHON={sys.executable}", ".venv/.run-ready", *more]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)


def hostile(folder: Path) -> None:
    """What an attacker leaves in a directory: modules by the names of the standard library and of pinhold."""
    (folder / "pinhold").mkdir(parents=True)
    for name in ("argparse", "importlib", "sitecustomize", "usercustomize", "json", "signal", "startup"):
        (folder / f"{name}.py").write_text(HOSTILE)
    for name in ("__init__", "__main__"):
        (folder / "pinhold" / f"{name}.py").write_text(HOSTILE)


def run(where: Path, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a directory."""
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=where, env=env, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("variables", [{}, {"PYTHONPATH": "."}, {"PYTHONPATH": ":", "PYTHONSTARTUP": "startup.py"}])
@pytest.mark.parametrize("link", [False, True])
def test_nothing_of_the_current_directory_runs(
    moved: Path, tmp_path: Path, link: bool, variables: dict[str, str]
) -> None:
    """Nor of PYTHONPATH, by a link to the command as well, in a tree that was moved."""
    hostile(tmp_path)
    command = moved / ".venv" / "bin" / "pinhold"
    if link:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "first").symlink_to(command)
        command = tmp_path / "bin" / "pinhold"
        command.symlink_to("first")
    done = run(tmp_path, command, "run", "pins/1", "--on", "model:6.2", "--format", "json", **variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert f'"pinhold":"{__version__}"' in done.stdout


def test_the_moved_tree_runs_its_own_code(moved: Path, tmp_path: Path) -> None:
    """Not that of the place where it was made."""
    program = "import pinhold; print(pinhold.__file__)"
    done = run(tmp_path, moved / ".venv" / "bin" / "python", "-I", "-c", program)
    assert done.stdout.strip() == str(moved / "src" / "pinhold" / "__init__.py")


def test_the_command_is_made_once_by_two_makes(tmp_path: Path) -> None:
    """The second waits, says for which process, and finds the work done."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "src").symlink_to(ROOT / "src")
    started, goon = tmp_path / "started", tmp_path / "goon"
    # A Python that counts how often an environment is made, and is slow about it.
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in *venv*) echo x >> {started}; while [ ! -e {goon} ]; do sleep 0.05; done;; esac\n'
        f'exec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    done: list[subprocess.CompletedProcess[str]] = []
    first = threading.Thread(target=lambda: done.append(make(tmp_path, f"PYTHON={python}")))
    first.start()
    while not started.exists():
        assert first.is_alive()
        time.sleep(0.05)
    command = ["make", "-C", str(tmp_path), f"PYTHON={python}", ".venv/.run-ready"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as second:
        assert second.stdout is not None
        said = next(line for line in second.stdout if "waiting" in line)
        goon.touch()
        second.stdout.read()
    first.join()
    assert said.startswith("waiting for process ") and "another make in this directory" in said
    assert second.returncode == done[0].returncode == 0
    assert started.read_text() == "x\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="ordinary users import what PYTHONPATH has")
@pytest.mark.parametrize("variables", [{}, {"PYTHONPATH": "hostile"}, {"PYTHONPATH": ":/nonexistent"}])
def test_a_command_that_is_not_isolated_imports_nothing_of_others(tmp_path: Path, variables: dict[str, str]) -> None:
    """What pip puts into bin/, and `python -m`, with Python's usual path: as root the standard library is its own."""
    folder = tmp_path / ("hostile" if variables.get("PYTHONPATH") == "hostile" else ".")
    folder.mkdir(exist_ok=True)
    for name in ("argparse", "json", "textwrap"):
        (folder / f"{name}.py").write_text(HOSTILE)
    script = tmp_path / "bin" / "pinhold"
    script.parent.mkdir()
    script.write_text("import sys\nfrom pinhold.__main__ import entry\nsys.exit(entry())\n")
    for command in ([sys.executable, script], [sys.executable, "-m", "pinhold"]):
        done = run(tmp_path, *command, "rules", "list", **variables)
        assert done.returncode == 0, done.stderr
