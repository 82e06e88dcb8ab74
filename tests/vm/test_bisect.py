"""`git bisect run` over kernels: good and bad ones, and such that do not boot (tests/unit/test_bisect.py: models)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bisected import Repository, git_missing
from pinhold.lab.store import Kernel

pytestmark = [pytest.mark.slow, pytest.mark.skipif(git_missing(), reason="needs git")]

SCRIPT = 'exec $PINHOLD compare --bisect "$(cat target)" model:6.2 seed/151'


@pytest.mark.parametrize("kernel", ["6.12"], indirect=True)
@pytest.mark.parametrize("other", ["6.1"])
def test_it_finds_the_first_bad_kernel(kernel: Kernel, other: str, tmp_path: Path) -> None:
    """One whose image is cut off is passed over; the first one without the patch is found."""
    good, bad = f"vm:{kernel.name}", f"vm:{other}"
    repository = Repository(tmp_path, SCRIPT)
    image = tmp_path / "cut" / "bzImage"
    image.parent.mkdir()
    image.write_bytes(kernel.image.read_bytes()[: 2 << 20])
    repository.commit(good, good, good, f"vm:{image}", good, bad, bad)
    done = repository.bisect()
    assert done.returncode == 0, done.stdout + done.stderr
    assert repository.first_bad() == 5
    assert f"cannot be tested: '{image}' " in done.stdout
    assert f"seed/151: {bad} violated, model:6.2 held" in done.stdout


@pytest.mark.parametrize("kernel", ["6.12"], indirect=True)
def test_it_passes_over_a_kernel_that_starts_and_dies(kernel: Kernel, tmp_path: Path) -> None:
    """The image is whole, and QEMU starts it: its first instruction for protected mode is a trap, and nothing catches
    that (Documentation/arch/x86/boot.rst: setup_sects at 0x1f1).  The others are models."""
    image = bytearray(kernel.image.read_bytes())
    image[(image[0x1F1] + 1) * 512] = 0xCC
    (tmp_path / "bzImage").write_bytes(image)
    repository = Repository(tmp_path, SCRIPT)
    good, bad, dies = "model:6.12", "model:6.1", f"vm:{tmp_path}/bzImage"
    repository.commit(good, good, good, dies, good, bad, bad)
    done = repository.bisect()
    assert done.returncode == 0, done.stdout + done.stderr
    assert repository.first_bad() == 5
    assert " cannot run here: the guest ended, and its console is empty" in done.stdout
