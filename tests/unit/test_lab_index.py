"""Which kernels Debian's index offers, from an index as it was once captured, and which mirrors a machine has."""

from pathlib import Path

import pytest

from pinhold import trust
from pinhold.lab import apt
from pinhold.lab.apt import Apt, Mirrors, mirrors
from pinhold.lab.errors import LabError
from pinhold.lab.index import choose, offers, packages

INDEX = (Path(__file__).parent / "data" / "kernel-index.txt").read_text()
OFFERS = offers(packages(INDEX))


def test_one_offer_a_release_in_the_preferred_flavour() -> None:
    """The newest build of 6.1.192 as cloud kernel; metapackages, and a kernel whose modules are gone, are no offers."""
    assert [(o.release, o.flavour, o.packages[0].exact) for o in OFFERS] == [
        ("6.1.192", "cloud-amd64", "linux-image-6.1.0-56-cloud-amd64=6.1.192-2"),
        ("6.18.15", "cloud-amd64", "linux-image-6.18.15+deb13-cloud-amd64=6.18.15-1~bpo13+1"),
        ("7.3.4", "cloud-amd64", "linux-binary-7.3.4+deb13-cloud-amd64=7.3.4-1~bpo13+1"),
    ]


def test_a_split_kernel_is_three_packages() -> None:
    """From 6.19 on image, modules and base come together."""
    assert [p.name.split("-")[1] for p in OFFERS[-1].packages] == ["binary", "modules", "base"]
    assert OFFERS[-1].size == 13604064 + 22918420 + 1025208


def test_headers_are_all_or_none() -> None:
    """A kernel's headers are those of its flavour, the common ones and kbuild, at its own build; 6.18's are gone."""
    by_release = {offer.release: [p.exact for p in offer.headers] for offer in OFFERS}
    assert by_release["6.1.192"] == [
        "linux-headers-6.1.0-56-cloud-amd64=6.1.192-2",
        "linux-headers-6.1.0-56-common=6.1.192-2",
        "linux-kbuild-6.1=6.1.192-2",
    ]
    assert len(by_release["7.3.4"]) == 3
    assert by_release["6.18.15"] == []


@pytest.mark.parametrize(
    ("wanted", "release"), [("6.1", "6.1.192"), ("6.18.15", "6.18.15"), ("newest", "7.3.4"), ("7.3", "7.3.4")]
)
def test_a_kernel_is_chosen_by_series_release_or_newest(wanted: str, release: str) -> None:
    """All three ways to name one."""
    assert choose(OFFERS, wanted).release == release


def test_an_unknown_kernel_names_the_nearest() -> None:
    """The message of a mistyped release has one that exists."""
    with pytest.raises(LabError, match=r"no kernel 6\.1\.129: did you mean 6\.1\.192\?"):
        choose(OFFERS, "6.1.129")
    with pytest.raises(LabError, match="offers no kernel"):
        choose([], "6.1")


def test_mirrors_are_those_of_the_machine() -> None:
    """Debian's own by origin, or by their path before apt has read the index; others are passed over."""
    listing = (
        "https://mirror.example/nodejs/|Node Source|nodistro\n"
        "https://mirror.example/debian/|Debian|oldstable\n"
        "https://mirror.example/debian-security/|$(ORIGIN)|bookworm-security\n"
    )
    assert mirrors(listing) == Mirrors("https://mirror.example/debian", "https://mirror.example/debian-security")


def test_a_missing_mirror_is_derived_from_the_other() -> None:
    """A machine with one of the two sources has both addresses; one without Debian has none, and is told."""
    assert mirrors("file:/m/debian|Debian|trixie").security == "file:/m/debian-security"
    assert mirrors("file:/m/debian-security|Debian|trixie-security").main == "file:/m/debian"
    with pytest.raises(LabError, match=r"Debian mirror.*bzImage"):
        mirrors("https://mirror.example/ubuntu|Ubuntu|noble\n")


def test_without_the_keyring_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The sentence says why and what to install; no configuration is written."""
    monkeypatch.setattr(apt, "KEYRINGS", (tmp_path / "absent.gpg",))
    monkeypatch.setattr(trust, "program", lambda tool: tool)
    with pytest.raises(LabError, match=r"unauthenticated.*debian-archive-keyring"):
        Apt(tmp_path / "apt").prepare()
    assert not (tmp_path / "apt").exists()


def test_the_configuration_has_the_suites_that_are_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One suite with all its components, and none of the security archive; without a word, main of the usual ones."""
    keyring = tmp_path / "keyring.gpg"
    keyring.touch()
    monkeypatch.setattr(apt, "KEYRINGS", (keyring,))
    monkeypatch.setattr(trust, "program", lambda tool: tool)
    monkeypatch.setattr(apt, "_run", lambda *_: "http://deb.example/debian|Debian|stable")
    Apt(tmp_path / "one", suites=("trixie",), security=(), components=("main", "contrib")).prepare()
    (line,) = (tmp_path / "one" / "sources.list").read_text().splitlines()
    assert line.endswith("http://deb.example/debian trixie main contrib")
    Apt(tmp_path / "usual").prepare()
    usual = (tmp_path / "usual" / "sources.list").read_text().splitlines()
    assert len(usual) == len(apt.MAIN_SUITES) + len(apt.SECURITY_SUITES)
    assert all(one.endswith(" main") for one in usual)


def test_the_versions_of_a_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As apt-cache lists them, the newest first."""
    listing = " linux | 6.1.192-3 | http://deb.example main\n linux | 6.1.190-1 | http://deb.example main\n"
    monkeypatch.setattr(trust, "program", lambda tool: tool)
    monkeypatch.setattr(apt, "_run", lambda *_: listing)
    assert Apt(tmp_path).versions("linux") == ["6.1.192-3", "6.1.190-1"]


def test_without_apt_ones_own_kernel_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that is no Debian is told what works there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match=r"apt-get.*vm:PATH"):
        Apt(tmp_path).prepare()
