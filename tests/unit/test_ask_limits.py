"""What `ask` says of RLIMIT_MEMLOCK and of other ways than flags is what the specification does."""

from __future__ import annotations

import json

import pytest

from pinhold.ask.answer import answer
from pinhold.ask.cell import RELIABLE
from pinhold.ask.flags import parse_flags
from pinhold.ask.interfaces import INTERFACES
from pinhold.ask.rlimit import COUNTERS, LIMITS, MIB, limit_of, limits
from pinhold.cli import main
from pinhold.scenario.parse import parse
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

USERS = {"ibv_reg_mr": "rdma", "io_uring fixed buffer": "io_uring", "vfio": "vfio"}
PAGES = MIB // 4096


def pins(release: str, user: str, memory: str, pages: int) -> str:
    """The verdict of a pin of 1 MiB by a process whose limit is so many pages, with the errno that is not to come."""
    text = (
        f"scenario the limit\n{memory}capability P ipc_lock off\nmemlock P {pages}\n"
        f"pin P x[:{PAGES}] as p longterm write user {user}\nexpect errno OK\n"
    )
    return run_scenario(ModelTarget(release), parse(text)).verdict.kind


@pytest.mark.parametrize("release", ["6.1", "6.12", "7.3"])
@pytest.mark.parametrize("interface", USERS)
def test_the_limit_is_enough_and_a_page_less_is_not(interface: str, release: str) -> None:
    """For base pages, of each interface that the specification charges."""
    limit = limit_of(interface)
    assert limit is not None
    pages = limit.needed(1, huge=False) // 4096
    memory = f"map P x anon pages {PAGES}\nwrite P x 0x11\n"
    assert pins(release, USERS[interface], memory, pages) == "held"
    assert pins(release, USERS[interface], memory, pages - 1) == "violated"


def test_a_thp_counts_whole_where_it_is_said() -> None:
    """1 MiB of a THP takes 2 MiB of io_uring's limit, of which what is said is the most, and 1 MiB of the others'."""
    for interface, user in USERS.items():
        limit = limit_of(interface)
        assert limit is not None
        enough = 2 * PAGES if limit.whole else PAGES
        memory = "map P x thp\nwrite P x 0x11\n"
        assert pins("6.12", user, memory, enough) == "held"
        assert pins("6.12", user, memory, enough - 1) == "violated"
        assert limit.needed(1, huge=True) // 4096 == (4 * PAGES if limit.whole else PAGES)


def test_what_an_interface_says_of_its_charge_is_the_same() -> None:
    """The counter and the waiver of both tables agree, and nothing is said of what is charged nothing."""
    for interface in INTERFACES:
        limit = limit_of(interface.name)
        assert (limit is None) == interface.charge.startswith("nothing"), interface.name
        if limit is not None:
            per = "user" if limit.counter.startswith("user") else "process"
            assert f"of the {per}" in interface.charge
            assert ("pinned_vm" in limit.counter) == ("pinned_vm" in interface.charge)
            assert limit.waived == ("waived by CAP_IPC_LOCK" in interface.charge)
    assert {limit.counter for limit in LIMITS} == set(COUNTERS)
    assert [limit.interface for limit in LIMITS if limit not in limits("6.1")] == ["iommufd"]


def test_other_ways_are_told_where_a_pin_fails() -> None:
    """Of FOLL_LONGTERM on 6.1, not on 6.12; shared memory is reliable, as its row of the table is."""
    found = answer(parse_flags("FOLL_LONGTERM"), ["6.1", "6.12"])
    assert [other.who for other in found.instead] == ["driver", "process", "process"]
    none, shared, dontfork = found.instead
    assert none.answers is None
    assert shared.answers == {"6.1": RELIABLE}
    assert dontfork.answers == {}
    assert answer(parse_flags("FOLL_LONGTERM"), ["6.12"]).instead == ()


def test_dontfork_is_run() -> None:
    """References hold until fork() in some rows, and in all of these after the advice."""
    found = answer(parse_flags("FOLL_GET"), ["6.12"])
    assert found.instead[2].answers == {"6.12": "7 of 7 rows that hold until fork()"}


def test_the_document_and_the_table_have_them(capsys: pytest.CaptureFixture[str]) -> None:
    """By the size that was asked for."""
    on = ("--on", "model:6.1")
    assert main(["ask", "FOLL_LONGTERM", *on, "--memory", "3", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    ring = next(each for each in document["rlimit_memlock"] if each["interface"] == "io_uring fixed buffer")
    assert (ring["bytes"], ring["bytes_of_huge_pages"]) == (3 * MIB, 6 * MIB)
    assert document["instead"][1]["answers"] == {"6.1": "reliable"}
    assert main(["ask", "vfio", *on, "--memory", "7", "--format", "json"]) == 0
    assert [each["bytes"] for each in json.loads(capsys.readouterr().out)["rlimit_memlock"]] == [7 * MIB]
    assert main(["ask", "vfio", *on]) == 0
    assert "RLIMIT_MEMLOCK for 64 MiB:" in capsys.readouterr().out
    assert main(["ask", "vfio", "--memory", "much"]) == 3
    assert "is no number of MiB" in capsys.readouterr().err
