"""`pinhold doctor` and what scenarios need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pinhold import cli
from pinhold.mm.state import X86_64
from pinhold.scenario.hugepages import USUAL
from pinhold.scenario.parse import parse
from pinhold.scenario.suites import suite
from pinhold.system import doctor, plan
from pinhold.system.host import Host
from pinhold.system.needs import ALLOWABLE, Needs, needs_of
from pinhold.targets import base
from pinhold.targets.live.kernel import RunningKernel

CHANGING = ("write", "make_swap_file", "swap_on", "swap_on_loop", "swap_off", "remove", "lock", "create", "append")
"""What of Host changes a machine."""


def scenario(lines: str):
    """A scenario of those lines."""
    return parse(f"scenario t\n{lines}\n")


def test_the_seed_suite_needs_two_huge_pages_of_each_size() -> None:
    """One for the parent and one for the copy, as the selftest's run_vmtests asks for."""
    needs = needs_of(test.scenario for test in suite("seed").tests)
    assert needs.hugepages == {"2M": 2, "1G": 2}
    assert needs.swap == 2 * 2 << 20 and needs.swap_huge
    assert needs.thp and needs.huge_zero and not needs.ksm


@pytest.mark.parametrize(
    ("lines", "needs"),
    [
        ("map P x anon\nwrite P x 1", Needs()),
        ("map P x anon pages 3\nmadvise P x pageout", Needs(swap=3 * 4096)),
        ("map P x file\nmadvise P x pageout", Needs()),
        ("map P x anon\nmadvise P x free\nmadvise P x pageout", Needs()),
        ("map P x anon\nmadvise P x hugepage\nswapout P x", Needs(swap=4096, swap_huge=True, thp=True)),
        ("map P x hugetlb 2M pages 1024\nfork P C\nfork C D", Needs({"2M": 6})),
        ("map P x hugetlb 2M shared\nfork P C", Needs({"2M": 1})),
        ("map P x memfd_hugetlb 2M\nmap P y of x", Needs({"2M": 3})),
        ("map P x hugetlb 2M\nunmap P x\nmap P y hugetlb 2M", Needs({"2M": 1})),
        ("map P x hugetlb 2M\nvmsplice P x as p\nunmap P x\nmap P y hugetlb 2M", Needs({"2M": 2})),
    ],
)  # fmt: skip
def test_what_a_scenario_needs(lines: str, needs: Needs) -> None:
    """Copies of private memory in each process, pages of files, and what pins keep, but no more."""
    assert needs_of([scenario(lines)]) == needs


def test_a_pool_is_changed_on_one_node(tmp_path: Path) -> None:
    """On a machine with several memory nodes the first node's pool is changed, so that the same pages go back."""
    host = Host(str(tmp_path), str(tmp_path))
    name = "hugepages/hugepages-2048kB"
    for folder in (f"{plan.NODES}/node0/{name}", f"sys/kernel/mm/{name}"):
        (tmp_path / folder).mkdir(parents=True)
    assert plan.pool_folder(host, "2M") == f"sys/kernel/mm/{name}"
    (tmp_path / f"{plan.NODES}/node1/{name}").mkdir(parents=True)
    assert plan.pool_folder(host, "2M") == f"{plan.NODES}/node0/{name}"


def test_doctor_says_what_is_there_and_what_would_change(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line for each thing, and one for each area of --allow-change; nothing is changed."""

    def change(*arguments: object) -> None:
        raise AssertionError(f"doctor changed something: {arguments[1:]}")

    for name in CHANGING:
        monkeypatch.setattr(Host, name, change)
    status = cli.main(["doctor"])
    printed = capsys.readouterr().out
    assert status in (0, 4)
    if status == 0:
        for about in ("live", "rights", "frames", "soft-dirty", "gup_test", "vmsplice", "swap", "memlock", "cgroup"):
            assert any(line[6:].startswith(about) for line in printed.splitlines()), about
        for area in ALLOWABLE:
            assert any(line.strip().startswith(area) for line in printed.splitlines()), area


def test_doctor_on_a_machine_that_is_not_for_live(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, and status 4."""

    def refuse() -> None:
        raise base.Unavailable("live needs Linux on x86-64, and this is Plan 9")

    monkeypatch.setattr(doctor, "check_supported", refuse)
    assert cli.main(["doctor"]) == 4
    assert "no    live" in capsys.readouterr().out


@pytest.mark.parametrize(("value", "who"), [("2", "everybody"), ("1", "users outside of kernel.io_uring_group")])
def test_io_uring_that_is_shut_is_said(tmp_path: Path, value: str, who: str) -> None:
    """With the setting and whom it concerns."""
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/io_uring_disabled").write_text(f"{value}\n")
    found = [finding.words for finding in doctor._pins(Host(str(tmp_path), str(tmp_path)))]
    assert f"/proc/sys/kernel/io_uring_disabled is {value}: it is shut for {who}" in found


def test_missing_rights_are_named(tmp_path: Path) -> None:
    """Each capability that is missing, and a kernel that is locked down."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/status").write_text("CapEff:\t0000000000004000\n")
    (tmp_path / "sys/kernel/security").mkdir(parents=True)
    (tmp_path / "sys/kernel/security/lockdown").write_text("none [integrity] confidentiality\n")
    rights, lockdown = doctor._rights(Host(str(tmp_path), str(tmp_path)))
    assert rights.words.endswith("without CAP_SYS_PTRACE, CAP_SYS_ADMIN") and not rights.good
    assert "locked down (integrity)" in lockdown.words


def test_an_unknown_area_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """A typing mistake is status 3 and a suggestion."""
    assert cli.main(["run", "seed/1", "--on", "live", "--allow-change", "hugepage"]) == 3
    assert "--allow-change cannot change 'hugepage': did you mean hugepages?" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="needs an ordinary user: this is root")
@pytest.mark.skipif(RunningKernel().missing_swap() is None, reason="needs a machine without swap: this one has some")
def test_an_ordinary_user_is_told_and_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """--allow-change changes nothing, says why, and the rest runs."""
    assert cli.main(["run", "seed/1", "--on", "live", "--allow-change", "swap", "--format", "ktap"]) in (0, 4)
    cli.main(["run", "seed/2", "--on", "live", "--allow-change", "swap", "--format", "ktap"])
    assert "--allow-change changes nothing: no journal can be kept in /var/lib/pinhold" in capsys.readouterr().err


def test_the_usual_pool_is_the_models() -> None:
    """A scenario that needs more is about a pool that runs out, on a model as on a real kernel."""
    assert tuple(USUAL.values()) == X86_64.hugetlb
