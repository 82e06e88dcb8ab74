"""The kernels at hand: whole or absent, whatever goes wrong while one is added."""

import errno
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from pinhold import trust
from pinhold.commands import kernels as command
from pinhold.commands import lab
from pinhold.lab import apt
from pinhold.lab import fetch as fetching
from pinhold.lab.apt import Apt
from pinhold.lab.errors import LabError
from pinhold.lab.fetch import fetch
from pinhold.lab.index import Offer, Package
from pinhold.lab.kconfig import configuration
from pinhold.lab.own import add, image_release, own_kernel
from pinhold.lab.store import Store
from pinhold.trust import cache_dir


def image(version: str = "6.1.0-56-cloud-amd64 (debian) #1 SMP Debian 6.1.192-2") -> bytes:
    """The beginning of a bzImage."""
    head = bytearray(0x1000)
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = (0x400).to_bytes(2, "little")
    head[0x600 : 0x600 + len(version)] = version.encode()
    return bytes(head)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty one."""
    return Store(tmp_path / "kernels")


def fill(store: Store, release: str, own: bool = False, name: str | None = None) -> None:
    """Add a kernel that is an image alone."""
    with store.lock(), store.adding(name or release, release, own) as adding:
        (adding.folder / "vmlinuz").write_bytes(image())
        adding.has("image", adding.folder / "vmlinuz")


def entries(store: Store) -> list[str]:
    """Everything below the store but its lock."""
    return sorted(path.name for path in store.root.iterdir() if path.name != ".lock")


def test_a_series_means_its_newest_kernel(store: Store) -> None:
    """Kernels are found by name, by series and as newest; one's own by its name alone."""
    for release in ("6.1.9", "6.1.192", "5.10.262"):
        fill(store, release)
    fill(store, "7.0.1", own=True, name="mine")
    assert [k.name for k in store.kernels()] == ["5.10.262", "6.1.9", "6.1.192", "mine"]
    assert store.find("6.1").name == store.find("newest").name == "6.1.192"
    assert store.find("mine").release == "7.0.1"
    with pytest.raises(LabError, match=r"no kernel 6\.12 here.*fetch 6\.12"):
        store.find("6.12")
    with pytest.raises(LabError, match=r"no kernel mime here; did you mean mine\?$"):
        store.remove("mime")


def test_what_fails_half_way_leaves_nothing(store: Store) -> None:
    """An error in the middle of adding: no kernel, no directory, and the old one of that name is still there."""
    fill(store, "6.1.192")
    with pytest.raises(KeyboardInterrupt), store.lock(), store.adding("6.1.192", "6.1.192", own=False) as adding:
        (adding.folder / "vmlinuz").write_bytes(b"half")
        raise KeyboardInterrupt
    assert entries(store) == ["6.1.192"]
    assert store.find("6.1").image.read_bytes() == image()


def test_what_a_killed_fetch_left_is_taken_away(store: Store) -> None:
    """A directory that was never published is no kernel, and the next change removes it."""
    fill(store, "6.1.192")
    (store.root / ".partial-abc").mkdir()
    (store.root / ".partial-abc" / "kernel.json").write_text("{}")
    (store.root / "half").mkdir()
    (store.root / "half" / "kernel.json").write_text('{"release": "6.1')
    assert [k.name for k in store.kernels()] == ["6.1.192"]
    with store.lock():
        assert ".partial-abc" not in entries(store)


def test_of_two_changes_at_once_the_second_waits(store: Store) -> None:
    """It says for which process, and goes on when that one is done."""
    said: list[str] = []
    done: list[str] = []
    waits = threading.Event()

    def second() -> None:
        def say(line: str) -> None:
            said.append(line)
            waits.set()

        with store.lock(say):
            done.append("second")

    thread = threading.Thread(target=second)
    with store.lock():
        thread.start()
        assert waits.wait(60)
        done.append("first")
    thread.join(60)
    assert said == [f"waiting for process {os.getpid()}, which is changing the kernels"]
    assert done == ["first", "second"]


