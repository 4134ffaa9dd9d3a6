"""The cluster's certificate authority: a root, and an intermediate that signs for hosts and masters.

The root's key is needed to join another master, and for nothing else. A shop may bring an intermediate of its own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hullmark.errors import BrokenState, Conflict
from hullmark.pki import certificates
from hullmark.pki.certificates import CLOCK_SKEW_S, PROXY, Identity, utc
from hullmark.pki.files import write_file, write_private

DAY_S = 86400.0
ROOT_LIFE_S = 3650 * DAY_S
INTERMEDIATE_LIFE_S = 1825 * DAY_S
HOST_LIFE_S = 30 * DAY_S
MASTER_LIFE_S = 90 * DAY_S

ROOT_CERTIFICATE, ROOT_KEY = "root.pem", "root.key"
CHAIN, KEY = "intermediate.pem", "intermediate.key"
ROOT_NAME = "Hullmark root "
"""What a root that was made here is called, before the cluster's id."""


@dataclass(frozen=True)
class Authority:
    """`chain`: the intermediate, then any certificates up to, not including, the root. `folder`: where it was loaded
    from, and where the root's key is looked for."""

    root: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    key: ec.EllipticCurvePrivateKey
    folder: Optional[Path] = None

    @classmethod
    def load(cls, folder: Path) -> Authority:
        """Raises NotFound or BrokenState, naming the file."""
        key = certificates.load_key(folder / KEY)
        root = certificates.load_chain(_read(folder / ROOT_CERTIFICATE), ROOT_CERTIFICATE)[0]
        chain = certificates.load_chain(_read(folder / CHAIN), CHAIN)
        check_authority(root, chain, key, str(folder))
        return cls(root, tuple(chain), key, folder)

    @property
    def root_pem(self) -> str:
        return certificates.chain_pem(self.root).decode()

    @property
    def root_fingerprint(self) -> str:
        return certificates.fingerprint(self.root)

    def issue_host(
        self, csr_pem: str, cluster_id: str, host_id: str, now: float, life_s: float = HOST_LIFE_S
    ) -> bytes:
        """A client certificate for a host: its chain, PEM. Raises InvalidInput for a bad request."""
        key = certificates.load_request(csr_pem)
        names = [x509.UniformResourceIdentifier(Identity(cluster_id, "host", host_id).uri)]
        return self._issue(key, host_id, names, [ExtendedKeyUsageOID.CLIENT_AUTH], now, life_s)

    def issue_proxy(
        self, csr_pem: str, cluster_id: str, host_id: str, now: float, life_s: float = HOST_LIFE_S
    ) -> bytes:
        """A certificate for a host's proxy, which calls others' and is called by them: its chain, PEM. It is no master's server certificate,
        because it has no name that one is called by. HAProxy holds a server's certificate against the server name that it sent, which is
        `PORT+SERVICE+APP.HOST_ID`. Raises InvalidInput for a bad request."""
        key = certificates.load_request(csr_pem)
        names: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(Identity(cluster_id, PROXY, host_id).uri),
            x509.DNSName(f"*.{host_id}"),
        ]
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._issue(key, host_id, names, usage, now, life_s, unit=PROXY)

    def issue_master(
        self,
        key: ec.EllipticCurvePublicKey,
        cluster_id: str,
        name: str,
        addresses: Sequence[str],
        now: float,
        life_s: float = MASTER_LIFE_S,
    ) -> bytes:
        """A server certificate for a master under these names and IP addresses: its chain, PEM."""
        names: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(Identity(cluster_id, "master", name).uri)
        ]
        names += [_general_name(address) for address in addresses]
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._issue(key, name, names, usage, now, life_s)

    def _issue(
        self,
        key: ec.EllipticCurvePublicKey,
        common_name: str,
        names: Sequence[x509.GeneralName],
        usage: Sequence[x509.ObjectIdentifier],
        now: float,
        life_s: float,
        *,
        unit: str = "",
    ) -> bytes:
        issuer = self.chain[0]
        end = min(now + life_s, certificates.validity(issuer)[1])
        builder = _builder(common_name, issuer.subject, key, now, end, unit=unit)
        builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
        builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(usage)), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
        builder = _link(builder, key, issuer)
        return certificates.chain_pem(builder.sign(self.key, hashes.SHA256()), *self.chain)


