"""`pinhold pins`: its options, its exit statuses, where its answer goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.commands import looking
from pinhold.inspect.errors import CannotLook
from pinhold.inspect.records import Counters, Looked, NotThere, Process, ProcessPins, Selection, Told

TOLD = Told("/proc", "6.1.0", (ProcessPins(Process(1, "init"), 4096, 0),), looked=Looked("processes", 1))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Selection]:
    """What the reader is asked for; it has one process."""
    selections = []

    class Fake:
        def __init__(self, **_: object) -> None:
            pass

        def look(self, selection: Selection) -> Told:
            selections.append(selection)
            return TOLD if not selection.of_frames else Told("/proc", "6.1.0", missing=("It takes root.",))

    monkeypatch.setattr(looking, "Reader", Fake)
    monkeypatch.setattr(looking, "_view", closed)
    return selections


def closed(source: str) -> None:
    """A kernel whose memory is closed."""
    raise CannotLook("the kernel is locked down")


@pytest.mark.parametrize(
    ("words", "selection"),
    [
        ((), Selection()),
        (("--all",), Selection()),
        (("--pid", "7"), Selection(pid=7)),
        (("--pid", "7", "--page", "0x1000"), Selection(pid=7, address=0x1000)),
    ],
)
def test_what_is_asked_for(asked: list[Selection], words: tuple[str, ...], selection: Selection) -> None:
    """Each option is one field; something is told: 0."""
    assert main(["pins", *words]) == 0
    assert asked == [selection]


@pytest.mark.parametrize("words", [("--pfn", "0x10"), ("--zone", "Movable"), ("--block", "3")])
def test_page_frames_need_more_than_proc(
    asked: list[Selection], capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """Nothing can be told: 4, with what it takes."""
    assert main(["pins", *words]) == 4
    out, err = capsys.readouterr()
    assert (out, err) == ("", "pinhold: It takes root.\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--page", "0x1000"), "--page is an address of a process: add --pid P"),
        (("--pid", "x"), "'x' is no number from 0 on"),
        (("--pid", "-1"), "--pid"),
        (("--pid", "1", "--all"), "not allowed with"),
        (("--on", "vmcor:x"), "did you mean vmcore:FILE?"),
        (("--on", "vmcore:"), "--on takes live"),
        (("--on", "live:x"), "--on takes live"),
        (("--by", "colour"), "colour"),
    ],
)
def test_bad_usage(
    asked: list[Selection], capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    """3, one line, and nothing is looked at."""
    assert main(["pins", *words]) == 3
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
    assert asked == []


def test_a_process_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """3, and how to find those that are."""
    assert main(["pins", "--pid", str(1 << 30)]) == 3
    assert "`ps -e` lists those that are" in capsys.readouterr().err


def test_table_json_and_pages(asked: list[Selection], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The same of one answer; a page's name is printed."""
    assert main(["pins"]) == 0
    assert "1 init: VmPin 4 KiB, VmLck 0\n" in capsys.readouterr().out
    assert main(["pins", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["processes"][0]["vm_pin"] == 4096
    for option in ("--html", "--svg"):
        path = tmp_path / f"page{option}"
        assert main(["pins", option, str(path)]) == 0
        assert capsys.readouterr().out == f"{path}\n"
        assert "1 init: VmPin 4 KiB" in path.read_text()


def test_what_cannot_be_looked_into(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A guest or a dump: 4, with the reason; nothing else is looked at in its place."""

    def refuse(source: str) -> None:
        raise CannotLook(f"{source}: it is no dump")

    monkeypatch.setattr(looking, "_view", refuse)
    monkeypatch.delattr(looking, "Reader")
    assert main(["pins", "--on", "vmcore:file"]) == 4
    assert capsys.readouterr() == ("", "pinhold: vmcore:file: it is no dump\n")


def test_this_machine_is_told_by_proc_where_its_memory_is_closed(
    asked: list[Selection], capsys: pytest.CaptureFixture[str]
) -> None:
    """And why it is."""

    assert main(["pins"]) == 0
    assert "Nothing more can be told: the kernel is locked down." in capsys.readouterr().out
    assert asked == [Selection()]


def test_a_view_that_is_there_is_looked_into_and_closed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its answer is told, with this machine's counters where it is this machine."""
    pinned = pytest.importorskip("pinhold.inspect.pinned", reason="needs drgn: pip install 'pinhold[inspect]'")
    closed = []

    class View:
        def close(self) -> None:
            closed.append(True)

    class Look:
        def __init__(self, *_: object) -> None:
            pass

        def look(self, selection: Selection) -> Told:
            if selection.zone == "X":
                raise NotThere("this kernel has no zone 'X'")
            return TOLD

    monkeypatch.setattr(looking, "_view", lambda source: View())
    monkeypatch.setattr(pinned, "Look", Look)
    monkeypatch.setattr(looking, "counters", lambda: Counters(5, 4, True))
    assert main(["pins", "--pfn", "1"]) == 0
    assert "5 acquired, 4 released, 1 held." in capsys.readouterr().out
    assert main(["pins", "--on", "qmp:socket", "--pfn", "1"]) == 0
    assert "acquired" not in capsys.readouterr().out
    assert main(["pins", "--zone", "X"]) == 3
    assert capsys.readouterr().err == "pinhold: this kernel has no zone 'X'\n"
    assert closed == [True] * 3
