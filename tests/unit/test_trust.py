"""What others could have changed is not run, and the way to it counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pinhold import trust
from pinhold.cli import main
from pinhold.targets.base import Unavailable
from pinhold.targets.live.pins.external import External

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
OTHER = 4321


@pytest.fixture(autouse=True)
def open_above(monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions count as if pytest's own directory, which lets nobody in, were open to all."""
    monkeypatch.setattr(trust, "_SEARCH", 0o400)


def script(folder: Path, name: str = "tool") -> Path:
    """A program in a directory of its own."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_what_only_this_user_and_root_can_change_is_trusted(tmp_path: Path) -> None:
    """A file, one that is not there yet, and system programs behind their links."""
    assert trust.foreign(script(tmp_path / "bin")) is None
    assert trust.foreign(tmp_path / "absent" / "file") is None
    assert trust.foreign("/bin/sh") is None


def test_permissions_on_the_whole_way_count(tmp_path: Path) -> None:
    """The file, its directory, one above, and a directory that it is reached by through a link."""
    file = script(tmp_path / "bin")
    for place in (file, file.parent):
        place.chmod(0o757)
        assert trust.foreign(file) == f"others may write to {place}"
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to(file)
        assert trust.foreign(tmp_path / "link") == f"others may write to {place}"
        place.chmod(0o755)
    assert trust.foreign(tmp_path / "link") is None


def test_the_way_goes_on_behind_a_link(tmp_path: Path) -> None:
    """Past a link to a directory, an absolute one and one with dots in it, to what lies there."""
    file = script(tmp_path / "bin")
    file.chmod(0o757)
    (tmp_path / "absolute").symlink_to(file.parent)
    (tmp_path / "relative").symlink_to("bin/../bin/.")
    for link in ("absolute", "relative"):
        assert trust.foreign(tmp_path / link / "tool") == f"others may write to {file}"


def test_a_directory_like_tmp_is_passed_through_and_nothing_more(tmp_path: Path) -> None:
    """Others cannot take away what is one's own in it, but they can add to it."""
    shared = tmp_path / "shared"
    file = script(shared)
    shared.chmod(0o1777)
    assert trust.foreign(file) is None
    assert trust.foreign(shared) == f"everybody may write to {shared}"


def test_where_nobody_else_comes_permissions_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loose umask below a directory that lets nobody in, unless a link leads out of it."""
    monkeypatch.setattr(trust, "_SEARCH", 0o011)
    closed, outside = tmp_path / "closed", tmp_path / "outside"
    file, other = script(closed), script(outside)
    tmp_path.chmod(0o755)
    monkeypatch.setattr(
        trust, "_way", lambda path, way=trust._way: ((p, s) for p, s in way(path) if str(tmp_path) in p)
    )
    file.chmod(0o777)
    closed.chmod(0o700)
    assert trust.foreign(file) is None
    other.chmod(0o777)
    (closed / "link").symlink_to(other)
    assert trust.foreign(closed / "link") == f"others may write to {other}"


@AS_ROOT
def test_owners_on_the_whole_way_count(tmp_path: Path) -> None:
    """Of the file, of a directory above it, and of a link to it."""
    file = script(tmp_path / "bin")
    for place in (file, file.parent):
        os.chown(place, OTHER, OTHER)
        assert trust.foreign(file) == f"{place} belongs to user {OTHER}"
        os.chown(place, 0, 0)
    (tmp_path / "link").symlink_to(file)
    os.lchown(tmp_path / "link", OTHER, OTHER)
    assert trust.foreign(tmp_path / "link") == f"{tmp_path}/link belongs to user {OTHER}"


def test_a_circle_of_links_is_an_error(tmp_path: Path) -> None:
    """No endless walk."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels"):
        trust.foreign(tmp_path / "a")


