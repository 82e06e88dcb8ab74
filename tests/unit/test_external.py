"""`exec:PROGRAM`: what a program may say, and what is said to it."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Any

import pytest

from pinhold.scenario.observation import Run
from pinhold.targets.base import Broken, CannotDo, Unavailable
from pinhold.targets.live.pins.base import FOLL_GET, FOLL_PIN, Need
from pinhold.targets.live.pins.external import External
from pinhold.targets.live.progress import Deadline

PAGE = 4096
HELLO = "pinhold 1 read write longterm fast held readable writable"


class Owner:
    """The process whose memory is pinned: notes the calls, and answers 3."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.calls: list[tuple[int, list[Any], list[bytes]]] = []

    def call(self, number: int, arguments: list[Any], fds: list[int]) -> tuple[int, int, list[str]]:
        self.calls.append((number, arguments, [os.read(fd, 4) for fd in fds]))
        return 3, 0, [argument["buffer"].upper() for argument in arguments if "buffer" in dict_or_none(argument)]


def dict_or_none(argument: Any) -> dict[str, Any]:
    return argument if isinstance(argument, dict) else {}


@pytest.fixture
def program(tmp_path):
    """program(answers, hello): an External whose program says `hello`, then answers each line by `answers(line)`."""

    def make(answers: str, hello: str = HELLO, before: str = "") -> External:
        script = tmp_path / "program.py"
        script.write_text(
            f"import os, sys\n{before}\nprint({hello!r}, flush=True)\n"
            f"for line in sys.stdin:\n    words = line.split()\n"
            f"    with open({str(tmp_path / 'heard')!r}, 'a') as heard: heard.write(line)\n"
            f"    print({answers}, flush=True)\n"
        )
        return External(shlex.join([sys.executable, "-S", str(script)]))

    yield make


def heard(tmp_path) -> list[str]:
    return (tmp_path / "heard").read_text().splitlines()


def test_what_it_declares_is_what_it_gives(program) -> None:
    """Each word of the first line is one property, and a pin that is asked for has to have exactly these."""
    gives = program("''").gives
    assert gives.takes == FOLL_PIN and gives.write == {False, True}
    assert gives.meets(Need(longterm=True, fast=True))
    assert not gives.meets(Need(longterm=True, fast=False))
    assert not gives.meets(Need(longterm=False, fast=True))
    plain = program("''", "pinhold 1 read get").gives
    assert (plain.takes, plain.held, plain.readable) == (FOLL_GET, False, False)
    assert not plain.meets(Need(FOLL_GET, fast=False))


@pytest.mark.parametrize("hello", ["", "hello", "pinhold 2 read", "pinhold 1", "pinhold 1 held", "pinhold 1 read hold"])
def test_a_first_line_that_is_none_is_refused(program, hello: str) -> None:
    """The message quotes the line and lists the words that there are."""
    with pytest.raises(Unavailable, match=r"began with '.*': expected 'pinhold 1' and words out of read, write, "):
        program("''", hello)


def test_a_program_that_cannot_be_started_is_named() -> None:
    """No such file, nothing at all, and one that ends at once."""
    with pytest.raises(Unavailable, match=r"exec:/no/such cannot be started: No such file"):
        External("/no/such")
    with pytest.raises(Unavailable, match="exec: names no program"):
        External("  ")
    with pytest.raises(Unavailable, match=r"exec:/bin/false ended: exit status 1"):
        External("/bin/false")


