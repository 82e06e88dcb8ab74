"""`pinhold exec-test`: what goes wrong with a program that pins, and what calls of GUP explain a driver."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from pinhold.ask.target import AskTarget
from pinhold.cli import main
from pinhold.commands.exec_checks import WAYS, Check, checks, explanations
from pinhold.mm.releases import row
from pinhold.targets.live.pins.base import FOLL_GET, FOLL_PIN, Gives
from pinhold.targets.runner import run_scenario

BOTH = frozenset({False, True})
NO, YES = frozenset({False}), frozenset({True})
WHOLE = Gives(FOLL_PIN, YES, BOTH, NO, readable=True, writable=True)


@pytest.fixture
def program(tmp_path: Path):
    """program(answers, hello): the command of one that says `hello`, then answers each line by `answers`."""

    def make(answers: str, hello: str) -> str:
        script = tmp_path / "program.py"
        script.write_text(
            f"import sys\nprint({hello!r}, flush=True)\n"
            f"for line in sys.stdin:\n    words = line.split()\n    print({answers}, flush=True)\n"
        )
        return shlex.join([sys.executable, "-S", str(script)])

    return make


def seen(release: str, way: int, write: bool) -> dict[Check, str]:
    """The verdicts of a driver that calls GUP so, by the specification."""
    flags = WAYS[way][write].walk_flags
    return {
        check: run_scenario(AskTarget(release, flags), check.scenario).verdict.kind
        for check in checks(WHOLE)
        if check.write == write
    }


@pytest.mark.parametrize("release", ["6.1", "6.12"])
@pytest.mark.parametrize("way", range(len(WAYS)))
@pytest.mark.parametrize("write", [False, True])
def test_a_call_is_explained_by_itself(release: str, way: int, write: bool) -> None:
    """Whatever a driver passes is among what is named, and references are never taken for pins."""
    named = explanations(seen(release, way, write), release, row(release))
    request = WAYS[way][write]
    assert request in named
    assert {call.pin for call in named} == {request.pin}


def test_the_classic_mistakes_are_told_apart() -> None:
    """On 6.12 what is no long-term pin, and what is forced, comes to something that no right call does."""
    right = WAYS[0]
    for way, write in ((1, False), (1, True), (2, False), (2, True), (4, True)):
        assert right[write] not in explanations(seen("6.12", way, write), "6.12", row("6.12"))


@pytest.mark.parametrize(
    ("gives", "kinds"),
    [
        (Gives(FOLL_GET, NO, NO, YES, readable=True), {False}),
        (Gives(FOLL_GET, NO, BOTH, YES, readable=True), {False}),
        (Gives(FOLL_GET, NO, NO, NO), set()),
        (Gives(FOLL_PIN, YES, YES, NO, held=False), set()),
        (WHOLE, {False, True}),
    ],
)
def test_what_is_asked_is_what_is_declared(gives: Gives, kinds: set[bool]) -> None:
    """No step asks for references but read-only and GUP-fast ones, and none for what does not last."""
    assert {check.write for check in checks(gives)} == kinds


@pytest.mark.parametrize(
    ("answers", "hello", "status", "words"),
    [
        ("''", "hello", 1, "began with 'hello': expected 'pinhold 1'"),
        ("'cannot open /dev/mine'", "pinhold 1 read held", 4, "cannot open /dev/mine"),
        ("'yes'", "pinhold 1 read held", 1, "answered 'yes ' to pin"),
        ("'held 1' if words[0] == 'pin' else 'ok'", "pinhold 1 get read held", 4, "no step of a scenario asks for"),
        ("'held 1' if words[0] == 'pin' else 'ok'", "pinhold 1 read held", 1, "DIFFERS"),
        ("'error EINVAL'", "pinhold 1 read held", 1, "EINVAL"),
    ],
)
def test_what_goes_wrong_is_told(
    program, answers: str, hello: str, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No greeting, no device, no sense, pins that nobody asks for, a hole that is pinned, an errno."""
    assert main(["exec-test", program(answers, hello)]) == status
    out, err = capsys.readouterr()
    assert words in " ".join((out + err).split())
    assert "Traceback" not in out + err


def test_the_conversation_is_shown_where_it_failed(program, capsys: pytest.CaptureFixture[str]) -> None:
    """What the program was told, and what it said."""
    main(["exec-test", program("'yes'", "pinhold 1 read held")])
    out = capsys.readouterr().out
    assert "< pinhold 1 read held" in out
    assert "> pin " in out and "< yes" in out


def test_the_example_in_python_is_as_it_declares(capsys: pytest.CaptureFixture[str]) -> None:
    """On the kernel that runs here; and the next command is named."""
    example = Path(__file__).parents[2] / "examples/exec/pipe.py"
    assert main(["exec-test", f"{sys.executable} {example}"]) == 0
    assert "As it declares in 3 of 3 checks. Next:\n  pinhold run stock" in capsys.readouterr().out


def test_models_have_no_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 3: it is for real kernels, and for programs that are there."""
    assert main(["exec-test", "/no/such"]) == 3
    assert capsys.readouterr().err == "pinhold: exec:/no/such cannot be started: No such file or directory\n"
    assert main(["exec-test", "true", "--on", "model:6.1"]) == 3
    assert "exec-test is for real kernels" in capsys.readouterr().err
