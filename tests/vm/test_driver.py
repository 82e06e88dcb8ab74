"""The example driver: built for two kernels, its pins run tests of the seed there, and its mistakes are named."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.commands.examples import examples
from pinhold.commands.expected import predicted
from pinhold.commands.select import select
from pinhold.lab.driver import build_driver
from pinhold.lab.errors import LabError
from pinhold.lab.luggage import Luggage
from pinhold.lab.store import Kernel, Store
from pinhold.lab.target import VmTarget

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("vm:driver")]

TESTS = select(["seed/73", "seed/97", "seed/121", "seed/151", "seed/152"])
"""Read-only long-term pins, slow, of base pages and of what the patch is about."""


@pytest.fixture(scope="module")
def built() -> dict[str, tuple[Path, Path]]:
    """Kernel to what was built for it."""
    return {}


@pytest.fixture
def driver(kernel: Kernel, built: dict[str, tuple[Path, Path]], tmp_path: Path) -> tuple[Path, Path]:
    """The module, built once for the kernel, and the program that pins by it; skipped where there is no compiler."""
    if kernel.name in built:
        return built[kernel.name]
    if shutil.which("gcc") is None or shutil.which("make") is None:
        pytest.skip("needs gcc and make")
    for name, text in examples():
        if name.startswith("driver/"):
            (tmp_path / name.partition("/")[2]).write_text(text)
    try:
        module = build_driver(Store(), kernel, tmp_path, lambda line: None)
    except LabError as reason:
        pytest.skip(f"the driver cannot be built here: {reason}")
    program = tmp_path / "pin"
    subprocess.run(["gcc", "-Wall", "-Werror", "-o", program, tmp_path / "pin.c"], check=True)
    built[kernel.name] = module, program
    return built[kernel.name]


@pytest.mark.parametrize("kernel", ["6.1", "6.12"], indirect=True)
def test_its_pins_run_the_seed(kernel: Kernel, driver: tuple[Path, Path]) -> None:
    """Each pin is by the program, and each verdict as the rules of the release predict."""
    module, program = driver
    target = VmTarget(kernel.name, kernel, Luggage((module,), (str(program),)))
    try:
        results = list(target.run_all([test.scenario for test in TESTS]))
    finally:
        target.close()
    series = ".".join(kernel.release.split(".")[:2])
    for test, result in zip(TESTS, results, strict=True):
        assert set(result.mechanisms.values()) == {f"exec:{program}"}, (test.name, result.verdict)
        assert result.verdict.kind == predicted(test, series), (test.name, result.verdict)
    assert {result.verdict.kind for result in results} == ({"held", "violated"} if series == "6.1" else {"held"})


@pytest.mark.parametrize(
    ("way", "status", "words"),
    [
        ("get", 1, "is what get_user_pages(0) comes to"),
        pytest.param("right", 0, "As it declares in 16 of 16 checks", marks=pytest.mark.nightly),
        pytest.param("short", 1, "is what pin_user_pages(0) comes to", marks=pytest.mark.nightly),
        pytest.param(
            "force",
            1,
            "is what pin_user_pages(FOLL_LONGTERM|FOLL_WRITE|FOLL_FORCE) comes to",
            marks=pytest.mark.nightly,
        ),
    ],
)
@pytest.mark.parametrize("kernel", ["6.12"], indirect=True)
def test_a_mistake_is_named(
    kernel: Kernel, driver: tuple[Path, Path], way: str, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """exec-test tells what the driver calls, whatever the program says that it does."""
    module, program = driver
    command = ["exec-test", f"{program} {way}", "--on", f"vm:{kernel.name}", "--module", str(module)]
    assert main(command) == status
    assert words in " ".join(capsys.readouterr().out.split())