def test_a_fetch_that_waited_takes_what_the_other_one_fetched(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The kernel is looked for when the wait is over: nothing is fetched twice."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    here = Store()
    monkeypatch.setattr(Apt, "prepare", lambda self: None)
    monkeypatch.setattr(Apt, "index", lambda self, refresh=True: list(OFFER.packages))
    monkeypatch.setattr(command, "offers", lambda found: [OFFER])
    monkeypatch.setattr(command, "fetch", lambda *given: pytest.fail("it was fetched again"))
    waiting = threading.Event()
    real = Store.lock

    def lock(self: Store, say: Callable[[str], None]) -> AbstractContextManager[None]:
        return real(self, lambda line: (say(line), waiting.set())[0])

    with here.lock():
        monkeypatch.setattr(Store, "lock", lock)
        other = threading.Thread(target=command._fetch, args=(here, ["6.1"]))
        other.start()
        assert waiting.wait(60)
        with here.adding("6.1.192", "6.1.192", own=False) as adding:
            (adding.folder / "vmlinuz").write_bytes(image())
            adding.has("image", adding.folder / "vmlinuz")
    other.join(60)
    captured = capsys.readouterr()
    assert "vm:6.1.192" in captured.out
    assert f"waiting for process {os.getpid()}" in captured.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("place", [".", "kernels", "kernels/6.1.192", "kernels/6.1.192/vmlinuz"])
def test_kernels_that_are_anothers_are_refused(tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache, a directory above it, a kernel's own directory or its image: a sentence, and no column of `check`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fill(Store(), "6.1.192")
    os.chown(tmp_path / "pinhold" / place, 4321, 4321)
    with pytest.raises(LabError, match=r"is not used, as .* belongs to user 4321; XDG_CACHE_HOME"):
        Store().find("6.1")
    columns, why = lab.columns()
    assert columns == () and why is not None and "belongs to user 4321" in why


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_nothing_is_added_to_anothers_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What sudo leaves of a user's HOME: neither kernels nor apt's configuration are written there."""
    tmp_path.joinpath(".cache").mkdir()
    os.chown(tmp_path, 4321, 4321)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(LabError, match="belongs to user 4321"):
        fill(Store(), "6.1.192")
    monkeypatch.setattr(apt, "_run", lambda *_: "http://deb.example/debian|Debian|stable")
    with pytest.raises(LabError, match=r"belongs to user 4321|keyring"):
        Apt(cache_dir() / "apt").prepare()
    assert list(tmp_path.joinpath(".cache").iterdir()) == []


@pytest.mark.parametrize("kernels", [0, 1])
def test_kernels_that_others_may_change_are_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch, kernels: int
) -> None:
    """By the permissions of their directory, where others come to it at all; an empty one is no different."""
    with store.lock():
        pass
    for number in range(kernels):
        fill(store, f"6.1.{number}")
    store.root.chmod(0o777)
    assert len(store.kernels()) == kernels, "pytest's own directory lets nobody in"
    monkeypatch.setattr(trust, "_SEARCH", stat.S_IRUSR)  # as if they were let in
    with pytest.raises(LabError, match=r"others may write to .*/kernels;"):
        store.kernels()


def test_removing_deletes_the_directory(store: Store) -> None:
    """By series, too."""
    fill(store, "6.1.192")
    assert store.remove("6.1").name == "6.1.192"
    assert entries(store) == []


class FullDisk(Apt):
    """An apt whose downloads fill the disk."""

    def download(self, wanted: object, folder: Path, progress: object) -> list[Path]:  # type: ignore[override]
        (folder / "half.deb").write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "half.deb"))


OFFER = Offer("6.1.192", "cloud-amd64", (Package("linux-image-x", "6.1.192-2", 1, 1, ""),), ())


def test_a_full_disk_is_said_and_leaves_nothing(store: Store, tmp_path: Path) -> None:
    """ENOSPC in the middle of a fetch: the message names it, and the cache is as it was."""
    with store.lock(), pytest.raises(LabError, match=r"No space left on device; nothing of 6\.1\.192 was kept"):
        fetch(store, FullDisk(tmp_path), OFFER, lambda line: None)
    assert entries(store) == []


def test_too_little_room_is_said_before_anything_is_fetched(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has both sizes and the way out."""
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 0})())
    with store.lock(), pytest.raises(LabError, match="0 MB are free there; XDG_CACHE_HOME"):
        fetch(store, FullDisk(tmp_path), OFFER, lambda line: None)
    assert entries(store) == []


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A file where the directory should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="cannot be made"), Store(tmp_path / "file" / "kernels").lock():
        pass


