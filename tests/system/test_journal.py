"""Changes come back whatever is killed, and whatever fails, at each step."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pinhold.system.changed import restore_journal
from pinhold.system.changes import Setting
from pinhold.system.guardian import Guardian, Refused
from pinhold.system.host import Busy, Host
from pinhold.system.journal import Journal, JournalFailed
from pinhold.system.needs import ALLOWABLE

sys.path.insert(0, str(Path(__file__).parent))
from fake_host import CHANGED, NEEDS, POOL, TREE, AtStep, FakeHost, build, content, left_over

SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A machine made of files, in `root`, and a state directory."""
    build(tmp_path / "root")
    return tmp_path


def steps_of_a_whole_run(folder: Path) -> list[str]:
    """What is done to the machine, in order, when nothing goes wrong."""
    build(folder / "root")
    steps = AtStep(0, lambda: None)
    guardian = Guardian(FakeHost(folder, steps), os.getpid())
    guardian.apply(NEEDS, ALLOWABLE)
    guardian.restore()
    return steps.seen


def test_a_run_changes_what_is_needed_and_puts_it_back(folder: Path) -> None:
    """While it runs the settings are as needed; afterwards everything is as before and nothing is left."""
    guardian = Guardian(FakeHost(folder), os.getpid())
    reply = guardian.apply(NEEDS, ALLOWABLE)
    assert reply["told"] == []
    assert len(reply["made"]) == 7
    during = content(folder / "root")
    swaps = during.pop("proc/swaps")
    assert "pinhold-swap-" in swaps
    assert during == {k: CHANGED.get(k, v) for k, v in TREE.items() if k != "proc/swaps"}
    assert "journal" in left_over(folder / "state")
    report = guardian.restore()
    assert (len(report.restored), report.conflicts, report.failed) == (7, [], [])
    assert content(folder / "root") == TREE
    assert left_over(folder / "state") == []


def test_only_what_is_allowed_is_changed(folder: Path) -> None:
    """An area that was not named stays as it is, whatever the scenarios need."""
    guardian = Guardian(FakeHost(folder), os.getpid())
    guardian.apply(NEEDS, ["thp"])
    changed = {name for name, text in content(folder / "root").items() if text != TREE[name]}
    assert {os.path.basename(name) for name in changed} == {"enabled", "use_zero_page", "scan_sleep_millisecs"}
    guardian.restore()
    assert content(folder / "root") == TREE


def test_each_change_is_on_disk_before_it_is_made(folder: Path) -> None:
    """When a setting is about to be written, the journal on disk has its path, old and new value."""
    checked = []

    def look(what: str) -> None:
        if what.startswith("write ") and not done:
            journal = Journal.load(FakeHost(folder))
            assert journal is not None
            last = journal.entries[-1]
            assert last.got is None and last.end is None
            assert what.removeprefix("write ") in last.change.words()
            checked.append(what)

    done: list[bool] = []
    guardian = Guardian(FakeHost(folder, look), os.getpid())
    guardian.apply(NEEDS, ALLOWABLE)
    done.append(True)
    assert checked == ["write nr_hugepages", "write sleep_millisecs", "write run", "write enabled",
                       "write use_zero_page", "write scan_sleep_millisecs"]  # fmt: skip
    header = json.loads((folder / "state" / "journal").read_text().splitlines()[0])
    assert header == {"journal": 1, "boot": "11111111-2222", "main": os.getpid(), "guardian": os.getpid()}
    guardian.restore()


VICTIMS = ("main", "guardian", "both")
KILLED = {"main": 1, "guardian": 1, "both": 2}


