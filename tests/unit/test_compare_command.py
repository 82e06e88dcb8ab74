"""`pinhold compare`: only what differs, and the statuses that `git bisect run` understands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.commands import compare, registry
from pinhold.commands.registry import configured_as
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.steps import Scenario
from pinhold.scenario.verdict import Verdict
from pinhold.targets.base import Unavailable
from pinhold.targets.model.target import RESOURCES, ModelTarget
from pinhold.targets.runner import Result


def test_only_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1 and the first difference, in words; status 0 where all is alike."""
    assert main(["compare", "model:6.1", "model:6.2", "seed/145-151"]) == 1
    out = capsys.readouterr().out
    assert "seed/151: model:6.1 violated, model:6.2 held" in out
    assert "seed/145" not in out
    assert main(["compare", "model:6.2", "model:6.12", "seed/145-151"]) == 0


def test_several_tests_are_counted_as_tests(capsys: pytest.CaptureFixture[str]) -> None:
    """A test that differs in its verdict and in a value is one test; more tests are named one after another."""
    assert main(["compare", "model:6.1", "model:6.2", "seed/151"]) == 1
    assert "differ in 1 test; compared were 1 verdict and " in capsys.readouterr().out
    assert main(["compare", "model:6.1", "model:6.2", "seed/145", "seed/151", "seed/153"]) == 1
    assert "differ in 2 tests; compared were 3 verdicts and " in capsys.readouterr().out


def test_a_scenario_that_expects_nothing_is_compared(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What both observed is compared, whether or not the scenario asks for a verdict."""
    file = tmp_path / "nothing.pin"
    file.write_text("scenario nothing expected\nmap P x zeropage\nread P x\npin P x as p longterm\n")
    assert main(["compare", "model:6.2", "model:6.12", str(file)]) == 0
    out = capsys.readouterr().out
    assert "are alike in all " in out and " observed values that both have." in out and "verdict" not in out
    assert main(["compare", "model:6.1", "model:6.2", str(file)]) == 1
    assert "kind: zero on model:6.1, anon on model:6.2" in capsys.readouterr().out


def test_what_neither_could_do_is_not_alike(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Where both were skipped nothing was compared: status 4."""
    file = tmp_path / "skipped.pin"
    file.write_text("scenario skipped\nmap P x anon\nrequire P x huge\nexpect P x 0x00\n")
    assert main(["compare", "model:6.2", "model:6.12", str(file)]) == 4
    assert "could be compared" in capsys.readouterr().err


class Guest:
    """A kernel in QEMU that comes to the same verdict in every test, or does not come up."""

    name = what = "vm:./bzImage"

    def __init__(self, verdict: Verdict, absent: str | None = None, unbootable: str | None = None) -> None:
        self.verdict, self.absent, self.unbootable = verdict, absent, unbootable

    def unavailable(self) -> str | None:
        """Why there is no QEMU."""
        return self.absent

    def info(self) -> TargetInfo:
        """Raises Unavailable where it does not come up."""
        if self.unbootable:
            raise Unavailable(self.unbootable)
        return TargetInfo(self.name, "6.2", "6.2", {}, {})

    def run_all(self, scenarios: Sequence[Scenario]) -> Iterator[Result]:
        """Nothing but the verdict."""
        return (Result(self.name, scenario, self.verdict) for scenario in scenarios)

    def share(self, guests: int) -> None:
        """One is enough."""

    def close(self) -> None:
        """Nothing runs."""

    def stop(self) -> None:
        """Nothing runs."""


def bisected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, guest: Guest, reference: str = "model:6.2") -> int:
    """The exit status for a commit whose kernel is that guest."""
    image = tmp_path / "bzImage"
    image.write_bytes(WHOLE)
    real = registry.make_target
    monkeypatch.setattr(
        registry, "make_target", lambda name, **named: guest if name.startswith("vm:") else real(name, **named)
    )
    return main(["compare", "--bisect", f"vm:{image}", reference, "seed/151"])


class Lacking(Guest):
    """Its kernel was built without what the first tests need."""

    def run_all(self, scenarios: Sequence[Scenario]) -> Iterator[Result]:
        """The first two are skipped."""
        lacks = Verdict("skipped", reason="no CONFIG_HUGETLBFS", step=0)
        return (Result(self.name, each, self.verdict if at > 1 else lacks) for at, each in enumerate(scenarios))


