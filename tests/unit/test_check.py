"""What `check` expects, and what it says and returns where that is not so."""

from pathlib import Path

import pytest

from fakes import FakeTarget
from pinhold.cli import main
from pinhold.commands import UsageError
from pinhold.commands.expected import is_twelve, predicted
from pinhold.commands.lab import columns, leave_out_gigantic
from pinhold.commands.registry import make_targets, model_of
from pinhold.commands.select import select
from pinhold.lab.store import Store
from pinhold.lab.target import VmTarget
from pinhold.scenario.ran import TargetInfo

SEED = select(["seed"])


def test_the_twelve_are_those_that_the_patch_quotes() -> None:
    """Tests 151 to 162 are found by their titles."""
    assert [t.number for t in SEED if is_twelve(t)] == list(range(151, 163))


def test_the_rules_predict_that_the_patch_changes_the_twelve_alone() -> None:
    """6.1 is predicted to violate the twelve, 6.2 to hold them; nothing else is predicted to differ or to fail."""
    old, new = ([predicted(t, release) for t in SEED] for release in ("6.1", "6.2"))
    assert [t.number for t, o, n in zip(SEED, old, new, strict=True) if o != n] == list(range(151, 163))
    assert {*old, *new} == {"held", "violated"}


def test_the_known_leak_of_hugetlb_is_predicted() -> None:
    """vmsplice() of hugetlb memory leaks on every kernel; 5.10, without PageAnonExclusive, has no prediction at all."""
    leaks = [t.scenario.title for t in SEED if predicted(t, "6.2") == "violated"]
    assert len(leaks) == 8
    assert all("vmsplice()" in title and "with hugetlb" in title for title in leaks)
    assert {predicted(t, "5.10") for t in SEED} == {None}


def test_rules_that_are_switched_predict_as_they_are_and_patches_nothing() -> None:
    """6.1 with the seed's rule is predicted as 6.2 is; where functions are a user's no rule knows."""
    switched, patched = "6.1,gup_unshares=cow_longterm", "6.1,gup_unshares=cow_longterm,with=mine.py"
    assert [predicted(t, switched) for t in SEED] == [predicted(t, "6.2") for t in SEED]
    assert {predicted(t, patched) for t in SEED} == {None}


def install(monkeypatch: pytest.MonkeyPatch, *targets: FakeTarget) -> None:
    """Make these the only targets, by their names."""
    by_name = {target.name: target for target in targets}
    monkeypatch.setattr("pinhold.commands.check.make_targets", lambda names, **_: [by_name[name] for name in names])
    monkeypatch.setattr("pinhold.commands.check.model_of", lambda info: by_name[f"model:{info.rules}"])


def test_a_column_that_is_not_as_predicted_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Memory in which every byte is zero violates most tests: the check says which, and returns 1."""
    install(monkeypatch, FakeTarget("model:6.2"))
    assert main(["check", "--on", "model:6.2"]) == 1
    out = capsys.readouterr().out
    assert "seed/" in out
    assert "predicted held" in out
    assert out.endswith("NOT all as predicted: see above.\n")


def test_a_kernel_that_differs_from_its_model_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where live reads another byte than the model of its release, the check names test and step, and returns 1."""
    install(monkeypatch, FakeTarget("model:6.2"), FakeTarget("live", byte=1))
    assert main(["check", "--on", "live"]) == 1
    assert "on live" in capsys.readouterr().out


def test_a_kernel_that_agrees_with_its_model_passes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Equal verdicts and equal observations are an agreement; with the tables stand the numbers of both."""
    install(monkeypatch, FakeTarget("model:6.2"), FakeTarget("live"))
    assert main(["check", "--on", "live", "--full"]) == 0
    out = capsys.readouterr().out
    assert "live (Linux 6.2)" in out
    assert "Agrees with model:6.2 in all" in " ".join(out.split())


def test_a_kernel_of_which_nothing_could_be_compared_is_unknown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A live column of skips alone is no agreement: status 2, and the closing line says so."""
    install(monkeypatch, FakeTarget("model:6.2"), FakeTarget("live", refusal="no permission"))
    assert main(["check", "--on", "live"]) == 2
    assert "Nothing in it could be compared with model:6.2" in " ".join(capsys.readouterr().out.split())


def test_a_target_that_is_absent_is_said_and_does_not_fail_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a Linux to run on there is no live column; alone it is status 4."""
    install(monkeypatch, FakeTarget("live", absent="this is no Linux"))
    assert main(["check", "--on", "live"]) == 4
    assert "this is no Linux" in capsys.readouterr().err


def test_stock_kernels_at_hand_are_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With QEMU and a kernel there, its column is shown; of one that is missing a line says how to get it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("pinhold.lab.qemu.missing", lambda: None)
    with (store := Store()).lock(), store.adding("6.1.192", "6.1.192", own=False) as adding:
        (adding.folder / "vmlinuz").write_bytes(b"")
        adding.has("image", adding.folder / "vmlinuz")
    assert columns()[0] == ("vm:6.1",)
    targets = {name: FakeTarget(name) for name in ("model:6.1", "model:6.2", "live", "vm:6.1")}
    monkeypatch.setattr("pinhold.commands.check.make_targets", lambda names, **_: [targets[name] for name in names])
    main(["check", "--full"])
    out = " ".join(capsys.readouterr().out.split())
    assert "model:6.1 model:6.2 live vm:6.1" in out
    assert "vm:6.12, stock kernels in QEMU, are left out for want of the kernel 6.12: make lab gets them." in out


def test_without_a_lab_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No QEMU and no kernels: no column, and the sentence names all three."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("pinhold.lab.qemu.missing", lambda: "no")
    shown, sentence = columns()
    assert shown == ()
    assert sentence is not None
    assert "for want of qemu-system-x86_64, the kernel 6.1, the kernel 6.12: make lab gets them" in sentence


def test_a_default_column_leaves_out_what_takes_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """1 GiB pages are for those who name the target."""
    image = tmp_path / "vmlinuz"
    image.write_bytes(b"\0" * 0x202 + b"HdrS" + b"\0" * 0x200)
    (target,) = make_targets([f"vm:{image}"])
    assert isinstance(target, VmTarget)
    assert target.big
    leave_out_gigantic([target])
    assert not target.big


def test_the_model_of_a_kernel_has_its_configuration() -> None:
    """What a kernel lacks its model lacks too, and what it does not tell keeps the default."""
    config = {"MEM_SOFT_DIRTY": "n", "thp": "madvise", "huge_zero_page": "n", "swap_kib": "0"}
    model = model_of(TargetInfo("live", "6.18.44-x", "6.18.44", config, {})).info()
    assert model.name == "model:6.18.44"
    assert {name: model.config[name] for name in ("soft_dirty", "thp", "use_zero_page", "swap")} == {
        "soft_dirty": "0",
        "thp": "1",
        "use_zero_page": "0",
        "swap": "0",
    }
    assert model_of(TargetInfo("live", "6.2", "6.2", {}, {})).info().config["soft_dirty"] == "1"
    with pytest.raises(UsageError, match="nearest"):
        model_of(TargetInfo("live", "6.3", "6.3", {}, {}))


def test_a_kernel_newer_than_what_was_read_has_the_nearest_rules_and_it_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is compared with the last release that was read, by name, and stderr has the sentence."""
    assert model_of(TargetInfo("live", "6.18.90-x", "6.18.90", {}, {})).info().name == "model:6.18.44"
    err = capsys.readouterr().err
    assert err.startswith("pinhold: no rules for 6.18.90: of this stable series")
    assert "nearest: 6.18.44, whose rules stand in" in err
