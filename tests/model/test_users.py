"""What the kernel's own users of pages do to them, release by release."""

from __future__ import annotations

import pytest

from pinhold.scenario.parse import parse
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result, run_scenario

RELEASES = ("5.10", "6.1", "6.2", "6.12", "6.18")

SHARED = "map P x anon pages 4\nwrite P x 0x01\nfork P C\nread C x\n"


def play(release: str, lines: str) -> Result:
    return run_scenario(ModelTarget(release, checked=True, properties=True), parse(f"scenario test\n{lines}\n"))


def verdict(release: str, lines: str) -> str:
    return play(release, lines).verdict.kind


@pytest.mark.parametrize("release", RELEASES)
def test_a_short_read_only_pin_unshares_since_5_19(release: str) -> None:
    """process_vm_readv() of a page shared with a child gives the caller its own page; 5.10 pins the shared one."""
    found = verdict(release, SHARED + "process_vm_readv P x as s\nexpect P x different C x\nexpect s 0x01")
    assert found == ("violated" if release == "5.10" else "held")


@pytest.mark.parametrize("release", RELEASES)
def test_direct_io_unshares_since_6_5(release: str) -> None:
    """A direct write takes references up to 6.4, which unshare nothing, and pins since."""
    found = verdict(release, SHARED + "direct write P x as s\nexpect P x different C x\nexpect s 0x01")
    assert found == ("held" if release in ("6.12", "6.18") else "violated")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("fill", ["process_vm_writev P x 0x22", "direct read P x 0x22"])
def test_filling_breaks_cow(release: str, fill: str) -> None:
    """Memory that the kernel fills is the process's own by then, in every release."""
    assert verdict(release, SHARED + f"{fill}\nexpect P x 0x22\nexpect C x 0x01\nexpect P x different C x") == "held"


@pytest.mark.parametrize("release", RELEASES)
def test_what_is_taken_for_a_call_is_given_back(release: str) -> None:
    """Afterwards nothing is pinned: a fork shares the page instead of copying it."""
    for line in ("process_vm_readv P x as s", "process_vm_writev P x 0x01", "direct read P x 0x01", "poke P x 0x01"):
        lines = f"map P x anon\nwrite P x 0x01\n{line}\nfork P C\nexpect P x same C x"
        assert verdict(release, lines) == "held", line


@pytest.mark.parametrize("release", RELEASES)
def test_a_forced_write_copies_what_is_private(release: str) -> None:
    """Into a read-only private mapping of a file the write goes, and the file stays as it is."""
    lines = """
map P f memfd private read
map P s of f shared read
read P f
read P s
poke P f 0x33
expect P f 0x33
expect P s 0x00
"""
    assert verdict(release, lines) == "held"


@pytest.mark.parametrize("release", RELEASES)
def test_a_forced_write_does_not_get_into_a_shared_mapping(release: str) -> None:
    """A mapping that is shared and read-only is refused, with EIO."""
    assert verdict(release, "map P f memfd shared read\nread P f\npoke P f 0x33\nexpect errno EIO") == "held"


@pytest.mark.parametrize("line", ["process_vm_readv P x as s", "direct write P x as s"])
def test_a_copy_stops_at_a_hole(line: str) -> None:
    """A range with a page that is not mapped is EFAULT, and there is no copy."""
    lines = f"map P x anon pages 4\nwrite P x 0x01\nunmap P x[2]\n{line}\nexpect errno EFAULT"
    assert verdict("6.18", lines) == "held"
    assert verdict("6.18", lines + "\nexpect s 0x01") == "unknown"


@pytest.mark.parametrize("line", ["process_vm_writev P x 0x22", "direct read P x 0x22"])
def test_filling_up_to_a_hole_is_done(line: str) -> None:
    """The pages before the hole are filled, the one after it is not."""
    lines = f"map P x anon pages 4\nwrite P x 0x01\nunmap P x[2]\n{line}\nexpect errno EFAULT\n"
    assert verdict("6.18", lines + "expect P x[:2] 0x22\nexpect P x[3] 0x01") == "held"


