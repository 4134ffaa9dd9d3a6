"""An authority for the etcd of a test, and the certificates that it gives to members and to a client."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Certificates:
    """Writes `ca.crt`, and pairs `NAME.crt` and `NAME.key` (mode 0600), below `folder`."""

    def __init__(self, folder: Path, valid_days: float = 3650) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1(), default_backend())
        self._name = _name("etcd of a test")
        self.ca = folder / "ca.crt"
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        draft = _draft(self._name, self._name, self._key, valid_days)
        draft = draft.add_extension(constraints, critical=True)
        self.ca.write_bytes(_pem(draft.sign(self._key, hashes.SHA256(), default_backend())))

    def issue(
        self, name: str, addresses: Sequence[str] = (), valid_days: float = 3650, common: str = ""
    ) -> Path:
        """A certificate for both sides of TLS: etcd's gateway calls its own member with the server's. Its subject has a
        common name only where `common` is given: etcd 3.4 refuses whoever shows one to its gateway. `valid_days` may be
        negative: it has expired then. Gives the path without its suffix."""
        key = ec.generate_private_key(ec.SECP256R1(), default_backend())
        draft = _draft(_name(common), self._name, key, valid_days)
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        draft = draft.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        names = [x509.DNSName("localhost")]
        ips = [x509.IPAddress(ipaddress.ip_address(one)) for one in (*addresses, "127.0.0.1")]
        draft = draft.add_extension(x509.SubjectAlternativeName([*names, *ips]), critical=False)
        certificate = draft.sign(self._key, hashes.SHA256(), default_backend())
        (self.folder / f"{name}.crt").write_bytes(_pem(certificate))
        secret = self.folder / f"{name}.key"
        secret.touch(mode=0o600)
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return self.folder / name


def _name(common: str) -> x509.Name:
    """Never empty: old ones take an empty issuer for none."""
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Hullmark's tests")]
    if common:
        names.append(x509.NameAttribute(NameOID.COMMON_NAME, common))
    return x509.Name(names)


def _draft(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    valid_days: float,
) -> x509.CertificateBuilder:
    now = dt.datetime.now(tz=dt.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=30))
        .not_valid_after(now + dt.timedelta(days=valid_days))
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
