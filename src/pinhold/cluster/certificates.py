"""Certificates by which the machines of a cluster know each other: an authority of its own, one certificate for all.

The authority's key is used once and thrown away, so nobody can make another member later.
"""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from pinhold.cluster import NoCluster
from pinhold.cluster.address import CA, CERTIFICATE, KEY

DAYS = 365


def make(folder: Path) -> None:
    """Put ca.pem, certificate.pem and key.pem into a directory that has none of them.  Raises NoCluster, OSError."""
    try:
        from cryptography import x509  # noqa: PLC0415
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
        from cryptography.x509.oid import NameOID  # noqa: PLC0415
    except ImportError:
        raise NoCluster("certificates need cryptography: pip install 'pinhold[cluster]'") from None
    there = [name for name in (CA, CERTIFICATE, KEY) if (folder / name).exists()]
    if there:
        raise NoCluster(f"{folder / there[0]} is there already; another directory, please")
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)

    def certificate(name: str, public: ec.EllipticCurvePublicKey, *, authority: bool) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pinhold cluster authority")]),
            subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            public_key=public,
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(minutes=5),
            not_valid_after=now + datetime.timedelta(days=DAYS),
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        return builder.sign(authority_key, hashes.SHA256())

    authority = certificate("pinhold cluster authority", authority_key.public_key(), authority=True)
    member = certificate("pinhold cluster member", key.public_key(), authority=False)
    pem = serialization.Encoding.PEM
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    put(folder / CA, authority.public_bytes(pem))
    put(folder / CERTIFICATE, member.public_bytes(pem))
    unlocked = serialization.NoEncryption()
    put(folder / KEY, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, unlocked))


def put(path: Path, text: bytes) -> None:
    """For its owner alone; never through a link or over a file that somebody has put there."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