@pytest.fixture
def bzimage(tmp_path: Path) -> Iterator[Path]:
    """One's own, in its build tree."""
    path = tmp_path / "linux" / "arch" / "x86" / "boot" / "bzImage"
    path.parent.mkdir(parents=True)
    path.write_bytes(image("7.1.0-rc3+ (me) #7 SMP"))
    (tmp_path / "linux" / "Makefile").write_text("")
    (tmp_path / "linux" / ".config").write_text("CONFIG_GUP_TEST=y\n# CONFIG_KSM is not set\n")
    yield path


def test_ones_own_image_is_used_where_it_lies(bzimage: Path) -> None:
    """Its release is in its header, its configuration in its build tree."""
    kernel = own_kernel(bzimage)
    assert (kernel.release, kernel.own, kernel.image) == ("7.1.0", True, bzimage)
    assert configuration(kernel)["GUP_TEST"] == "y"
    assert configuration(kernel)["KSM"] == "n"


def test_a_debian_image_tells_its_exact_release(tmp_path: Path) -> None:
    """`uname -r` has a frozen number there."""
    (tmp_path / "vmlinuz").write_bytes(image())
    assert own_kernel(tmp_path / "vmlinuz").release == "6.1.192"


def test_what_is_no_image_is_said(tmp_path: Path) -> None:
    """A file that is none, and one that is not there."""
    (tmp_path / "text").write_text("hello")
    with pytest.raises(LabError, match="no bzImage"):
        image_release(tmp_path / "text")
    with pytest.raises(LabError, match="No such file"):
        image_release(tmp_path / "absent")


def test_an_added_kernel_is_a_copy(store: Store, bzimage: Path, tmp_path: Path) -> None:
    """Image, configuration and modules go into the store; a directory without modules is refused."""
    modules = tmp_path / "lib" / "7.1.0"
    (modules / "kernel").mkdir(parents=True)
    (modules / "build").symlink_to(tmp_path)
    kernel = add(store, "mine", bzimage, modules)
    with pytest.raises(LabError, match="no kernel/ in it"):
        add(store, "other", bzimage, tmp_path)
    bzimage.unlink()
    assert kernel.modules is not None
    assert not (kernel.modules / "build").exists()
    assert store.find("mine").image.read_bytes()
    with pytest.raises(LabError, match="no name for a kernel"):
        fill(store, "7.1.0", own=True, name="../escape")


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG_CACHE_HOME decides, and a relative one does not count."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "pinhold"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "pinhold"


def test_an_index_that_does_not_fit_is_said_before_apt_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Place, need and what is free; apt is not asked."""
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(apt.shutil, "disk_usage", lambda _: usage._replace(free=5 << 20))
    monkeypatch.setattr(apt, "_run", lambda *_: pytest.fail("apt was run"))
    with pytest.raises(LabError, match=r"needs 100 MB in .*, and 5 MB are free there"):
        Apt(tmp_path).index()


@pytest.mark.slow
def test_an_update_without_network_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the real apt, whose mirror refuses: its reason is in the sentence, and the next call asks anew."""
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://localhost:9")
    tool = Apt(tmp_path)
    try:
        tool.prepare()
    except LabError as reason:
        pytest.skip(str(reason))
    for _ in range(2):
        with pytest.raises(LabError, match=r"cannot be read: apt-get failed: .*localhost"):
            tool.index()
    assert not (tmp_path / "updated").exists()
