"""`pinhold ask INTERFACE`: names, flags by release, and what they promise."""

from __future__ import annotations

import json

import pytest

from pinhold.ask.interfaces import INTERFACES, Interface, find, nearest
from pinhold.ask.memory import MEMORY
from pinhold.ask.promise import promise
from pinhold.cli import main
from pinhold.mm.machine import create
from pinhold.mm.releases import releases, row
from pinhold.mm.state import TINY
from pinhold.mm.users import direct_io_flags, io_uring_flags, process_vm_flags
from pinhold.report.asktable import WIDTH
from pinhold.targets.model.target import CONFIG


def named(name: str) -> Interface:
    """The interface of that name."""
    found = find(name)
    assert found is not None
    return found


def words(name: str, use: int, release: str) -> str:
    """How it calls GUP, in C."""
    call = named(name).uses[use].call(release)
    return f"{call.request.entry}{'_fast' if call.fast else ''}({call.request.words})"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ibv_reg_mr", "ibv_reg_mr"),
        ("RDMA", "ibv_reg_mr"),
        ("io_uring fixed buffer", "io_uring fixed buffer"),
        ("io-uring", "io_uring fixed buffer"),
        ("vfio", "vfio"),
        ("v4l2 userptr", "v4l2 userptr"),
        ("AF_XDP", "af_xdp"),
        ("vhost-vdpa", "vhost"),
        ("process_vm_writev", "process_vm_readv"),
        ("o_direct", "O_DIRECT"),
        ("vmsplice", "vmsplice"),
    ],
)
def test_people_say_it_in_their_own_way(text: str, name: str) -> None:
    """Case, blanks, hyphens and underscores are one; aliases lead to the interface."""
    assert named(text).name == name


def test_a_name_leads_to_one_interface_and_is_no_flag() -> None:
    """No two interfaces share a name or an alias; what is mistyped is answered with the nearest."""
    every = [word for interface in INTERFACES for word in (interface.name, *interface.aliases)]
    assert {named(word).name for word in every} == {interface.name for interface in INTERFACES}
    assert all(named(word) is interface for interface in INTERFACES for word in (interface.name, *interface.aliases))
    assert nearest("ibv_regmr") == "ibv_reg_mr"
    assert nearest("FOLL_WRITE") is None


@pytest.mark.parametrize(
    ("name", "use", "release", "call"),
    [
        ("ibv_reg_mr", 0, "6.1", "pin_user_pages_fast(FOLL_LONGTERM|FOLL_WRITE|FOLL_FORCE)"),
        ("ibv_reg_mr", 0, "6.1.140", "pin_user_pages_fast(FOLL_LONGTERM|FOLL_WRITE|FOLL_FORCE)"),
        ("ibv_reg_mr", 0, "6.2", "pin_user_pages_fast(FOLL_LONGTERM)"),
        ("ibv_reg_mr", 1, "5.10", "pin_user_pages_fast(FOLL_LONGTERM|FOLL_WRITE)"),
        ("v4l2", 0, "5.10", "pin_user_pages(FOLL_WRITE|FOLL_FORCE)"),
        ("v4l2", 0, "6.1", "pin_user_pages_fast(FOLL_LONGTERM|FOLL_WRITE|FOLL_FORCE)"),
        ("v4l2", 0, "7.3", "pin_user_pages_fast(FOLL_LONGTERM)"),
        ("v4l2", 1, "7.3", "pin_user_pages_fast(FOLL_LONGTERM|FOLL_WRITE)"),
        ("vfio", 0, "5.10", "pin_user_pages(FOLL_LONGTERM)"),
        ("vmsplice", 0, "7.3", "get_user_pages_fast(0)"),
    ],
)
def test_flags_by_release(name: str, use: int, release: str, call: str) -> None:
    """As the sources of these releases have it."""
    assert words(name, use, release) == call


@pytest.mark.parametrize("release", releases())
def test_what_the_specification_says_of_its_users_is_what_ask_says(release: str) -> None:
    """mm/users.py and the table here agree on io_uring, direct I/O and process_vm_readv(), release by release; whose
    memory it is makes no promise."""
    from pinhold.mm import flags as k

    m = create(TINY, row(release), CONFIG)
    for flags, name, use in (
        (io_uring_flags(m), "io_uring", 0),
        (direct_io_flags(m, 0), "O_DIRECT", 0),
        (direct_io_flags(m, 1), "O_DIRECT", 1),
        (process_vm_flags(0), "process_vm", 0),
        (process_vm_flags(1), "process_vm", 1),
    ):
        call = named(name).uses[use].call(release)
        assert call.request.walk_flags | (k.WANT_FAST if call.fast else 0) == flags & ~k.FOLL_REMOTE, (name, use)


def test_io_uring_gives_back_what_it_does_not_take() -> None:
    """Of ordinary files io_uring takes no buffers up to 6.4, whatever GUP gives: EOPNOTSUPP."""
    (use,) = promise(named("io_uring"), ["6.1", "6.12"]).uses
    file = next(m for m in MEMORY if (m.group.startswith("shared"), m.name) == (True, "file on disk"))
    assert use.columns["6.1"][file].word == "EOPNOTSUPP"
    assert use.columns["6.12"][file].word == "EFAULT"  # by GUP: a writable long-term pin of a dirty-tracked file
    assert use.charges["one 4 KiB page of a THP"]["6.12"].pages == 512


def test_every_interface_is_told_within_the_width(capsys: pytest.CaptureFixture[str]) -> None:
    """Source, uses, calls, table and charge, on two releases; no line is too long; the exit status is 0."""
    for interface in INTERFACES:
        assert main(["ask", interface.name, "--on", "model:6.1", "--on", "model:6.12"]) == 0
        out = capsys.readouterr().out
        assert interface.source.split(" (")[0] in out
        assert "Locked memory: " in out
        assert out.count("private anonymous, THP") == len(interface.uses)
        assert max(map(len, out.splitlines())) <= WIDTH


def test_the_document_has_calls_and_cells(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON says what the table says."""
    assert main(["ask", "vfio", "--on", "model:6.1", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["interface"], found["releases"]) == (1, "vfio", ["6.1"])
    read = found["uses"][0]
    assert read["calls"]["6.1"] == {"entry_point": "pin_user_pages", "flags": ["FOLL_LONGTERM"]}
    assert read["memory"][4]["cells"]["6.1"] == "stale"
    assert read["charged"]["one hugetlb page of 2 MiB"]["6.1"] == 512


def test_an_unknown_word_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped interface is a usage error that names the right one."""
    assert main(["ask", "ibv_regmr"]) == 3
    assert "no flag and no interface 'ibv_regmr': did you mean 'ibv_reg_mr'?" in capsys.readouterr().err
    assert main(["ask", "xyzzy"]) == 3
    assert "or name an interface: ibv_reg_mr, io_uring fixed buffer" in capsys.readouterr().err
