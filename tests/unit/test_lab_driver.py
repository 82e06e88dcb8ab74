"""A driver of the user's is built for a kernel: what is missing is a sentence, and its folder stays as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.lab import driver
from pinhold.lab.errors import LabError
from pinhold.lab.kbuild import BuildFailed, make
from pinhold.lab.store import Kernel, Store
from pinhold.lab.target import kernel_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A build tree whose `make` makes a module of one word of each source."""
    tree = tmp_path / "linux"
    (tree / "arch/x86/boot").mkdir(parents=True)
    (tree / "Makefile").write_text("modules:\n\tcut -c1-4 $(M)/mine.c > $(M)/mine.ko\n")
    (tree / "arch/x86/boot/bzImage").touch()
    return tree


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A driver of one file."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "mine.c").write_text("code and more")
    (folder / "Kbuild").write_text("obj-m := mine.o\n")
    return folder


def _bzimage() -> bytes:
    head = bytearray(0x400)
    head[0x202:0x206] = b"HdrS"
    head[0x300:0x307] = b"7.4.0 x"
    head[0x20E:0x210] = (0x100).to_bytes(2, "little")
    return bytes(head)


def kernel(tree: Path) -> Kernel:
    return Kernel("mine", tree / "arch/x86/boot/bzImage", "7.4.0", own=True)


def test_a_module_is_built_beside_its_sources_and_nothing_else(tree: Path, sources: Path, tmp_path: Path) -> None:
    """Its name says for which kernel it is; what the build makes on its way goes with it."""
    if shutil.which("make") is None or shutil.which("gcc") is None:
        pytest.skip("needs make and gcc")
    made = driver.build_driver(Store(tmp_path / "kernels"), kernel(tree), sources, lambda line: None)
    assert made == sources / "mine-7.4.0.ko"
    assert made.read_text() == "code\n"
    assert {path.name for path in sources.iterdir()} == {"mine.c", "Kbuild", "mine-7.4.0.ko"}


def test_pinprobe_is_built_for_ones_own_kernel_and_for_that_image_alone(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Guests of the image have it; those of the next build do not, until it is built again."""
    if shutil.which("make") is None or shutil.which("gcc") is None:
        pytest.skip("needs make and gcc")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tree / "Makefile").write_text("modules:\n\tcut -c1-2 $(M)/pinprobe.c | head -n 1 > $(M)/pinprobe.ko\n")
    image = tree / "arch/x86/boot/bzImage"
    image.write_bytes(_bzimage())
    assert kernel_of(str(image)).pinprobe is None
    assert main(["kernels", "module", str(image)]) == 0
    assert f"guests of {image} have pinprobe" in capsys.readouterr().out
    probe = kernel_of(str(image)).pinprobe
    assert probe is not None and probe.read_text() == "//\n"
    assert main(["kernels", "add", "copied", "--image", str(image)]) == 0
    assert capsys.readouterr().out.endswith("one's own, pinprobe\n")
    image.write_bytes(_bzimage() + b"patched")
    assert kernel_of(str(image)).pinprobe is None
    assert main(["kernels", "module", str(image)]) == 0
    again = kernel_of(str(image)).pinprobe
    assert again is not None and again != probe and not probe.exists()


@pytest.mark.parametrize(
    ("where", "config", "words"),
    [
        ("linux/arch/x86/boot/bzImage", "# CONFIG_MODULES is not set\n", "loads no modules: CONFIG_MODULES is off"),
        ("bzImage", "", "is not in its build tree any more"),
    ],
)
def test_a_kernel_that_can_have_no_pinprobe_says_why(
    where: str, config: str, words: str, tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 3, one sentence, and what has it."""
    (tree / ".config").write_text(config)
    image = tmp_path / where
    image.write_bytes(_bzimage())
    assert main(["kernels", "module", str(image)]) == 3
    assert words in capsys.readouterr().err


def test_what_does_not_compile_is_told_in_the_compilers_words(tree: Path, sources: Path, tmp_path: Path) -> None:
    """Its first complaint, and nothing is left."""
    if shutil.which("make") is None or shutil.which("gcc") is None:
        pytest.skip("needs make and gcc")
    (tree / "Makefile").write_text("modules:\n\t@echo 'mine.c:1:1: error: no such thing'; false\n")
    with pytest.raises(LabError, match=r"no module for mine: mine\.c:1:1: error: no such thing"):
        driver.build_driver(Store(tmp_path / "kernels"), kernel(tree), sources, lambda line: None)
    assert {path.name for path in sources.iterdir()} == {"mine.c", "Kbuild"}


def test_more_than_one_module_is_refused(tree: Path, sources: Path) -> None:
    """Which is meant is not guessed."""
    if shutil.which("make") is None or shutil.which("gcc") is None:
        pytest.skip("needs make and gcc")
    (tree / "Makefile").write_text("modules:\n\ttouch $(M)/a.ko $(M)/b.ko\n")
    with pytest.raises(BuildFailed, match=r"2 modules, where one is expected: a\.ko, b\.ko"):
        make(tree, sources)


def test_a_folder_without_kbuild_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 3; the sentence has the line that is missing."""
    image = tmp_path / "bzImage"
    image.write_bytes(_bzimage())
    assert main(["kernels", "module", str(image), str(tmp_path)]) == 3
    assert "has no Kbuild: one line in it, obj-m := NAME.o" in capsys.readouterr().err


def test_the_example_says_its_licence() -> None:
    """What is built into a kernel is GPL-2.0, as its first line says; programs may take the header, too."""
    said = {
        name: (ROOT / "examples/driver" / name).read_text().partition("\n")[0]
        for name in ("pinner.c", "Kbuild", "pinner.h")
    }
    assert said == {
        "pinner.c": "// SPDX-License-Identifier: GPL-2.0",
        "Kbuild": "# SPDX-License-Identifier: GPL-2.0",
        "pinner.h": "/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */",
    }
