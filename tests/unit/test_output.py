"""Output files are there whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from pinhold.commands import UsageError, WriteFailed
from pinhold.commands.output import output


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    """Until the end the old content stands; after it the new one, with the old permissions, and nothing beside it."""
    file = tmp_path / "out"
    file.write_text("old")
    file.chmod(0o640)
    with output(str(file)) as stream:
        stream.write("new")
        stream.flush()
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["out"]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    """What ends the command inside leaves neither a half file nor a temporary one."""
    file = tmp_path / "out"
    file.write_text("old")
    with pytest.raises(KeyboardInterrupt), output(str(file)) as stream:
        stream.write("half")
        raise KeyboardInterrupt
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    """Writing to a symbolic link replaces the file that it names."""
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