def test_what_one_side_alone_skipped_is_not_alike(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two targets that run now as of saved runs: a line for each reason, and status 2; to a bisection it is good."""
    guest, real = Lacking(Verdict("held")), registry.make_target
    monkeypatch.setattr(
        registry, "make_target", lambda name, **named: guest if name.startswith("vm:") else real(name, **named)
    )
    image = tmp_path / "bzImage"
    image.write_bytes(WHOLE)
    sides = [f"mine=vm:{image}", "model:6.2"]
    runs = [str(tmp_path / f"{number}.json") for number in (1, 2)]
    for side, file in zip(sides, runs, strict=True):
        main(["run", "seed/1-3", "--on", side, "-o", file])
    capsys.readouterr()
    for left, right in (sides, runs, reversed(runs), (sides[0], runs[1])):
        assert main(["compare", left, right, "seed/1-3"]) == 2
        out = capsys.readouterr().out
        assert out.count("skipped in mine alone: seed/1-2: no CONFIG_HUGETLBFS\n") == 1
        assert "are alike in the 1 verdict " in out and out.endswith(
            " 2 tests were skipped by one side alone: see above.\n"
        )
    assert main(["compare", *sides, "seed/1-3", "--bisect"]) == 0
    assert "skipped in mine alone" in capsys.readouterr().out


WHOLE = bytes(0x202) + b"HdrS" + bytes(0x100)
"""What a bzImage begins with."""

STUCK = "kernel stack hugetlb_wp < hugetlb_fault"
HALF = "model:6.1,gup_unshares=cow_longterm"
"""Seed/151 loops with it: the pin asks for what no fault does."""


@pytest.mark.parametrize(
    ("verdict", "reference", "status"),
    [
        (Verdict("held"), "model:6.2", 0),
        (Verdict("livelock", reason=STUCK, step=2), HALF, 0),
        (Verdict("violated", reason="stale", step=2), "model:6.2", 1),
        (Verdict("livelock", reason=STUCK, step=2), "model:6.2", 1),
        (Verdict("held"), HALF, 1),
        (Verdict("crashed", reason="panic", step=2), "model:6.2", 1),
        (Verdict("crashed", reason="it did not come up again"), "model:6.2", 125),
        (Verdict("error", reason="the tool"), "model:6.2", 125),
        (Verdict("skipped", reason="no pins"), "model:6.2", 125),
    ],
    ids=lambda value: value.kind if isinstance(value, Verdict) else str(value),
)
def test_the_status_says_good_bad_or_skip(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verdict: Verdict, reference: str, status: int
) -> None:
    """A kernel that loops or crashes in a test is bad; one that loops as the model does is good."""
    assert bisected(monkeypatch, tmp_path, Guest(verdict), reference) == status


def test_a_commit_whose_kernel_does_not_come_up_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the reason; so is one that gave no image."""
    assert bisected(monkeypatch, tmp_path, Guest(Verdict("held"), unbootable="the guest ended: No init")) == 125
    assert "No init" in capsys.readouterr().out
    monkeypatch.undo()
    arguments = ["compare", "vm:/nonexistent/bzImage", "model:6.2", "seed/151"]
    assert main([*arguments, "--bisect"]) == 125
    assert "there is no /nonexistent/bzImage" in capsys.readouterr().out
    (tmp_path / "bzImage").write_bytes(bytes(1000))
    assert main(["compare", f"vm:{tmp_path}/bzImage", "model:6.2", "seed/151", "--bisect"]) == 125
    assert "is no bzImage" in capsys.readouterr().out
    assert main(arguments) == 3


def test_a_mistake_stops_a_bisection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What says nothing about the commit has a status that git takes for none: from 128 on."""
    assert main(["compare", "model:6.3", "model:6.2", "seed/151", "--bisect"]) == 128 + 3
    assert main(["compare", "--bisect", "--unknown", "model:6.2", "model:6.2"]) == 128 + 3
    assert main(["compare", "--bisect", "model:6.2", "model:6.2", "no-suite"]) == 128 + 3
    assert main(["compare", "--bisect", "vm:6.999", "model:6.2", "seed/151"]) == 128 + 4
    assert bisected(monkeypatch, tmp_path, Guest(Verdict("held"), absent="there is no QEMU")) == 128 + 4


def test_a_defect_of_pinhold_is_no_bad_commit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python ends with 1 for what nobody catches, which git would take for bad."""
    monkeypatch.setattr(compare, "_tell", lambda *arguments: 1 // 0)
    assert bisected(monkeypatch, tmp_path, Guest(Verdict("held"))) == 128 + 5
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_model_beside_a_real_kernel_is_configured_as_that_is() -> None:
    """Its rules stay those that were asked for; other targets, and a model beside a model, stay as they are."""
    real = TargetInfo("vm:6.12", "6.12.117", "6.12.117", {"swap_rotates": "y", "MEM_SOFT_DIRTY": "n"}, {})
    model = ModelTarget("6.1")
    beside = configured_as(model, real)
    assert isinstance(beside, ModelTarget)
    assert beside.release == "6.1"
    assert (beside.config["swap_clusters"], beside.config["soft_dirty"], beside.config["thp"]) == (0, 0, 1)
    assert configured_as(model, ModelTarget("6.2").info()) is model


def test_a_model_has_the_pools_and_limits_of_the_real_kernel() -> None:
    """Free huge pages, free swap, RLIMIT_MEMLOCK and CAP_IPC_LOCK, in pages; what is not told, or is unlimited, is."""
    known = {"hugetlb_2M": "3 free of 16", "hugetlb_1G": "none", "swap_free_kib": "400", "memlock_kib": "8192"}
    real = TargetInfo("live", "6.18.44", "6.18.44", known | {"ipc_lock": "n"}, {})
    beside = configured_as(ModelTarget("6.18"), real)
    assert isinstance(beside, ModelTarget)
    assert {name: beside.config[name] for name in RESOURCES} == {
        "hugetlb_2M": 3,
        "hugetlb_1G": 0,
        "swap_pages": 100,
        "memlock_pages": 2048,
        "ipc_lock": 0,
    }
    silent = configured_as(
        ModelTarget("6.18"), TargetInfo("live", "6.18.44", "6.18.44", {"memlock_kib": "unlimited"}, {})
    )
    assert isinstance(silent, ModelTarget)
    assert {name: silent.config[name] for name in RESOURCES if name in silent.config} == {"memlock_pages": -1}