def test_a_copy_is_of_its_moment() -> None:
    """Later writes do not show in it, and it is gone when its process exits."""
    assert verdict("6.18", SHARED + "process_vm_readv P x as s\nwrite P x 0x02\nexpect s 0x01\nunpin s") == "held"
    result = play("6.18", SHARED + "direct write C x as s\ndevice read s\nexit C\nexpect P x 0x01")
    assert [pin.byte for pin in result.observations[5].pins] == [1, 1]
    assert result.observations[-1].pins == ()


def test_a_copy_holds_no_frame() -> None:
    """Its first and last page are observed without one."""
    result = play("6.18", SHARED + "process_vm_readv P x as s\nexpect s 0x01")
    assert [(view.page, view.frame, view.byte) for view in result.observations[-1].pins] == [(0, None, 1), (3, None, 1)]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("kind", ["memfd", "tmpfile"])
def test_which_files_io_uring_takes(release: str, kind: str) -> None:
    """Up to 6.4 it refuses pages of ordinary files itself, even in private mappings, and in 5.10 of shmem, too."""
    refused = release == "5.10" or (kind == "tmpfile" and release in ("6.1", "6.2"))
    result = play(release, f"map P x {kind}\nwrite P x 0x01\nio_uring P x as p\nexpect p sees P x")
    assert result.verdict.kind == ("skipped" if refused else "held")
    if refused:
        reason = "io_uring P x as p: no pages of that kind of file can be taken so here (EOPNOTSUPP)"
        assert result.verdict.reason == reason


@pytest.mark.parametrize("release", RELEASES)
def test_io_uring_is_refused_a_file_that_tracks_dirtying(release: str) -> None:
    """A shared mapping of an ordinary file: EFAULT by GUP since 6.5, EOPNOTSUPP by io_uring before."""
    errno = "EFAULT" if release in ("6.12", "6.18") else "EOPNOTSUPP"
    assert verdict(release, f"map P x tmpfile shared\nread P x\nio_uring P x as p\nexpect errno {errno}") == "held"


def test_io_uring_is_accounted() -> None:
    """Beyond RLIMIT_MEMLOCK it is ENOMEM, which skips a test unless it is what the test expects."""
    lines = "capability P ipc_lock off\nmemlock P 3\nmap P x anon pages 4\nwrite P x 0x01\nio_uring P x as p\n"
    assert verdict("6.18", lines + "expect errno ENOMEM") == "held"
    skipped = play("6.18", lines + "expect p 0x01").verdict
    reason = "io_uring P x as p: needs a higher RLIMIT_MEMLOCK, or CAP_IPC_LOCK, or more free memory (ENOMEM)"
    assert (skipped.kind, skipped.reason) == ("skipped", reason)
    assert verdict("6.18", lines.replace("off", "on") + "expect p 0x01") == "held"


def test_xfail_is_what_a_known_violation_is() -> None:
    """A scenario with an xfail line that is violated is xfail, with that reason; one that holds is held."""
    lines = 'xfail "known and open"\nmap P x anon\nwrite P x 0x01\nexpect P x {} "text"'
    violated, held = play("6.18", lines.format("0x02")).verdict, play("6.18", lines.format("0x01")).verdict
    assert (violated.kind, violated.reason, violated.text) == ("xfail", "known and open", "text")
    assert held.kind == "held"


@pytest.mark.parametrize(("pages", "present"), [(16, 16), (17, 17), (33, 32)])
def test_vmsplice_faults_in_twice_what_a_pipe_holds(pages: int, present: int) -> None:
    """The pages behind those that the pipe has room for were taken before it was found full, and let go again."""
    found = play("6.12", f"map P x anon pages {pages}\nwatch x\nvmsplice P x as p")
    seen = found.observations[-1]
    assert sum(page.state == "present" for page in seen.pages) == present
    assert [page.page for page in seen.pins] == [0, 15]
