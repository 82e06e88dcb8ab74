"""Output files have what was written to them, as it is written, and are nobody else's."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pinhold.commands import UsageError, WriteFailed
from pinhold.commands.output import output


def test_a_file_has_each_line_at_once(tmp_path: Path) -> None:
    """It is made, or emptied, at the start, keeps its permissions, and nothing lies beside it."""
    file = tmp_path / "out"
    file.write_text("old")
    file.chmod(0o640)
    with output(str(file)) as stream:
        assert file.read_text() == ""
        stream.write("one\n")
        assert file.read_text() == "one\n"
        assert os.listdir(tmp_path) == ["out"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_what_was_written_stays(tmp_path: Path) -> None:
    """Whatever ends the command inside, half a line included."""
    file = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt), output(str(file)) as stream:
        stream.write("one\nhalf")
        raise KeyboardInterrupt
    assert file.read_text() == "one\nhalf"
    assert os.listdir(tmp_path) == ["out"]


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory like /tmp, and beside it a file that must not be written to."""
    (tmp_path / "precious").write_text("precious")
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.mark.parametrize("name", ["link", "link/out", "hard", "dangling"])
def test_nothing_that_was_put_into_a_shared_directory_is_followed(shared: Path, name: str) -> None:
    """A symbolic link at the end or on the way, one to nothing yet, and a hard link: refused before any work."""
    if name == "link/out":
        (shared / "link").symlink_to("..")
        (shared.parent / "out").write_text("precious")
    elif name == "dangling":
        (shared / "dangling").symlink_to("../made")
    elif name == "link":
        (shared / "link").symlink_to("../precious")
    else:
        (shared / "hard").hardlink_to(shared.parent / "precious")
    with pytest.raises(UsageError, match=r"cannot write .*everybody may write to"), output(str(shared / name)):
        pytest.fail("the block ran")
    assert (shared.parent / "precious").read_text() == "precious"
    assert not (shared.parent / "made").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_anothers_file_in_a_shared_directory_is_not_written_to(shared: Path) -> None:
    """Its owner could change the results, or wait at a pipe; one's own is fine."""
    (shared / "mine").write_text("old")
    with output(str(shared / "mine")) as stream:
        stream.write("new")
    assert (shared / "mine").read_text() == "new"
    os.mkfifo(shared / "pipe")
    for name in ("mine", "pipe"):
        os.chown(shared / name, 4321, 4321)
        with pytest.raises(UsageError, match="put there by somebody else"), output(str(shared / name)):
            pytest.fail("the block ran")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_follows_no_link_in_anothers_directory(tmp_path: Path) -> None:
    """Its owner can have it point anywhere."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "link").symlink_to("../made")
    os.chown(tmp_path / "home", 4321, 4321)
    with pytest.raises(UsageError, match="belongs to user 4321"), output(str(tmp_path / "home" / "link")):
        pytest.fail("the block ran")
    assert not (tmp_path / "made").exists()


def test_a_link_is_followed(tmp_path: Path) -> None:
    """Writing to a symbolic link writes to the file that it names."""
    (tmp_path / "link").symlink_to("file")
    with output(str(tmp_path / "link")) as stream:
        stream.write("x")
    assert (tmp_path / "file").read_text() == "x"
    assert (tmp_path / "link").is_symlink()


def test_a_device_is_written_to_and_never_replaced() -> None:
    """-o /dev/null stays a device, and a full device is one sentence."""
    with output("/dev/null") as stream:
        stream.write("x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(WriteFailed, match="No space left on device"), output("/dev/full") as stream:
        stream.write("x")


@pytest.mark.parametrize(
    ("path", "why"),
    [("{}", "a directory"), ("{}/no/such/out", "No such file"), ("{}/file/out", "Not a dir")],
)
def test_a_path_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path, path: str, why: str) -> None:
    """The block does not run when its result could not be kept."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=why), output(path.format(tmp_path)):
        pytest.fail("the block ran")


def test_standard_output_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    """No path: the stream is stdout, and stays open."""
    with output(None) as stream:
        stream.write("hello")
    print()
    assert capsys.readouterr().out == "hello\n"


def test_a_name_for_a_pipe_is_written_to() -> None:
    """/dev/stdout, whose link leads to no name where it is a pipe."""
    program = "from pinhold.commands.output import output\nwith output('/dev/stdout') as s: s.write('x')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "x"
