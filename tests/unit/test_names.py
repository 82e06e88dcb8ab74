"""What reports call a target."""

import json
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.commands import UsageError
from pinhold.commands.names import called, split, targets

BASE = "vm:../linux-base/arch/x86/boot/bzImage"
MINE = "vm:../linux-mine/arch/x86/boot/bzImage"


def test_a_name_of_ones_own_is_told_from_a_rule() -> None:
    """NAME=TARGET; the = of a model's RULE=VALUE names nothing, and a path may have one."""
    assert split(f"base={BASE}") == ("base", BASE)
    assert split("model:6.2,gup_unshares=anon") == (None, "model:6.2,gup_unshares=anon")
    assert split("old=model:6.2,gup_unshares=anon") == ("old", "model:6.2,gup_unshares=anon")
    assert split("vm:a=live/bzImage") == (None, "vm:a=live/bzImage")
    assert targets([f"base={BASE}", "here=live"]) == [BASE, "live"]


def test_a_long_path_is_as_short_as_tells_it_from_others() -> None:
    """The directory of the build, and more of the path where two have the same; a short one stays whole."""
    assert called([BASE, MINE]) == ["vm:…/linux-base", "vm:…/linux-mine"]
    assert called([BASE, BASE]) == ["vm:…/linux-base"] * 2
    same = ["vm:/a/one/build/arch/x86/boot/bzImage", "vm:/a/two/build/arch/x86/boot/bzImage"]
    assert called(same) == ["vm:…/one/build", "vm:…/two/build"]
    assert called(["vm:/tmp/images-of-today/bzImage-6.1-patched"]) == ["vm:…/bzImage-6.1-patched"]
    assert called(["vm:./bzImage", "live", f"base={MINE}"]) == ["vm:./bzImage", "live", "base"]
    assert called(["vm:build/arch/x86/boot/bzImage"]) == ["vm:build"]


def test_one_name_for_two_targets_is_refused() -> None:
    """Nobody could tell their columns apart; a name that is too long for a table is refused, too."""
    with pytest.raises(UsageError, match="2 targets are called 'k'"):
        called([f"k={BASE}", f"k={MINE}"])
    with pytest.raises(UsageError, match="24 characters at most"):
        split(f"{'n' * 25}=live")


def test_reports_have_the_name_and_the_run_file_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Table, KTAP and differences call the target by its name; the run file says what it is as well."""
    file = tmp_path / "a.pin"
    file.write_text("scenario a\nmap P x anon\nwrite P x 0x01\nexpect P x 0x01\n")
    both = ["--on", "old=model:5.10", "--on", "new=model:6.12"]
    assert main(["run", str(file), *both]) == 0
    out = capsys.readouterr().out
    assert "old" in out.splitlines()[0]
    assert "new: 1 held" in out
    assert "model:" not in out
    assert main(["run", str(file), *both, "--format", "ktap"]) == 0
    out = capsys.readouterr().out
    assert "# selftests: pinhold: old: scenarios\nok 1 old a " in out
    assert "# selftests: pinhold: new: scenarios\nok 2 new a " in out
    assert main(["run", str(file), "--on", "old=model:5.10", "--format", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    target = next(line for line in lines if line["line"] == "target")
    assert (target["name"], target["what"]) == ("old", "model:5.10")
    assert next(line for line in lines if line["line"] == "scenario")["target"] == "old"


def test_1_gib_pages_can_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Their tests are told as skipped with that reason, in their places, and the others run."""
    assert main(["run", "seed/10-13", "--on", "model:6.2", "--without", "1G", "--format", "ktap"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.endswith("... with base page") for line in out if "[RUN]" in line] == [False, False, False, True]
    lines = [line for line in out if line.startswith("ok")]
    assert lines[2] == "ok 3 # SKIP 1 GiB pages are left out (--without 1G)"
    assert [("SKIP" in line) for line in lines] == [False, False, True, False]
    assert main(["compare", "model:6.1", "model:6.2", "seed/156", "--without", "1G"]) == 4


def test_a_model_by_another_name_is_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    """`check` judges it by its rules, and a table gives it no release of a kernel."""
    assert main(["check", "--on", "before=model:6.1"]) == 0
    out = capsys.readouterr().out
    assert "\nbefore: as its rules predict.\n" in out
    assert "Linux 6.1" not in out
