"""The package that is installed elsewhere: what is in it, what it says of itself, and does it do what the tree does?"""

import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="needs hatchling: make test installs it")

ROOT = Path(__file__).parents[2]
PLACES = {"src/pinhold": "pinhold", "docs": "pinhold/docs"}
OF_THE_BOOK = {"_build", "extension", "static", "conf.py"}
"""What of docs/ builds its pages."""

ANSWERS = [
    ["run", "seed/151", "--on", "model:6.1", "--format", "ktap"],
    ["rules", "diff", "6.1", "6.2"],
    ["show", "seed/151", "--text"],
    ["help", "run"],
    ["docs", "howto/bisect"],
    ["examples", "exec/pipe.c"],
    ["version"],
]
"""Commands that need neither a kernel nor an extra."""

LACKS = [
    (["completion", "bash"], "pip install 'pinhold[terminal]'"),
    (["show", "seed/151", "--html", "x.html"], "pip install 'pinhold[report]'"),
    (["explore", "fork-pin", "--compiled"], "pip install 'pinhold[explore]'"),
    (["explore", "fork-pin", "--workers", "2"], "pip install 'pinhold[cluster]'"),
    (["pins", "--on", "vmcore:x"], "pip install 'pinhold[inspect]'"),
]
"""Commands that need an extra, and what they say without it."""


def build(folder: Path, kind: str = "wheel", of: Path = ROOT) -> Path:
    """As `python -m build` does it, by the build backend that constraints.txt pins; nothing is fetched."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    done = subprocess.run(command, cwd=of, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return message_from_bytes(archive.read(next(n for n in archive.namelist() if n.endswith("/METADATA"))))


def test_two_builds_are_alike_byte_for_byte(wheel: Path, tmp_path: Path) -> None:
    """Neither the time, nor the user's umask, nor the order of a directory shows in it."""
    assert build(tmp_path).read_bytes() == wheel.read_bytes()


def test_the_source_package_makes_the_same(wheel: Path, tmp_path: Path) -> None:
    """`python -m build` makes the wheel of what it has packed before."""
    with tarfile.open(build(tmp_path / "sdist", "sdist")) as archive:
        archive.extractall(tmp_path / "tree", filter="data")
    assert build(tmp_path / "dist", of=next((tmp_path / "tree").iterdir())).read_bytes() == wheel.read_bytes()


def test_all_of_the_tree_that_a_user_needs_is_in_it(wheel: Path) -> None:
    """The code, scopes, releases, templates, the module's source, examples and pages: each file, and nothing else."""
    wanted = {
        f"{there}/{file.relative_to(ROOT / here)}"
        for here, there in PLACES.items()
        for file in (ROOT / here).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
        if here != "docs" or file.relative_to(ROOT / here).parts[0] not in OF_THE_BOOK
    }
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert found == wanted
    assert {"pinhold/py.typed", "pinhold/lab/pinprobe/pinprobe.c", "pinhold/examples/exec/pipe.c"} < found


def test_its_licences_are_named_and_in_it(wheel: Path, metadata: Message) -> None:
    """The modules of the kernel are GPL-2.0, and each says so in its first line; all else is Apache-2.0."""
    assert metadata["License-Expression"] == "Apache-2.0 AND GPL-2.0-only"
    with zipfile.ZipFile(wheel) as archive:
        for name in metadata.get_all("License-File", []):
            there = next(n for n in archive.namelist() if n.endswith(f".dist-info/licenses/{name}"))
            assert archive.read(there) == (ROOT / name).read_bytes()
    assert metadata.get_all("License-File") == ["LICENSE", "LICENSES/GPL-2.0-only.txt"]
    modules = [
        file for there in PLACES for file in (ROOT / there).rglob("*.c") if "<linux/module.h>" in file.read_text()
    ]
    assert modules
    assert [m.name for m in modules if "SPDX-License-Identifier: GPL-2.0" not in m.read_text().partition("\n")[0]] == []


def test_its_version_is_the_one_that_the_changelog_begins_with(metadata: Message) -> None:
    """What a version brings stands there under its number."""
    first = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))
    assert first.split()[1] == metadata["Version"]


def test_its_description_links_to_nothing_that_is_not_there(metadata: Message) -> None:
    """A package index has neither the pages nor the pictures of the tree: their names stand there as text."""
    text = metadata.get_payload()
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert text.startswith("# pinhold\n")
    assert "](docs/" not in text
    assert "](ARCH" not in text
    assert "`docs/howto/test-a-kernel.md`" in text


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, in an environment of its own that has nothing else."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("needs pip: apt-get install python3-venv")
    env = tmp_path_factory.mktemp("env")
    venv.create(env, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(env / "bin" / "python"), "install", "-q", "--no-index"]
    done = subprocess.run([*pip, str(wheel)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return env / "bin" / "pinhold"


def test_installed_it_answers_as_the_tree_does(installed: Path, tmp_path: Path) -> None:
    """From another directory: the same words and the same status.  `check` on models is as predicted."""
    answers_alike(installed, tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("tool", "install"), [("pipx", ["pipx", "install"]), ("uv", ["uv", "tool", "install", "--no-config"])]
)
def test_installed_by_other_tools_it_answers_alike(
    wheel: Path, tmp_path: Path, tool: str, install: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """pipx and `uv tool`, fetched from the package index, into folders of their own."""
    venv.create(tmp_path / "tools", with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(tmp_path / "tools" / "bin" / "python"), "install", "-q", tool]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{tool} could not be fetched: {done.stderr.strip().splitlines()[-1]}")
    for name in ("PIPX_HOME", "PIPX_BIN_DIR", "PIPX_MAN_DIR", "UV_TOOL_DIR", "UV_TOOL_BIN_DIR", "UV_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    command = [tmp_path / "tools" / "bin" / install[0], *install[1:], wheel]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers_alike(tmp_path / ("PIPX_BIN_DIR" if tool == "pipx" else "UV_TOOL_BIN_DIR") / "pinhold", tmp_path)


def answers_alike(installed: Path, tmp_path: Path) -> None:
    """As the tree does, from another directory."""
    for words in ANSWERS:
        ours = subprocess.run([sys.executable, "-m", "pinhold", *words], capture_output=True, check=False)
        its = subprocess.run([installed, *words], cwd=tmp_path, capture_output=True, check=False)
        assert (its.returncode, its.stdout, its.stderr) == (ours.returncode, ours.stdout, ours.stderr)
    check = [installed, "check", "--on", "model:6.1", "--on", "model:6.2"]
    done = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\nAll as predicted.\n")


def test_installed_without_extras_it_says_which_one_a_command_needs(installed: Path, tmp_path: Path) -> None:
    """One line and status 4; and a small scope is searched without any."""
    for words, says in LACKS:
        done = subprocess.run([installed, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (4, ""), words
        assert says in done.stderr
        assert done.stderr.count("\n") == 1
    search = [installed, "explore", "device-writes-behind-file"]
    done = subprocess.run(search, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Exhausted" in done.stdout
