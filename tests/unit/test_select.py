"""From the arguments of a command to tests: each wrong one is one line that says what would be right."""

import os
from pathlib import Path

import pytest

from pinhold.commands import UsageError
from pinhold.commands.select import select
from pinhold.scenario.printer import format_scenario

EXAMPLE = 'scenario mine\nmap P x anon\nwrite P x 0x11\nexpect P x 0x11 "as written"\n'


def refusal(argument: str) -> str:
    """The one line that `argument` is refused with."""
    with pytest.raises(UsageError) as caught:
        select([argument])
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_suite_a_test_and_a_range_of_tests() -> None:
    """SUITE gives all tests, SUITE/N one, SUITE/N-M a range, in the order asked for."""
    assert len(select(["seed"])) == 162
    assert [t.name for t in select(["seed/151", "seed/3-5"])] == ["seed/151", "seed/3", "seed/4", "seed/5"]


def test_a_file_is_numbered_by_its_place(tmp_path: Path) -> None:
    """A test of a suite keeps its number; a file has none of its own."""
    (tmp_path / "a.pin").write_text(EXAMPLE)
    file = str(tmp_path / "a.pin")
    assert [t.number for t in select(["seed/7", file, file])] == [7, 2, 3]


def test_a_saved_test_is_the_same_test(tmp_path: Path) -> None:
    """The printed text of seed/151 in a file gives the same scenario and result line."""
    (original,) = select(["seed/151"])
    file = tmp_path / "saved.pin"
    file.write_text(format_scenario(original.scenario))
    (saved,) = select([str(file)])
    assert (saved.scenario, saved.text) == (original.scenario, original.text)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("sed", "did you mean seed?"),
        ("", "choose from seed"),
        ("seed/0", "the nearest is seed/1"),
        ("seed/163", "the nearest is seed/162"),
        ("seed/1-999999999", "the nearest is seed/162"),
        ("seed/9-3", "did you mean seed/3-9?"),
        ("seed/", "write seed/N or seed/N-M"),
        ("seed/x", "write seed/N or seed/N-M"),
        ("seed/1-2-3", "write seed/N or seed/N-M"),
        ("seed/" + "9" * 5000, "write seed/N or seed/N-M"),
    ],
)
def test_a_wrong_name_is_answered_with_a_right_one(argument: str, expected: str) -> None:
    """The message names the nearest suite, test or form."""
    assert expected in refusal(argument)


def test_a_missing_file_is_answered_with_its_neighbour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped file name finds the .pin file of nearly that name, here or in its folder."""
    (tmp_path / "zeropage.pin").write_text(EXAMPLE)
    assert f"did you mean {tmp_path / 'zeropage.pin'}?" in refusal(str(tmp_path / "zeropge.pin"))
    monkeypatch.chdir(tmp_path)
    assert "did you mean zeropage.pin?" in refusal("zeropge.pin")


def test_what_is_no_scenario_file_is_refused(tmp_path: Path) -> None:
    """Directories, pipes, devices, binary, huge and wrongly encoded files end in one line, and none is waited for."""
    os.mkfifo(tmp_path / "fifo.pin")
    (tmp_path / "nul.pin").write_bytes(b"scenario x\0\n")
    (tmp_path / "elf.pin").write_bytes(b"\x7fELF\xff\xfe")
    (tmp_path / "huge.pin").write_bytes(b"#" * 65537)
    (tmp_path / "loop.pin").symlink_to("loop.pin")
    assert "Is a directory; name a .pin file in it" in refusal(str(tmp_path))
    assert "no ordinary file" in refusal(str(tmp_path / "fifo.pin"))
    assert "no ordinary file" in refusal("/dev/zero")
    assert "binary file" in refusal(str(tmp_path / "nul.pin"))
    assert "byte 4 is not UTF-8" in refusal(str(tmp_path / "elf.pin"))
    assert "larger than 64 KiB" in refusal(str(tmp_path / "huge.pin"))
    assert "cannot read" in refusal(str(tmp_path / "loop.pin"))


def test_a_broken_file_is_answered_with_line_and_column(tmp_path: Path) -> None:
    """The parser's position reaches the user, behind the name of the file."""
    file = tmp_path / "broken.pin"
    file.write_text("scenario broken\nmap P x anom\n")
    message = refusal(str(file))
    assert message.startswith(f"{file}: line 2, column ")
    assert "anon" in message


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be opened is one line with the reason."""

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    assert "Permission denied" in refusal(str(tmp_path / "secret.pin"))


def test_a_file_in_a_folder_named_like_a_suite_is_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pins/mine.pin` is a file: no part of a suite ends in .pin."""
    (tmp_path / "pins").mkdir()
    (tmp_path / "pins/mine.pin").write_text("scenario mine\nmap P x anon\nread P x\nexpect P x 0x00\n")
    monkeypatch.chdir(tmp_path)
    assert [t.scenario.title for t in select(["pins/mine.pin"])] == ["mine"]
    assert [t.name for t in select(["pins/3"])] == ["pins/3"]
    with pytest.raises(UsageError, match=r"cannot read 'pins/yours\.pin'"):
        select(["pins/yours.pin"])