@pytest.fixture(scope="module")
def killings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What is left after a SIGKILL of each victim at each step."""
    found = {}
    for victim in VICTIMS:
        command = [sys.executable, str(Path(__file__).parent / "killings.py"), victim]
        done = subprocess.run(
            [*command, str(tmp_path_factory.mktemp(victim))],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )
        assert done.returncode == 0, done.stderr
        found[victim] = [json.loads(line) for line in done.stdout.splitlines()]
    return found


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the steps."""
    return steps_of_a_whole_run(tmp_path_factory.mktemp("steps"))


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_kill_at_each_step_leaves_nothing(
    victim: str, killings: dict[str, list[dict[str, Any]]], steps: list[str]
) -> None:
    """Killed at any step, pinhold or its guardian puts everything back; if both are gone, `pinhold restore` does."""
    results = killings[victim]
    assert len(results) == len(steps) + 1 > 60
    assert [r["killed"] for r in results] == [KILLED[victim]] * len(steps) + [0]
    for result, name in zip(results, [*steps, "no kill"], strict=True):
        if victim != "both":
            assert (result["tree"], result["left"]) == (TREE, []), name
        assert (result["tree_after"], result["left_after"]) == (TREE, []), name
        assert result["report"] is None or not result["report"]["conflicts"] + result["report"]["failed"], name
    if victim == "both":
        assert any(result["tree"] != TREE for result in results)


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EPERM, errno.ENOMEM], ids=errno.errorcode.get)
def test_a_failure_at_each_step_is_told_and_leaves_nothing(number: int, tmp_path: Path) -> None:
    """Whatever fails, it is said in a sentence, and in the end everything is as it was."""

    def fail() -> None:
        raise OSError(number, os.strerror(number))

    steps = steps_of_a_whole_run(tmp_path)
    for step, name in enumerate(steps, 1):
        folder = tmp_path / str(step)
        build(folder / "root")
        guardian = Guardian(FakeHost(folder, AtStep(step, fail)), os.getpid())
        said: list[str] = []
        try:
            said += guardian.apply(NEEDS, ALLOWABLE)["told"]
            report = guardian.restore()
            said += report.failed
        except (Refused, JournalFailed) as refusal:
            said.append(str(refusal))
        if content(folder / "root") != TREE or left_over(folder / "state"):
            assert any(os.strerror(number) in sentence for sentence in said), name
        assert said or name in ("append", "appended", "removed"), name
        restore_journal(FakeHost(folder))
        assert content(folder / "root") == TREE, name
        assert left_over(folder / "state") == [], name


def test_a_disk_that_is_full_changes_nothing(folder: Path) -> None:
    """Where the journal cannot be written, nothing is changed at all."""

    def full(what: str) -> None:
        if what == "append":
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(Refused, match=r"no journal can be kept in .*: No space left on device"):
        Guardian(FakeHost(folder, full), os.getpid()).apply(NEEDS, ALLOWABLE)
    assert content(folder / "root") == TREE
    assert left_over(folder / "state") == []


def test_somebody_elses_change_is_left_alone(folder: Path) -> None:
    """A value that is no longer ours is reported, with both values, and not touched; the others come back."""
    host = FakeHost(folder)
    guardian = Guardian(host, os.getpid())
    guardian.apply(NEEDS, ALLOWABLE)
    host.write(f"{POOL}/nr_hugepages", "9")
    host.write("sys/kernel/mm/ksm/run", "2")
    report = guardian.restore()
    assert report.failed == [] and len(report.restored) == 5
    assert report.conflicts == [
        "/sys/kernel/mm/ksm/run is 2: pinhold had set it to 1, somebody has changed it since, and it was left alone "
        "(it was 0 before)",
        f"/{POOL}/nr_hugepages is 9: pinhold had set it to 6, somebody has changed it since, and it was left alone "
        "(it was 3 before)",
    ]
    assert host.value("sys/kernel/mm/ksm/run") == "2" and host.number(f"{POOL}/nr_hugepages") == 9
    assert left_over(folder / "state") == []


def test_a_shortage_is_a_sentence_and_overcommit_the_rest(folder: Path) -> None:
    """Fewer pages than asked for are told; the missing ones may come from overcommit; both come back."""
    host = FakeHost(folder, most=5)
    guardian = Guardian(host, os.getpid())
    assert guardian.apply(NEEDS, ["hugepages"])["told"] == [
        "hugepages: the kernel found 2 of 3 pages of 2 MiB: memory is too fragmented"
    ]
    assert host.number(f"{POOL}/nr_overcommit_hugepages") == 1
    guardian.restore()
    assert content(folder / "root") == TREE


def test_the_kernel_is_asked_again_for_pages_that_it_did_not_find(folder: Path) -> None:
    """What keeps it from finding them may be gone a moment later; nothing is told then."""

    def more(what: str) -> None:
        if what == "written nr_hugepages":
            host.most += 1

    host = FakeHost(folder, more, most=4)
    guardian = Guardian(host, os.getpid())
    assert guardian.apply(NEEDS, ["hugepages"])["told"] == []
    assert host.number(f"{POOL}/nr_hugepages") == 6
    guardian.restore()
    assert content(folder / "root") == TREE


def test_too_little_memory_is_a_sentence(folder: Path) -> None:
    """Pages that would take more than half of the free memory are not asked for."""
    meminfo = folder / "root" / "proc" / "meminfo"
    meminfo.write_text("MemAvailable: 9000 kB\nSwapFree: 0 kB\n")
    told = Guardian(FakeHost(folder), os.getpid()).apply(NEEDS, ["hugepages"])["told"]
    assert told == ["hugepages: 3 more of 2 MiB would take more than half of the 8 MiB of memory that is free"]
    assert (folder / "root" / POOL / "nr_hugepages").read_text() == "3\n"


