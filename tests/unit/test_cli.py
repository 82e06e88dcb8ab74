"""The command line: what it prints, what it answers to mistakes, and its exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakes import FakeTarget
from pinhold import __version__
from pinhold.cli import COMMANDS, main, parser
from pinhold.commands import registry

COMMAND = (sys.executable, "-m", "pinhold")
EXAMPLE = 'scenario mine\nmap P x anon\nread P x\nexpect P x 0x00 "zeros"\n'


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake targets under the names zero, one, idle and absent."""
    for target in (
        FakeTarget("zero"),
        FakeTarget("one", byte=1),
        FakeTarget("idle", refusal="nothing works here"),
        FakeTarget("absent", absent="not this machine"),
    ):
        monkeypatch.setitem(registry._FACTORIES, target.name, lambda _rest, _properties, target=target: target)


@pytest.fixture
def example(tmp_path: Path) -> str:
    """A scenario that holds where fresh memory is zero."""
    file = tmp_path / "mine.pin"
    file.write_text(EXAMPLE)
    return str(file)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 3) -> str:
    """The one line on stderr with which the command refuses."""
    assert main(arguments) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("pinhold: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.usefixtures("targets")
def test_the_exit_status_is_that_of_the_verdicts(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    """0 all held, 1 violated, 4 nothing could be run here."""
    assert main(["run", example, "--on", "zero"]) == 0
    assert main(["run", example, "--on", "zero", "--on", "one"]) == 1
    assert main(["run", example, "--on", "idle"]) == 4
    assert main(["run", example, "--on", "idle", "--on", "zero"]) == 0
    out = capsys.readouterr().out
    assert "nothing works here" in out
    assert "VIOLATED" in out


@pytest.mark.usefixtures("targets")
def test_a_target_that_is_not_there_is_one_sentence(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 4 and the reason, before anything is run."""
    assert "not this machine" in refused(capsys, "run", example, "--on", "absent", status=4)


def test_a_run_without_a_target_is_on_the_kernel_that_runs_here(
    example: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`pinhold run TEST` is `pinhold run TEST --on live`."""
    monkeypatch.setattr(registry, "_live", lambda *_: FakeTarget("live", byte=1))
    assert main(["run", example]) == 1
    assert "live: 1 violated" in capsys.readouterr().out


@pytest.mark.usefixtures("targets")
def test_json_is_a_run_file(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is a JSON object, and the header states the schema."""
    assert main(["run", example, "--on", "zero", "--format", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["schema"] == 1
    assert lines[0]["pinhold"] == __version__


@pytest.mark.usefixtures("targets")
def test_output_goes_to_the_file(example: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With -o nothing is printed, and the file has the whole report."""
    out = tmp_path / "report.ktap"
    assert main(["run", example, "--on", "zero", "--ktap-names", "selftest", "-o", str(out)]) == 0
    assert capsys.readouterr().out == ""
    assert out.read_text().splitlines()[2:4] == ["# [RUN] mine", "ok 1 zeros"]


@pytest.mark.usefixtures("targets")
def test_step_stops_at_the_first_difference(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Two targets that see different bytes are told apart at the first step, in words, with status 1."""
    assert main(["step", example, "--on", "zero", "--on", "one"]) == 1
    out = capsys.readouterr().out
    assert "  1  map    P x anon" in out or "  1  map P x anon" in out
    assert "  2  " not in out
    assert "First difference: after map" in out
    assert out.splitlines()[-1] == "one: violated: P x[0] is 0x01, expected 0x00"


@pytest.mark.usefixtures("targets")
def test_step_tells_every_step_and_the_verdict(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One target, or two that agree, are told to the end."""
    assert main(["step", example, "--on", "zero"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "zero: held: zeros"
    assert main(["step", example, "--on", "zero", "--on", "zero"]) == 0
    assert "No difference" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["chek"], "did you mean check?"),
        (["run", "sed", "--on", "zero"], "did you mean seed?"),
        (["run", "seed/200", "--on", "zero"], "the nearest is seed/162"),
        (["run"], "required: TEST"),
        (["run", "seed", "--on", "zero", "--format", "tabel"], "'tabel'"),
        (["step", "seed", "--on", "zero"], "step takes one, for example seed/1"),
        (["step", "seed/1", "--on", "zero", "--on", "zero", "--on", "zero"], "two to compare"),
        (["show", "nowhere.pin"], "nowhere.pin"),
        (["show", "seed/1", "--frobnicate"], "--frobnicate"),
        (["rules", "shwo"], "shwo"),
        ([], "COMMAND"),
    ],
)
@pytest.mark.usefixtures("targets")
def test_a_mistake_is_answered_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    """Status 3, the wrong word, and what would be right."""
    assert expected in refused(capsys, *arguments)


def test_every_command_of_the_grammar_has_its_module() -> None:
    """The names that the grammar knows are those that can be run."""
    actions = [a for a in parser()._actions if a.dest == "command"]
    assert tuple(actions[0].choices or ()) == COMMANDS
    folder = Path(registry.__file__).parent
    assert {name for name in COMMANDS if not (folder / f"{name.replace('-', '_')}.py").is_file()} == {"version", "help"}


def test_version_and_help_are_words_too(capsys: pytest.CaptureFixture[str]) -> None:
    """For those who do not try an option first."""
    for words, option in ((["version"], ["--version"]), (["help"], ["--help"]), (["help", "run"], ["run", "--help"])):
        assert main(words) == 0
        said = capsys.readouterr().out
        assert main(option) == 0
        assert said == capsys.readouterr().out != ""


def test_a_closed_pipe_ends_the_command_quietly() -> None:
    """`| head` shows no traceback and no message."""
    with subprocess.Popen([*COMMAND, "show", "seed"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_a_full_disk_is_one_sentence() -> None:
    """Standard output that cannot be written ends the command with status 5 and the reason."""
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, "show", "seed"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 5
    assert done.stderr == "pinhold: the output could not be written: No space left on device\n"


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("--version",), ("rules",)])
def test_help_that_cannot_be_written_is_told(arguments: tuple[str, ...]) -> None:
    """What is printed by the parser of the command line is output like any other."""
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 5
    assert done.stderr == "pinhold: the output could not be written: No space left on device\n"


@pytest.mark.parametrize(
    ("closed", "status", "said"),
    [
        (">&-", 5, "pinhold: the output could not be written: Bad file descriptor\n"),
        ("2>&- >/dev/null", 0, ""),
        ("<&- >/dev/null", 0, ""),
        ("<&- 2>&- >&-", 5, ""),
        (">/dev/full 2>/dev/full", 5, ""),
    ],
)
@pytest.mark.parametrize("arguments", ["show seed", "run seed/1-17 --on model:6.2", "ask FOLL_GET --on model:6.2"])
def test_closed_streams(arguments: str, closed: str, status: int, said: str) -> None:
    """A closed standard output cannot be written to; the other streams may be closed, and no file takes their place."""
    command = f"'{sys.executable}' -m pinhold {arguments} {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, said)


def test_ctrl_c_ends_the_command_quietly() -> None:
    """SIGINT gives status 130 and no traceback."""
    script = (
        "import os, signal, sys; from pinhold.commands import show; from pinhold.cli import main\n"
        "show.select = lambda _: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.exit(main(['show', 'seed']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["kernels", "modul"], "did you mean module?"),
        (["help", "nosuch"], "pinhold --help lists them"),
        (["docs", "xyzzy"], "pinhold docs lists them"),
        (["examples", "xyzzy"], "pinhold examples lists them"),
        (["kernels", "nosuch"], "choose from list, fetch, add"),
    ],
)
def test_a_word_that_is_none_of_a_list_gets_a_short_sentence(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The nearest one, or where they are listed: not all of a long list, nor the grammar's own words."""
    assert main(words) == 3
    err = capsys.readouterr().err
    assert said in err and len(err) < 160 and "argument " not in err


DEFECT = (
    "import sys; from pinhold import cli; from pinhold.commands import show\n"
    "show.select = lambda _: [][1]\n"
    "sys.argv[1:] = ['show', 'seed']\n"
    "cli.entry()"
)


def test_a_defect_is_a_sentence_and_no_finding() -> None:
    """What nobody foresaw has status 5, which is not that of a violation, and says how its calls are seen."""
    done = subprocess.run([sys.executable, "-c", DEFECT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith(f"pinhold: a defect of pinhold {__version__} in show.py, line ")
    assert "IndexError: list index out of range (with PINHOLD_TRACEBACK=1" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_defect_shows_its_calls_where_it_is_asked_to() -> None:
    """PINHOLD_TRACEBACK, which docs/reference/commands.md names."""
    environment = {**os.environ, "PINHOLD_TRACEBACK": "1"}
    done = subprocess.run([sys.executable, "-c", DEFECT], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 5
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert "PINHOLD_TRACEBACK=1" in (Path(__file__).parents[2] / "docs/reference/commands.md").read_text()


@pytest.mark.parametrize("where", ["commands", "conform"])
def test_a_defect_in_a_process_of_its_own_is_a_sentence(where: str) -> None:
    """Whoever waits for it sees that it ended; nobody sees a traceback."""
    of = {
        "commands": "from pinhold.commands.workers import in_workers\n"
        "print(list(in_workers(lambda n: 1 // n, [0, 2], lambda n: 'died')))",
        "conform": "from pinhold.conform.workers import Workers\n"
        "with Workers() as workers:\n    workers.start(lambda: 1 // 0)",
    }
    script = f"import sys; from pinhold import cli; sys.excepthook = cli._in_a_process_of_ours\n{of[where]}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr.startswith("pinhold: a defect of pinhold ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ("['died', 0]\n" if where == "commands" else "")


def test_version() -> None:
    """--version prints the version of the package."""
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"pinhold {__version__}\n"
