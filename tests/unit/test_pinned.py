"""How many tests a program of --pin pinned in, and what is said where it was none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fakes import case_result, target_run
from pinhold.cli import main
from pinhold.commands import NothingToRun
from pinhold.commands.pinned import NonePinned, none_pinned, pinned
from pinhold.scenario.verdict import Verdict

MINE = "exec:./mine --device 0"
HELD = Verdict("held")


def test_each_target_is_counted_by_itself() -> None:
    """A guest names the program by its whole path; models pin by themselves."""
    runs = [
        target_run("live", case_result(1, "a", HELD, pin=MINE), case_result(2, "b", HELD, pin="io_uring")),
        target_run("vm:6.1", *(case_result(n, "a", HELD, pin="exec:/tmp/mine --device 0") for n in (1, 2))),
        target_run("model:6.1", case_result(1, "a", HELD), case_result(2, "b", HELD)),
    ]
    assert [str(each) for each in pinned([MINE], runs)] == [
        f"{MINE} pinned in 1 of 2 tests on live",
        f"{MINE} pinned in 2 of 2 tests on vm:6.1",
    ]


@pytest.mark.parametrize("other", ["exec:./mine --device 1", "exec:./yours --device 0", "gup_test"])
def test_another_program_is_another(other: str) -> None:
    """Other arguments, another name, a mechanism of pinhold's own."""
    (found,) = pinned([MINE], [target_run("live", case_result(1, "a", HELD, pin=other))])
    assert found.tests == 0


def test_none_at_all_fails_and_names_the_next_step() -> None:
    """What held without the program says nothing of it: status 1 in the place of 0 and of 2; what is worse stays.

    What could not be run at all is told as that, and a bisection calls no commit bad for it.
    """
    found = list(pinned([MINE], [target_run("live", case_result(1, "a", HELD, pin="gup_test"))]))
    sentence = r"pinned in 0 of 1 tests on live: .* pinhold exec-test './mine --device 0'"
    for status in (0, 2):
        with pytest.raises(NonePinned, match=sentence) as failed:
            none_pinned(found, status)
        assert failed.value.status == 1
        with pytest.raises(NothingToRun, match=sentence):
            none_pinned(found, status, bisect=True)
    for status in (1, 4, 5):
        assert none_pinned(found, status) == status
    assert none_pinned([], 0) == 0


def test_a_run_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Below the table, and as the status."""
    program = tmp_path / "mine.py"
    program.write_text("print('pinhold 1 read held', flush=True)\nfor line in __import__('sys').stdin: pass\n")
    scenario = tmp_path / "none.pin"
    scenario.write_text("scenario no pin\nmap P x anon\nread P x\nexpect P x 0\n")
    given = f"exec:{sys.executable} {program}"
    assert main(["run", str(scenario), "--on", "live", "--pin", given]) == 1
    out, err = capsys.readouterr()
    assert f"{given} pinned in 0 of 1 tests on live.\n" in out
    assert "no test did" in err
    assert main(["run", str(scenario), "--on", "live", "--pin-timeout", "3"]) == 3
    assert "--pin-timeout is for a program of --pin" in capsys.readouterr().err
