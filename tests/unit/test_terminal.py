"""What a terminal gets: its width, and colours only where they are seen and wanted."""

from __future__ import annotations

import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from fcntl import ioctl

import pytest

from pinhold.cli import main
from pinhold.commands.board import Board
from pinhold.report import terminal

RUN = ("run", "seed/151-162", "--on", "model:6.1", "--on", "model:6.2")
ESCAPE = "\x1b"


def on_a_terminal(*words: str, columns: int = 120, **environment: str) -> str:
    """What the command writes to a terminal so wide."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    given = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    with subprocess.Popen(
        [sys.executable, "-m", "pinhold", *words],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=given | {"TERM": "xterm", **environment},
    ):
        os.close(theirs)
        said = b""
        with suppress(OSError):  # EIO: the other end is closed
            while part := os.read(ours, 4096):
                said += part
    os.close(ours)
    return said.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(("columns", "wide"), [(60, 80), (80, 80), (130, 130), (300, 200)])
def test_a_table_is_as_wide_as_the_terminal(columns: int, wide: int) -> None:
    """Between 80 and 200 columns, and it uses them."""
    lines = on_a_terminal(*RUN, columns=columns, NO_COLOR="1").splitlines()
    longest = max(map(len, lines))
    assert wide - 8 <= longest <= wide


def test_verdicts_have_colours_on_a_terminal() -> None:
    """Those that matter, and what is left without the colours is the plain table."""
    pytest.importorskip("rich", reason="needs rich: pip install 'pinhold[terminal]'")
    painted = on_a_terminal(*RUN)
    assert re.search(rf"{ESCAPE}\[1;31mVIOLATED{ESCAPE}\[0m", painted)
    assert re.search(rf"{ESCAPE}\[32mheld{ESCAPE}\[0m", painted)
    bare = re.sub(rf"{ESCAPE}\[[\d;]*m", "", painted)
    assert timeless(bare) == timeless(on_a_terminal(*RUN, NO_COLOR="1"))


def timeless(text: str) -> str:
    return re.sub(r"in \d+\.\d s", "", text)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colours_gets_none(environment: dict[str, str]) -> None:
    """By NO_COLOR, or on a terminal that has none."""
    assert ESCAPE not in on_a_terminal(*RUN, **environment)


def test_a_pipe_gets_the_same_as_ever(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither colours nor a terminal's width, whatever COLUMNS says."""
    monkeypatch.setenv("COLUMNS", "200")
    assert main(list(RUN)) == 1
    said = capsys.readouterr().out
    assert ESCAPE not in said
    assert 100 < max(map(len, said.splitlines())) <= 114


def test_a_file_has_its_own_width_on_every_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What -o writes does not depend on where the command was typed."""
    monkeypatch.setattr(sys, "stdout", terminal_of(io.StringIO()))
    monkeypatch.setenv("COLUMNS", "200")
    assert terminal.width(100) == 200
    with terminal.into_a_file():
        assert terminal.width(100) == 100
    assert terminal.width(100) == 200


def terminal_of(stream: io.StringIO) -> io.StringIO:
    """One that says it is a terminal."""
    stream.isatty = lambda: True  # type: ignore[method-assign]
    return stream


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_a_table_of_many_targets_is_as_wide_as_the_terminal(columns: int) -> None:
    """Targets that do not fit beside the others have a table of their own below, and none is left out."""
    targets = [f"model:{release}" for release in ("6.1", "6.2", "6.12", "6.18", "7.3", "5.10")]
    named = (word for target in targets for word in ("--on", target))
    shown = on_a_terminal("run", "seed/151-153", *named, columns=columns, NO_COLOR="1").splitlines()
    assert max(map(len, shown)) <= columns
    heads = [line.split() for line in shown if line.strip().startswith("model:") and ": " not in line]
    assert [name for line in heads for name in line] == targets
    assert (len(heads) > 1) == (columns < 200)


@pytest.mark.parametrize("words", ["show", "show seed", "rules show 6.1", "rules list"])
def test_lists_are_no_wider_than_the_terminal(words: str) -> None:
    """At 80 columns they go on in the next line; into a pipe a line stays a line."""
    assert max(map(len, on_a_terminal(*words.split(), columns=80).splitlines())) <= 80


@pytest.mark.parametrize(("term", "drawn"), [("xterm", True), ("dumb", False), ("", False)])
def test_progress_is_drawn_again_only_where_that_can_be(
    term: str, drawn: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dumb terminal, as of an editor or a log, gets no escapes."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", term)
    board = Board()
    board.show("a", "a: 1 of 2")
    board.clear("a")
    assert (ESCAPE in capsys.readouterr().err) is drawn
