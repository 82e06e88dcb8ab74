"""Real kernels in QEMU."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from beside import all_wrong, results_of, unlike
from lab_kernels import nightly
from pinhold.commands.agreement import compare_results
from pinhold.commands.expected import is_twelve, predicted
from pinhold.commands.registry import model_of
from pinhold.commands.select import select
from pinhold.lab.conversation import Conversation, GuestLost
from pinhold.lab.luggage import Luggage
from pinhold.lab.store import Kernel, Store
from pinhold.lab.target import VmTarget
from pinhold.scenario.parse import parse
from pinhold.scenario.watch import gigantic
from pinhold.targets.base import Unavailable
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

pytestmark = pytest.mark.slow

TWELVE = [test for test in select(["seed"]) if is_twelve(test) and not gigantic(test.scenario)]
"""The tests that the patch quotes, those with 1 GiB pages apart."""

both = pytest.mark.parametrize("kernel", ["6.1", "6.12"], indirect=True)
one = pytest.mark.parametrize("kernel", ["6.1"], indirect=True)


SWAPPED = [test for test in select(["seed"]) if "swapped" in test.scenario.title and not gigantic(test.scenario)]


@contextmanager
def own(kernel: Kernel, luggage: Luggage | None = None) -> Iterator[VmTarget]:
    """A target that is closed afterwards."""
    target = VmTarget(kernel.name, kernel, luggage or Luggage())
    try:
        yield target
    finally:
        target.close()


@both
def test_the_twelve_are_as_the_rules_predict_and_as_the_model_says(kernel: Kernel, guest: VmTarget) -> None:
    """Violated before the patch, held after it; and every page and frame is as on the model of the exact release."""
    model = model_of(guest.info())
    wrong = unlike(model)
    results = results_of(guest, [test.scenario for test in TWELVE], wrong)
    assert all_wrong(results, wrong) == {}
    series = ".".join(kernel.release.split(".")[:2])
    for test, result in zip(TWELVE, results, strict=True):
        if result.verdict.kind != "skipped":
            assert result.verdict.kind == predicted(test, series), test.name
        assert compare_results(result, run_scenario(model, test.scenario)).compared > 20
    slow = [result for test, result in zip(TWELVE, results, strict=True) if "GUP-fast" not in test.scenario.title]
    assert all(result.verdict.kind != "skipped" for result in slow)


@both
def test_the_guest_has_every_precondition_of_the_suite(kernel: Kernel, guest: VmTarget) -> None:
    """Swap, huge pages, the huge zero page and soft-dirty: none of the seed's tests is skipped for want of them."""
    info = guest.info()
    assert info.rules == kernel.release
    assert info.config["MEM_SOFT_DIRTY"] == "y"
    assert info.config["huge_zero_page"] == "y"
    assert int(info.config["swap_kib"]) > 200_000
    assert info.config["hugetlb_2M"] == "16 free of 16"
    assert info.config["files"] == "ext4"
    assert info.config["GUP_TEST"] == "n"
    assert info.mechanisms["vfio"] == info.mechanisms["direct_io"] == "available"


@both
def test_the_device_reads_what_its_pin_holds(kernel: Kernel, guest: VmTarget) -> None:
    """By its own DMA engine, through VFIO: the process's write of a private file is seen after the patch alone."""
    text = "scenario device\nmap P x memfd private\nread P x\npin P x as p longterm via vfio\ndevice read p\n"
    scenario = parse(text + "write P x 0xff\nexpect p sees P x\nunpin p\n")
    (result,) = guest.run_all([scenario])
    assert result.mechanisms == {"p": "vfio"}
    assert next(v.byte for o in result.observations for v in o.pins if v.byte is not None) == 0
    assert result.verdict.kind == ("violated" if kernel.release.startswith("6.1.") else "held")


@one
def test_a_panic_at_boot_is_told_with_the_console(kernel: Kernel) -> None:
    """A real kernel without its init: crashed, with the kernel's own words."""
    setup = VmTarget(kernel.name, kernel)._setup(gigantic=False)
    with pytest.raises(GuestLost, match="panic") as lost:
        Conversation(replace(setup, append="rdinit=/absent root=/dev/absent rootwait=0"), "vm:x").close()
    assert lost.value.kind == "crashed"


@one
def test_ones_own_image_needs_no_modules(kernel: Kernel) -> None:
    """The path of a bzImage alone: it boots, and scenarios run; what needs a module says so."""
    image = Kernel("own", Path(kernel.image), kernel.release, own=True)
    with own(image) as target:
        (result,) = target.run_all([TWELVE[0].scenario])
        info = target.info()
    assert info.mechanisms["pinprobe"] == "no /dev/pinprobe here"
    assert result.verdict.kind == "skipped"
    assert "gup_test" in (result.verdict.reason or "")


@one
def test_a_module_of_another_kernel_is_said(kernel: Kernel) -> None:
    """What was asked to be loaded and is not: nothing runs without it, and the guest is gone."""
    others = [other.pinprobe for other in Store().kernels() if other.pinprobe and other.release != kernel.release]
    if not others:
        pytest.skip("needs a second stock kernel with pinprobe: pinhold kernels fetch 6.12")
    with own(kernel, Luggage(modules=(others[0],))) as target, pytest.raises(Unavailable, match="Exec format error"):
        target.info()


@pytest.mark.parametrize("kernel", ["6.1", *nightly("6.12")], indirect=True)
def test_swap_in_memory_is_as_the_model_says(kernel: Kernel) -> None:
    """The seed's swapped-out tests on zram, beside the model of a synchronous device: every page and frame."""
    with own(kernel, Luggage(swap="zram")) as target:
        model = model_of(target.info())
        wrong = unlike(model)
        results = results_of(target, [test.scenario for test in SWAPPED], wrong)
    assert isinstance(model, ModelTarget)
    assert model.config["swap_sync"] == 1
    assert all_wrong(results, wrong) == {}
    for test, result in zip(SWAPPED, results, strict=True):
        if result.verdict.kind != "skipped":
            assert result.verdict.kind == run_scenario(model, test.scenario).verdict.kind, test.name
