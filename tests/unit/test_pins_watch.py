"""`pinhold watch`: what it tells of one look after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pinhold.cli import main
from pinhold.commands import looking, watch
from pinhold.inspect.errors import CannotLook
from pinhold.inspect.records import (
    Buffer,
    Holder,
    Looked,
    NotThere,
    Owner,
    PinnedFolio,
    Process,
    ProcessPins,
    State,
    Told,
)
from pinhold.report.pinswatch import begun, changes

ME = Process(7, "me")
AT = 0x7F0000000000
CHARGED = ProcessPins(ME, 4096, 0)


def folio(page: int, state: State, holder: Holder | None = None) -> PinnedFolio:
    held = Holder("VFIO", ME, 5, address=AT + page * 4096)
    owners = (Owner(ME, AT + page * 4096),)
    return PinnedFolio(page + 100, "anon", 4096, 0, "Normal", 1, True, owners, (holder or held,), state)


def told(*folios: PinnedFolio, buffers: tuple[Buffer, ...] = (), charges: ProcessPins = CHARGED) -> Told:
    return Told("RAM", "6.1.0", (charges,), buffers, folios, looked=Looked("processes", 1), missing=("More.",))


def test_what_became_stale_is_told_with_its_place() -> None:
    """Two neighbours are one sentence; what stays the same is none."""
    before = told(*(folio(page, State.SAME) for page in range(4)))
    after = told(*(folio(page, State.STALE if page in (1, 2) else State.SAME) for page in range(4)))
    assert list(changes(before, after)) == [(f"STALE: {AT + 4096:x}, 8 KiB, VFIO fd 5, was same", True)]
    assert list(changes(after, after)) == []
    assert list(changes(after, before)) == [(f"same: {AT + 4096:x}, 8 KiB, VFIO fd 5, was STALE", False)]


def test_io_in_flight_comes_and_goes_in_silence() -> None:
    """Every look finds other pages of it."""
    before = told(folio(1, State.SAME), folio(2, State.UNKNOWN, Holder("transient")))
    after = told(folio(1, State.SAME), folio(3, State.UNKNOWN, Holder("transient")))
    assert list(changes(before, after)) == []
    assert begun(before).endswith("; 1 held, 0 of them STALE")


def test_what_comes_and_goes() -> None:
    """A buffer that is registered, one that is given back, and what is charged."""
    buffer = Buffer(Holder("io_uring", ME, 3, address=AT), 8192, reason="r")
    before, after = told(), told(buffers=(buffer,), charges=replace(CHARGED, vm_pin=12288))
    charged = "VmPin 12 KiB, VmLck 0"
    assert list(changes(before, after)) == [
        (f"held: {AT:x}, 8 KiB, io_uring fd 3, cannot be told", False),
        (f"charged: {charged}, was VmPin 4 KiB, VmLck 0", False),
    ]
    assert list(changes(after, before)) == [
        (f"given back: {AT:x}, 8 KiB, io_uring fd 3, was cannot be told", False),
        (f"charged: VmPin 4 KiB, VmLck 0, was {charged}", False),
    ]


def closed(source: str) -> None:
    """A kernel whose memory is closed."""
    raise CannotLook("the kernel is locked down")


def watched(monkeypatch: pytest.MonkeyPatch, looks: Sequence[Told | type[BaseException]], *words: str) -> int:
    """The exit status of watching these looks."""
    rest = list(looks)

    class Fake:
        def __init__(self, **_: object) -> None:
            pass

        def look(self, _: object) -> Told:
            one = rest.pop(0)
            if isinstance(one, Told):
                return one
            raise one("it is gone")

    monkeypatch.setattr(looking, "Reader", Fake)
    monkeypatch.setattr(looking, "_view", closed)
    monkeypatch.setattr(watch.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(watch.time, "strftime", lambda form: "12:00:00")
    return main(["watch", "--pid", "7", *words])


SAME, STALE = told(folio(0, State.SAME)), told(folio(0, State.STALE))


def test_it_ends_with_the_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line with its time; 1, as something became stale."""
    assert watched(monkeypatch, [SAME, SAME, STALE, NotThere]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "12:00:00  VmPin 4 KiB, VmLck 0; 1 held, 0 of them STALE",
        "12:00:00  More.",
        f"12:00:00  STALE: {AT:x}, 4 KiB, VFIO fd 5, was same",
        "12:00:00  process 7 has ended",
    ]


@pytest.mark.parametrize(
    ("looks", "words"),
    [
        ([STALE, SAME, NotThere], ()),
        ([SAME, SAME], ("--times", "2")),
        ([SAME, KeyboardInterrupt], ()),
        ([SAME, replace(SAME, processes=())], ()),
    ],
)
def test_nothing_became_stale(
    monkeypatch: pytest.MonkeyPatch, looks: Sequence[Told | type[BaseException]], words: tuple[str, ...]
) -> None:
    """0: what was stale before is nothing new; also when it is stopped, or the process is a zombie."""
    assert watched(monkeypatch, looks, *words) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--on", "vmcore:f"), "nothing changes in vmcore:f"),
        (("--every", "0"), "'0' is no number from 1 on"),
        (("--times", "x"), "'x' is no number from 1 on"),
    ],
)
def test_bad_usage(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str) -> None:
    """3 and one line."""
    assert main(["watch", "--pid", "7", *words]) == 3
    assert said in capsys.readouterr().err


def test_no_process_to_begin_with(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """That is a mistake, and no end."""
    assert watched(monkeypatch, [NotThere]) == 3
    assert capsys.readouterr() == ("", "pinhold: it is gone\n")