def create_authority(folder: Path, cluster_id: str, now: float) -> Authority:
    """Make root and intermediate in a folder of mode 0700. Raises Conflict where there is one already.

    The intermediate's key is written last: a folder without it is half made, and may be made again.
    """
    if (folder / KEY).exists():
        raise Conflict(f"{folder} holds an authority already")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    root_key, key = certificates.new_key(), certificates.new_key()
    root = self_signed(ROOT_NAME + cluster_id, root_key, now)
    name = f"Hullmark intermediate {cluster_id}"
    made = intermediate(name, key.public_key(), root, root_key, now)
    write_private(folder / ROOT_KEY, certificates.key_pem(root_key))
    return _written(folder, root, (made,), key)


def adopt_authority(folder: Path, chain_file: Path, key_file: Path) -> Authority:
    """Take the shop's own intermediate: `chain_file` has it first and its root last, PEM.

    Raises NotFound, BrokenState for files that don't fit together, Conflict for a second authority.
    """
    if (folder / KEY).exists():
        raise Conflict(f"{folder} holds an authority already")
    chain = certificates.load_chain(_read(chain_file), str(chain_file))
    key = certificates.load_key(key_file)
    check_authority(chain[-1], chain[:-1], key, str(chain_file))
    return install_authority(folder, chain[-1], chain[:-1], key)


def install_authority(
    folder: Path,
    root: x509.Certificate,
    chain: Sequence[x509.Certificate],
    key: ec.EllipticCurvePrivateKey,
) -> Authority:
    """Take an intermediate that was signed elsewhere. Raises BrokenState for certificates that don't fit together, OSError."""
    check_authority(root, chain, key, "the authority")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return _written(folder, root, tuple(chain), key)


def _written(
    folder: Path,
    root: x509.Certificate,
    chain: tuple[x509.Certificate, ...],
    key: ec.EllipticCurvePrivateKey,
) -> Authority:
    """The key last: with it the authority is there."""
    write_file(folder / ROOT_CERTIFICATE, certificates.chain_pem(root))
    write_file(folder / CHAIN, certificates.chain_pem(*chain))
    write_private(folder / KEY, certificates.key_pem(key))
    return Authority(root, chain, key, folder)


def check_authority(
    root: x509.Certificate,
    chain: Sequence[x509.Certificate],
    key: ec.EllipticCurvePrivateKey,
    source: str,
) -> None:
    """Raises BrokenState where the key, the chain and the root don't belong together, or may not sign."""
    if not chain:
        raise BrokenState(f"{source}: an intermediate and its root are needed, in this order")
    if _public_bytes(chain[0].public_key()) != _public_bytes(key.public_key()):
        raise BrokenState(f"{source}: the key is not that of the first certificate")
    for certificate, issuer in zip(chain, [*chain[1:], root]):
        if not certificates.is_issued_by(certificate, issuer):
            raise BrokenState(
                f"{source}: {certificate.subject.rfc4514_string()} is not signed by the next"
            )
    for certificate in (*chain, root):
        if not _may_sign(certificate):
            raise BrokenState(
                f"{source}: {certificate.subject.rfc4514_string()} may not sign certificates"
            )


def _builder(
    common_name: str,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: float,
    end: float,
    *,
    unit: str = "",
) -> x509.CertificateBuilder:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])]
    if unit:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name(parts))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(utc(now - CLOCK_SKEW_S))
        .not_valid_after(utc(end))
    )


def self_signed(common_name: str, key: ec.EllipticCurvePrivateKey, now: float) -> x509.Certificate:
    """A root: of a cluster, or of what a host without one signs."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    builder = _builder(common_name, name, key.public_key(), now, now + ROOT_LIFE_S)
    builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())


def intermediate(
    common_name: str,
    key: ec.EllipticCurvePublicKey,
    root: x509.Certificate,
    root_key: ec.EllipticCurvePrivateKey,
    now: float,
) -> x509.Certificate:
    """An authority below the root, for this key, that ends no later than the root."""
    end = min(now + INTERMEDIATE_LIFE_S, certificates.validity(root)[1])
    builder = _builder(common_name, root.subject, key, now, end)
    builder = builder.add_extension(x509.BasicConstraints(True, 0), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    return _link(builder, key, root).sign(root_key, hashes.SHA256())


def _link(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePublicKey, issuer: x509.Certificate
) -> x509.CertificateBuilder:
    """The key identifiers by which a verifier finds the issuer (RFC 5280, sections 4.2.1.1 and .2)."""
    issuer_key = issuer.public_key()
    assert isinstance(issuer_key, ec.EllipticCurvePublicKey)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    return builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return False
    return bool(found.value.ca)


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _public_bytes(key: object) -> Optional[bytes]:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return None
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BrokenState(f"{path}: {error.strerror}") from error
