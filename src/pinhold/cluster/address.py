"""Where a cluster may be: on this machine, or behind mutual TLS.

Whoever reaches a scheduler runs what they like on its workers, and on those who ask it.  So an address that anybody on
a network could answer at is refused.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pinhold.cluster import NoCluster

CA, CERTIFICATE, KEY = "ca.pem", "certificate.pem", "key.pem"
"""In a directory of certificates: the authority's, one's own, and its key."""


@dataclass(frozen=True)
class Address:
    """url: as the engine takes it.  certificates: of a tls:// address."""

    url: str
    certificates: Path | None = None


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address_of(text: str, certificates: str | None) -> Address:
    """Raises NoCluster, with what would be right."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if parts.scheme not in ("tcp", "tls") or not host or not port:
        raise NoCluster(
            f"{text!r} is no address of a cluster; tls://HOST:PORT, or tcp://127.0.0.1:PORT on this machine"
        )
    if parts.scheme == "tcp":
        if not is_loopback(host):
            raise NoCluster(
                f"{text}: without TLS anybody on the network could run commands here; use tls://{host}:{port} and "
                "--certificates DIR (made by: pinhold cluster certificates DIR)"
            )
        return Address(text)
    if certificates is None:
        raise NoCluster(f"{text}: which certificates? --certificates DIR (made by: pinhold cluster certificates DIR)")
    folder = Path(certificates)
    for name in (CA, CERTIFICATE, KEY):
        if not (folder / name).is_file():
            raise NoCluster(f"{folder / name} is missing; pinhold cluster certificates DIR makes it")
    return Address(text, folder)
