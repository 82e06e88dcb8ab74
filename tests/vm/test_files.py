"""Ordinary files of guests: ext4 on a disk of their own, and what is told where there is none."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lab_kernels import nightly
from pinhold.commands.agreement import agreement, run_again
from pinhold.commands.registry import model_of
from pinhold.commands.runs import run_tests
from pinhold.commands.select import Selected, select
from pinhold.lab import disk
from pinhold.lab.store import Kernel
from pinhold.lab.target import VmTarget
from pinhold.scenario.parse import parse
from pinhold.targets.runner import Result

pytestmark = pytest.mark.slow

kernels = pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.3", *nightly("5.10", "6.18")], indirect=True)
one = pytest.mark.parametrize("kernel", ["6.1"], indirect=True)

TRACKED = """scenario a writable long-term pin of a shared mapping of a file
map   P x {kind} shared
write P x 0x11
pin   P x as p write longterm
expect errno EFAULT
"""


def on(target: VmTarget, *texts: str) -> list[Result]:
    """The results of these scenarios."""
    return list(target.run_all([parse(text) for text in texts]))


def on_own(target: VmTarget, *texts: str) -> list[Result]:
    """The same, of a target that is closed then."""
    try:
        return on(target, *texts)
    finally:
        target.close()


def beside_the_model(guest: VmTarget, tests: Sequence[Selected]) -> None:
    """None of them is skipped, and every verdict and value is the model's."""
    theirs = list(run_tests(model_of(guest.info()), tests))
    ours = run_again(guest, list(run_tests(guest, tests)), theirs)
    assert [(r.name, r.verdict) for r in ours if r.verdict.kind not in ("held", "violated")] == []
    found = agreement(ours, theirs)
    assert found.differences == ()
    assert found.verdicts == len(tests)


@kernels
def test_files_that_track_dirtying_are_told_from_those_that_do_not(kernel: Kernel, guest: VmTarget) -> None:
    """The rule of 6.5 (8ac268436e6d): such a pin of an ordinary file is EFAULT, of a memfd never."""
    before = tuple(int(number) for number in kernel.release.split(".")[:2]) < (6, 5)
    file, tmpfile, memfd = on(guest, *map(TRACKED.format_map, _kinds()))
    expected = "violated" if before else "held"
    assert [r.verdict.kind for r in (file, tmpfile)] == [expected, expected], [file.verdict, tmpfile.verdict]
    assert memfd.verdict.kind == "violated"


def _kinds() -> list[dict[str, str]]:
    return [{"kind": kind} for kind in ("file", "tmpfile", "memfd")]


@kernels
def test_direct_io_of_the_suite_runs_in_guests(guest: VmTarget) -> None:
    """The suite's tests of O_DIRECT, each on every kind of memory but huge pages that run short."""
    tests = [t for t in select(["stock"]) if "O_DIRECT" in t.scenario.title and "swapped" not in t.scenario.title]
    assert len(tests) > 10
    beside_the_model(guest, tests)


@kernels
def test_what_is_written_back_is_as_the_model_says(guest: VmTarget) -> None:
    """Clean and dirty pages of an ordinary file, private copies, writeback, fork: every page and frame."""
    texts = (
        "map P x file shared\nwrite P x 0x11\nwriteback P x\nread P x\nwrite P x 0x22\nfork P C\nread C x\n"
        "expect C x 0x22\n",
        "map P x tmpfile\nread P x\nmap P s of x shared\nwrite P s 0x33\nexpect P x 0x33\nwrite P x 0x44\n"
        "expect P s 0x33\nexpect P x 0x44\n",
        "map P x file shared pages 8\nwrite P x 0x55\ndirect write P x as t\nexpect t 0x55\nwriteback P x\n"
        "madvise P x dontneed\nread P x\nexpect P x 0x55\n",
    )
    tests = [Selected(n, f"file/{n}", parse(f"scenario file\n{text}"), "") for n, text in enumerate(texts, 1)]
    beside_the_model(guest, tests)


@one
def test_without_a_program_that_formats_files_are_skipped(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kinds that are ordinary files are never made on tmpfs: the reason is what to install; the others run."""
    monkeypatch.setattr(disk, "MKFS", "mkfs.absent")
    file, tmpfile, memfd = on_own(VmTarget(kernel.name, kernel), *map(TRACKED.format_map, _kinds()))
    assert file.verdict.kind == tmpfile.verdict.kind == "skipped"
    assert file.verdict.reason == f"needs an ordinary file: {disk.missing()}"
    assert memfd.verdict.kind == "violated"


SWAPPED = "scenario s\nmap P x anon\nwrite P x 0x01\nswapout P x\n"


@one
def test_an_image_without_its_modules_names_the_option(kernel: Kernel) -> None:
    """What needs a disk names what the kernel has as a module only, or, of an unknown configuration, what it is."""
    own = Kernel("own", Path(kernel.image), kernel.release, config=kernel.config, own=True)
    file, swapped = on_own(VmTarget("own", own), TRACKED.format(kind="file"), SWAPPED)
    module = "CONFIG_VIRTIO_PCI is a module of this kernel that is not loaded: virtio_pci"
    assert (file.verdict.kind, file.verdict.reason) == ("skipped", f"needs an ordinary file: {module}")
    assert (swapped.verdict.kind, swapped.verdict.reason) == ("skipped", f"needs swap: {module}")
    (file,) = on_own(VmTarget("own", replace(own, config=None)), TRACKED.format(kind="file"))
    assert "CONFIG_VIRTIO_BLK" in (file.verdict.reason or "")


TWO = """scenario two pins by devices
map    P x memfd shared pages 2
write  P x 0x01
pin    P x[0] as p longterm via vfio
pin    P x[1] as q longterm via vfio
write  P x[0] 0x11
write  P x[1] 0x22
device read p
device read q
expect p 0x11
expect q 0x22
unpin  p
pin    P x[1] as r longterm via vfio
expect r 0x22
"""


@one
def test_two_pins_by_vfio_are_held_at_once(guest: VmTarget) -> None:
    """Each has a device of its own, which reads what that pin holds; a third one waits until one of them is let go."""
    third = TWO.replace("unpin  p\n", "")
    two, three = on(guest, TWO, third)
    assert two.verdict.kind == "held"
    assert two.mechanisms == {"p": "vfio", "q": "vfio", "r": "vfio"}
    assert (three.verdict.kind, three.verdict.reason) == ("skipped", "the 2 edu devices here hold other pins already")