def test_no_program_comes_from_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative entries of PATH, of which the empty one is the current directory, do not count, here or in children."""
    script(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ":.:relative")
    with pytest.raises(trust.NoProgram, match=r"^tool, which is not here$"):
        trust.program("tool")
    assert all(os.path.isabs(folder) for folder in trust.environment()["PATH"].split(":"))
    assert trust.program("./tool") == "./tool"


@AS_ROOT
def test_root_runs_no_program_that_others_could_have_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is passed over for the next one of PATH; where there is none, the sentence says whose it is."""
    bad, good = script(tmp_path / "bad"), script(tmp_path / "good")
    os.chown(bad.parent, OTHER, OTHER)
    monkeypatch.setenv("PATH", f"{bad.parent}:{good.parent}")
    assert trust.program("tool") == str(good)
    assert trust.environment()["PATH"] == str(good.parent)
    good.unlink()
    with pytest.raises(trust.NoProgram, match=f"^tool, and root does not run {bad}: {bad.parent} belongs to user"):
        trust.program("tool")


@AS_ROOT
@pytest.mark.parametrize("name", ["qemu-system-x86_64", "gcc", "make", "ldd", "apt-get", "dpkg-deb", "zstd"])
def test_each_program_is_named_by_whoever_needs_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that pinhold starts by name goes through program(): an untrusted one is a sentence."""
    from pinhold.lab import apt, fetch, initramfs, modules, qemu
    from pinhold.lab.errors import LabError
    from pinhold.lab.index import Offer, Package

    ran = tmp_path / "ran"
    bad = script(tmp_path / "bad", name)
    bad.write_text(f"#!/bin/sh\ntouch {ran}\n")
    os.chown(bad, OTHER, OTHER)
    monkeypatch.setenv("PATH", str(bad.parent))
    module = tmp_path / "m.ko.zst"
    module.write_bytes(b"")
    offer = Offer("6.1.1", "amd64", (), (Package("h", "6.1.1", 0, 0, ""),))
    adding = type("Adding", (), {"folder": tmp_path})
    needs = {
        "qemu-system-x86_64": lambda: _raise(qemu.missing()),
        "gcc": lambda: _raise(fetch._probe(apt.Apt(tmp_path), offer, adding, lambda line: None)[0]),  # type: ignore[arg-type]
        "ldd": lambda: initramfs.libraries(["/bin/sh"]),
        "apt-get": lambda: apt.Apt(tmp_path / "apt").prepare(),
        "dpkg-deb": lambda: apt.unpack(tmp_path, tmp_path),
        "zstd": lambda: modules.decompressed(module),
    }
    if name == "make":
        script(tmp_path / "good", "gcc")
        monkeypatch.setenv("PATH", f"{bad.parent}:{tmp_path}/good")
    with pytest.raises(LabError, match=f"{name}, and root does not run {bad}: {bad} belongs to user {OTHER}"):
        needs[name if name != "make" else "gcc"]()
    assert not ran.exists()


def _raise(sentence: str | None) -> None:
    from pinhold.lab.errors import LabError

    raise LabError(sentence)


def test_a_program_of_ones_own_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """exec: without a slash goes by the same rule."""
    script(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ".")
    with pytest.raises(Unavailable, match="exec:tool needs tool, which is not here"):
        External("tool")


def test_a_cache_is_made_for_its_user_alone(tmp_path: Path) -> None:
    """Whatever the umask, with the directories above it."""
    before = os.umask(0)
    try:
        trust.cache_directory(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert [(tmp_path / place).stat().st_mode & 0o777 for place in ("a", "a/b")] == [0o700, 0o700]


def test_a_cache_that_others_may_change_is_refused(tmp_path: Path) -> None:
    """With the place, the reason and the way out."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o777)
    with pytest.raises(trust.Untrusted, match="XDG_CACHE_HOME") as refusal:
        trust.cache_directory(tmp_path / "a" / "b")
    assert refusal.value.filename == str(tmp_path / "a" / "b")
    assert not (tmp_path / "a" / "b").exists()


def test_code_of_the_explorer_is_not_taken_from_a_cache_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a compiled search would import from there is not: status 4, a sentence, and before any work."""
    pytest.importorskip("numba")
    from pinhold.compiler import cache
    from pinhold.explore import searched

    monkeypatch.setattr(searched, "settled", lambda *_: pytest.fail("work was done"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "pinhold").mkdir()
    (tmp_path / "pinhold").chmod(0o777)
    cache.cache_directory.cache_clear()
    try:
        assert main(["explore", "bench-tiny", "--compiled"]) == 4
        assert f"others may write to {tmp_path}/pinhold" in capsys.readouterr().err
    finally:
        cache.cache_directory.cache_clear()
    assert list((tmp_path / "pinhold").iterdir()) == []
