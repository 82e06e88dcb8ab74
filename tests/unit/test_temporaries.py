"""What SIGKILL leaves behind: nothing, or what the next start takes away."""

from __future__ import annotations

import marshal
import os
import py_compile
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from pinhold.compiler import cache
from pinhold.lab import initramfs
from pinhold.scenario.parse import parse
from pinhold.scenario.steps import Map
from pinhold.targets.live.files import Files

HOURS_AGO = time.time() - 7200


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary directory."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_code_for_guests_is_made_in_memory(temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same header and code as py_compile's, and no file at any time: there is no directory that it could be in."""
    source = tmp_path / "module.py"
    source.write_text('"""A module."""\n\nVALUE = [1, 2]\n')
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    expected = Path(py_compile.compile(str(source), str(tmp_path / "out"), "module.py", True, invalidation_mode=mode))
    temporary.rmdir()
    made, whole = initramfs._compiled(str(source)), expected.read_bytes()
    assert made[:16] == whole[:16]
    assert marshal.loads(made[16:]) == marshal.loads(whole[16:])


KILLED = """
import os, signal, sys
from pinhold.scenario.parse import parse
from pinhold.targets.live.files import Files
files = Files()
files.for_map(parse("scenario t\\nmap P x file\\n").steps[0], 1)
print("made", flush=True)
os.kill(os.getpid(), getattr(signal, sys.argv[1]))
"""


def mapped(files: Files) -> None:
    """A file behind a mapping."""
    step = parse("scenario t\nmap P x file\n").steps[0]
    assert isinstance(step, Map)
    files.for_map(step, 1)


def test_a_file_that_another_controller_sweeps_away_is_made_again(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not locked yet when it is made: whoever comes first then takes it for abandoned."""
    made: list[int] = []

    def swept_at_first(*, prefix: str, dir: str, make=tempfile.mkstemp) -> tuple[int, str]:
        fd, path = make(prefix=prefix, dir=dir)
        if not made:
            os.unlink(path)
        made.append(fd)
        return fd, path

    monkeypatch.setattr(tempfile, "mkstemp", swept_at_first)
    before = set(os.listdir("/proc/self/fd"))
    files = Files()
    mapped(files)
    assert len(made) == 2 and len(list(temporary.iterdir())) == 1
    files.close()
    assert set(os.listdir("/proc/self/fd")) == before and not list(temporary.iterdir())


def test_the_file_of_a_killed_controller_goes_with_the_next_one(temporary: Path) -> None:
    """That of a living one stays, and so does what is not pinhold's."""
    command = [sys.executable, "-c", KILLED]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    subprocess.run([*command, "SIGKILL"], env=environment, check=False, stdout=subprocess.DEVNULL, timeout=60)
    (abandoned,) = temporary.iterdir()
    with subprocess.Popen([*command, "SIGSTOP"], env=environment, stdout=subprocess.PIPE) as living:
        assert living.stdout is not None and living.stdout.readline() == b"made\n"
        (alive,) = set(temporary.iterdir()) - {abandoned}
        (temporary / "pinhold-file-link").symlink_to(temporary)
        (temporary / "other").touch()
        files = Files()
        mapped(files)
        left = {path.name for path in temporary.iterdir()}
        files.close()
        living.send_signal(signal.SIGKILL)
    assert abandoned.name not in left
    assert {alive.name, "pinhold-file-link", "other"} < left and len(left) == 4


def test_half_written_parts_of_the_cache_go_with_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that nobody has written to for an hour; what is whole stays."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    images = tmp_path / "pinhold" / "images"
    whole = ["known/0123", "abcd/image.py", "abcd/__pycache__/image.expand.nbi", "abcd/__pycache__/image.pyc"]
    parts = ["known/0123.77", "abcd/image.py.77", "abcd/__pycache__/image.nbi.tmp.1f", "abcd/__pycache__/image.pyc.99"]
    for name in (*whole, *parts, "known/4567.78"):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        (images / name).touch()
        if name != "known/4567.78":
            os.utime(images / name, (HOURS_AGO, HOURS_AGO))
    cache.cache_directory.cache_clear()
    try:
        assert cache.cache_directory() == images
    finally:
        cache.cache_directory.cache_clear()
    left = {str(file.relative_to(images)) for file in images.rglob("*") if file.is_file()}
    assert left == {*whole, "known/4567.78"}


def test_a_checkpoint_follows_no_link_and_takes_old_parts_away(tmp_path: Path) -> None:
    """Its part has a name that can be guessed: what lies there is replaced, never written through."""
    np = pytest.importorskip("numpy")
    from pinhold.explore.checkpoint import Checkpoint

    file, precious = tmp_path / "search [1]", tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / f"{file.name}.{os.getpid()}.part").symlink_to(precious)
    old = tmp_path / f"{file.name}.77.part"
    old.touch()
    os.utime(old, (HOURS_AGO, HOURS_AGO))
    nothing = np.zeros(0, np.int64)
    Checkpoint("key", [], nothing, nothing, [], [], nothing, 0, nothing, nothing).save(file)
    assert precious.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious", file.name]
