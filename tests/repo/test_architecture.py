"""ARCHITECTURE.md draws the rooms as they are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "pinhold"
TEXT = (ROOT / "ARCHITECTURE.md").read_text()
ROWS = re.findall(r"^\| `([\w.]+)/?` \| .* \| ?(.*) \|$", TEXT, re.MULTILINE)
ROOMS = {name.removesuffix(".py"): frozenset(re.findall(r"`(\w+)`", imports)) for name, imports in ROWS}


def layers() -> list[list[str]]:
    """The rooms of the import contract, layer by layer, the top one first; without those that are not there yet."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    contract = next(contract for contract in contracts if contract["type"] == "layers")
    named = [re.findall(r"\w+", layer) for layer in contract["layers"]]
    return [
        [room for room in layer if (PACKAGE / room).exists() or (PACKAGE / f"{room}.py").exists()] for layer in named
    ]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Which module imports which."""
    return grimp.build_graph("pinhold", cache_dir=None)


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_its_rooms_are_the_folders() -> None:
    """Each folder and each module of the package has a row, and no row is of something that is gone."""
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert set(ROOMS) == folders | modules


def test_its_rooms_are_those_of_the_contract() -> None:
    """In its order, from the top down, so that each room imports from those below it."""
    assert set(ROOMS) == {room for layer in layers() for room in layer}
    depth = {room: number for number, layer in enumerate(layers()) for room in layer}
    assert [depth[room] for room in ROOMS] == sorted(depth[room] for room in ROOMS)


def test_each_room_imports_what_it_says(graph: grimp.ImportGraph) -> None:
    """Neither less nor more."""
    found: dict[str, set[str]] = {name: set() for name in ROOMS}
    for module in graph.modules - {"pinhold"}:
        found[room(module)] |= {room(other) for other in graph.find_modules_directly_imported_by(module)}
    assert {name: imports - {name, ""} for name, imports in found.items()} == ROOMS


def test_every_file_that_it_names_is_there() -> None:
    """Folders and tests are where it says."""
    inside = {name for name in re.findall(r"`(\w+)/`", TEXT) if name not in ROOMS}
    assert {name for name in inside if not list(PACKAGE.rglob(name))} == set()
    assert all((ROOT / name).exists() for name in re.findall(r"`(tests/[\w/.]+)`", TEXT))


def test_there_is_no_circle(graph: grimp.ImportGraph) -> None:
    """No module is imported, by way of others, by what it imports."""
    circles = set()
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            if graph.chain_exists(importer=other, imported=module):
                circles.add(f"{module} imports {other}, which leads back")
    assert circles == set()