def test_pin_read_write_and_unpin(program, tmp_path) -> None:
    """The program gets address and length, what it writes to the file is what the pin contains, and it ends."""
    answers = (
        "'held 2' if words[0] == 'pin' else 'ok' if words[0] != 'read' else "
        "(open(words[1], 'wb').write(bytes([7]) * 4096 + bytes(4096)), 'ok')[1]"
    )
    mechanism = program(answers)
    owner = Owner()
    taken = mechanism.take(owner, 0x10000, 3, False)
    assert taken.pages == 2
    assert mechanism.read_back(taken) == [Run(0, 1, 7), Run(1, 1, 0)]
    mechanism.write_through(taken, 17)
    mechanism.release(taken)
    lines = heard(tmp_path)
    assert lines[0] == f"pin {owner.pid} 0x10000 {3 * PAGE} read"
    assert lines[1].startswith("read /") and lines[2:] == ["write 17", "unpin"]
    assert not os.path.exists(lines[1].split()[1])


def test_a_system_call_is_made_in_the_process(program, tmp_path) -> None:
    """Numbers are passed on, the program's own descriptors and buffers with them, and it is told the result."""
    answers = (
        "'call 16 fd:%d 0x40 -1 buf:00ff' % fd if words[0] == 'pin' else 'held 1' if words[0] == 'returned' else 'ok'"
    )
    mechanism = program(answers, before="fd, other = os.pipe(); os.write(other, b'mine')")
    owner = Owner()
    taken = mechanism.take(owner, 0x10000, 1, True)
    mechanism.release(taken, owner)
    assert owner.calls == [(16, [{"fd": 0}, 0x40, -1, {"buffer": "00ff"}], [b"mine"])]
    assert heard(tmp_path)[1] == "returned 3 0 00FF"


@pytest.mark.parametrize(("answer", "number"), [("error EFAULT", 14), ("error 12", 12), ("error what", 5)])
def test_an_error_is_the_outcome_of_the_step(program, answer: str, number: int) -> None:
    """By name or by number; what is neither is EIO."""
    with pytest.raises(OSError) as caught:
        program(repr(answer)).take(Owner(), 0x10000, 1, False)
    assert caught.value.errno == number


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("'yes'", r"answered 'yes ' to pin: expected 'held N', N from 1 to 4"),
        ("'held 5'", r"answered 'held 5' to pin"),
        ("'held 0'", r"answered 'held 0' to pin"),
        ("sys.exit(7)", r"ended: exit status 7"),
        ("'call 16 fd:99'", r"asked for 'call 16 fd:99': "),
        ("'call ioctl'", r"asked for 'call ioctl': invalid literal"),
        ("'call 1 1 1 1 1 1 1 1'", r"asked for 'call 1 1 1 1 1 1 1 1'"),
        ("'call 39'", r"asked for more than 64 system calls"),
        ("'x' * 70000", r"said a line of more than 65536 bytes"),
    ],
)
def test_nonsense_is_a_failure_of_the_program(program, answer: str, sentence: str) -> None:
    """Each names the program and what it said."""
    with pytest.raises(Broken, match=sentence):
        program(answer).take(Owner(), 0x10000, 4, False)


def test_what_it_cannot_do_skips_the_step(program) -> None:
    """`cannot` is followed by the reason, in the program's words."""
    with pytest.raises(CannotDo, match=r"exec:.* cannot open /dev/mine"):
        program("'cannot open /dev/mine'").take(Owner(), 0x10000, 1, False)


def test_a_silent_program_is_given_up(program, monkeypatch) -> None:
    """No reply within the limit is an error of the tool, and the program is killed."""
    mechanism = program("__import__('time').sleep(60)")
    monkeypatch.setattr(mechanism, "_reply", Deadline(60.0, 0.5))
    with pytest.raises(Broken, match=r"said nothing: no end after 0\.5 s of sleep: process \d+, state S"):
        mechanism.take(Owner(), 0x10000, 1, False)


def test_a_read_of_the_wrong_length_is_told(program) -> None:
    """The file has to have every page."""
    mechanism = program("'held 2' if words[0] == 'pin' else 'ok'")
    taken = mechanism.take(Owner(), 0x10000, 2, False)
    with pytest.raises(Broken, match=r"wrote 0 bytes to the file of read, expected 8192"):
        mechanism.read_back(taken)
    mechanism.release(taken)