def test_what_is_there_is_not_changed(folder: Path) -> None:
    """Enough free huge pages and enough swap are used as they are."""
    (folder / "root" / POOL / "free_hugepages").write_text("4\n")
    (folder / "root" / "proc" / "meminfo").write_text("MemAvailable: 6000000 kB\nSwapFree: 2000 kB\n")
    reply = Guardian(FakeHost(folder), os.getpid()).apply(NEEDS, ["hugepages", "swap"])
    assert reply == {"made": [], "told": []}


def test_two_at_once_are_kept_apart(folder: Path) -> None:
    """The second one is refused with the first one's number, and may start when the first has ended."""
    first, second = (Guardian(FakeHost(folder), os.getpid()) for _ in range(2))
    first.apply(NEEDS, ALLOWABLE)
    with pytest.raises(Refused, match=rf"another pinhold \(process {os.getpid()}\) has changed this system") as refusal:
        second.apply(NEEDS, ALLOWABLE)
    assert refusal.value.in_the_way
    with pytest.raises(Busy):
        restore_journal(FakeHost(folder))
    first.restore()
    second.apply(NEEDS, ALLOWABLE)
    second.restore()
    assert content(folder / "root") == TREE


def unrestored(folder: Path) -> None:
    """A journal that nobody has restored: its guardian is gone."""
    guardian = Guardian(FakeHost(folder), os.getpid())
    guardian.apply(NEEDS, ALLOWABLE)
    os.close(guardian._lock)


def test_nothing_starts_over_an_unrestored_journal(folder: Path) -> None:
    """It says what is still changed and to run `pinhold restore`; after that it starts."""
    unrestored(folder)
    with pytest.raises(Refused, match=r"nr_hugepages from 3 to 6.*run pinhold restore") as refusal:
        Guardian(FakeHost(folder), os.getpid()).apply(NEEDS, ALLOWABLE)
    assert refusal.value.in_the_way
    report = restore_journal(FakeHost(folder))
    assert report is not None and len(report.restored) == 7
    assert content(folder / "root") == TREE
    Guardian(FakeHost(folder), os.getpid()).apply(NEEDS, ALLOWABLE)


def test_a_journal_of_another_boot_is_discarded(folder: Path) -> None:
    """After a reboot the settings are the kernel's own again: only the swap file is taken away, with a note."""
    unrestored(folder)
    build(folder / "root")
    (folder / "root" / "proc/sys/kernel/random/boot_id").write_text("another\n")
    assert len(left_over(folder / "state")) == 2
    guardian = Guardian(FakeHost(folder), os.getpid())
    assert "the journal of an earlier boot" in guardian.apply(NEEDS, ["ksm"])["told"][0]
    guardian.restore()
    assert left_over(folder / "state") == []


def test_a_cut_off_record_was_never_acted_upon(folder: Path) -> None:
    """A last line without its end is passed over; a journal that makes no sense is left alone and named."""
    unrestored(folder)
    journal = folder / "state" / "journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"change": 7, "kind": "setting", "path": "sys/ker')
    assert len(Journal.load(FakeHost(folder)).entries) == 7
    journal.write_bytes(whole.replace(b'"setting"', b'"nonsense"'))
    with pytest.raises(JournalFailed, match="cannot be understood"):
        restore_journal(FakeHost(folder))
    journal.write_bytes(whole.replace(b'"sys/kernel/mm/ksm/run"', b'"sys/../../etc/run"'))
    with pytest.raises(JournalFailed, match="cannot be understood"):
        restore_journal(FakeHost(folder))
    journal.write_bytes(whole)
    restore_journal(FakeHost(folder))
    assert content(folder / "root") == TREE


def test_a_state_directory_that_others_can_write_is_refused(folder: Path) -> None:
    """Nobody else may be able to plant a journal."""
    (folder / "state").mkdir(mode=0o777)
    (folder / "state").chmod(0o777)
    with pytest.raises(Refused, match="not a directory that its owner alone can write to"):
        Guardian(FakeHost(folder), os.getpid()).apply(NEEDS, ALLOWABLE)
    assert content(folder / "root") == TREE


def test_the_journal_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new journal syncs its directory, each record the file, and the end the directory again."""
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    host = Host(state=str(tmp_path))
    journal = Journal.create(host, 1)
    entry = journal.begin(Setting("proc/none", "0", "1"))
    journal.made(entry, "1")
    journal.discard()
    assert [Path(name).name for name in synced] == [tmp_path.name, "journal", "journal", "journal", tmp_path.name]


def test_a_record_that_did_not_fit_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a line on a full disk would spoil the lines after it."""
    host = Host(state=str(tmp_path))
    journal = Journal.create(host, 1)
    before = (tmp_path / "journal").read_bytes()
    real = os.write

    def half(fd: int, data: bytes) -> int:
        if len(data) < 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(JournalFailed, match="No space left on device"):
        journal.begin(Setting("proc/none", "0", "1"))
    assert (tmp_path / "journal").read_bytes() == before
    monkeypatch.undo()
    journal.discard()
