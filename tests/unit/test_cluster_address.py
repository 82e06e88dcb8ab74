"""A cluster is on this machine or behind certificates; everything else is refused with what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinhold.cluster import NoCluster
from pinhold.cluster.address import CA, CERTIFICATE, KEY, address_of
from pinhold.cluster.certificates import make


@pytest.mark.parametrize("text", ["tcp://127.0.0.1:8786", "tcp://localhost:1", "tcp://[::1]:8786"])
def test_loopback_needs_no_certificates(text: str) -> None:
    """Nobody on a network can answer there."""
    assert address_of(text, None).url == text


@pytest.mark.parametrize("text", ["tcp://192.0.2.1:8786", "tcp://example.org:8786", "tcp://0.0.0.0:8786"])
def test_an_open_port_is_refused(text: str) -> None:
    """The sentence says why, and what to do."""
    with pytest.raises(NoCluster, match=r"run commands here; use tls://.*certificates"):
        address_of(text, None)


@pytest.mark.parametrize("text", ["", "host", "127.0.0.1:8786", "http://127.0.0.1:1", "tcp://127.0.0.1", "tls://h:p"])
def test_what_is_no_address_is_told(text: str) -> None:
    """With the two forms that are."""
    with pytest.raises(NoCluster, match=r"is no address of a cluster; tls://HOST:PORT, or tcp://127\.0\.0\.1:PORT"):
        address_of(text, None)


def test_certificates_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    """An authority, a certificate that it signs, its key; a second time nothing is written over them."""
    x509 = pytest.importorskip("cryptography.x509")
    folder = tmp_path / "deep" / "certificates"
    make(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == dict.fromkeys(
        (CA, CERTIFICATE, KEY), 0o600
    )
    authority, member = (x509.load_pem_x509_certificate((folder / name).read_bytes()) for name in (CA, CERTIFICATE))
    member.verify_directly_issued_by(authority)
    assert address_of("tls://example.org:8786", str(folder)).certificates == folder
    with pytest.raises(NoCluster, match="is there already"):
        make(folder)


def test_a_tls_address_wants_its_certificates(tmp_path: Path) -> None:
    """Named, and all there."""
    with pytest.raises(NoCluster, match="which certificates"):
        address_of("tls://example.org:8786", None)
    with pytest.raises(NoCluster, match=r"ca\.pem is missing"):
        address_of("tls://example.org:8786", str(tmp_path))
