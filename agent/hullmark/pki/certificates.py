"""What is in our certificates, and the differences between versions of the cryptography library.

A certificate names its holder by one URI: `hullmark://CLUSTER/host/HOST_ID`, `hullmark://CLUSTER/master/NAME` or
`hullmark://CLUSTER/proxy/HOST_ID` (RFC 5280, section 4.2.1.6). Keys are ECDSA on P-256, signatures use SHA-256.

What a host's proxy shows other hosts' proxies says the same in its subject, where HAProxy can read it: CN is the host's id, OU is `proxy`, which
no other certificate of ours has.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hullmark.errors import BrokenState, InvalidInput, Problem
from hullmark.pki.files import read_private

URI_SCHEME = "hullmark"
HOST, MASTER, PROXY = "host", "master", "proxy"
KINDS = (HOST, MASTER, PROXY)

CLOCK_SKEW_S = 300
"""Certificates begin this long before they are made, for hosts whose clock is a little behind."""


@dataclass(frozen=True)
class Identity:
    """`kind` is one of KINDS; `name` is the host's id or the master's name. Only a `host` may speak for a host to a master."""

    cluster_id: str
    kind: str
    name: str

    @property
    def uri(self) -> str:
        return f"{URI_SCHEME}://{self.cluster_id}/{self.kind}/{self.name}"

    @classmethod
    def parse(cls, uri: str) -> Identity:
        """Raises BrokenState for a URI that isn't one of ours."""
        scheme, _, rest = uri.partition("://")
        parts = rest.split("/")
        if scheme != URI_SCHEME or len(parts) != 3 or parts[1] not in KINDS:
            raise BrokenState(f"not an identity of a host, master or proxy: {uri!r}")
        return cls(*parts)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS #8, PEM, not encrypted: the file's mode is its protection."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Raises NotFound, or BrokenState for a file that is too open, damaged or of another kind."""
    try:
        key = serialization.load_pem_private_key(read_private(path), password=None)
    except (ValueError, TypeError) as error:
        raise BrokenState(f"{path} is not a private key in PEM form: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BrokenState(f"{path} is not an elliptic curve key")
    return key


def load_chain(pem: bytes, source: str) -> list[x509.Certificate]:
    """Every certificate of a PEM text, in order. Raises BrokenState where there is none."""
    marker = b"-----END CERTIFICATE-----"
    parts = [part + marker for part in pem.split(marker)[:-1]]
    try:
        chain = [x509.load_pem_x509_certificate(part.strip()) for part in parts]
    except (ValueError, binascii.Error) as error:
        raise BrokenState(f"{source}: not a certificate: {error}") from error
    if not chain:
        raise BrokenState(f"{source}: no certificate in it")
    return chain


def chain_pem(*chain: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in chain)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER form, 64 hexadecimal digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def identity_of(certificate: x509.Certificate) -> Identity:
    """Raises BrokenState for a certificate that isn't one of ours."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as error:
        raise BrokenState("the certificate names nobody") from error
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise BrokenState("the certificate does not name exactly one holder")
    return Identity.parse(uris[0])


def validity(certificate: x509.Certificate) -> tuple[float, float]:
    """First and last moment, seconds since 1970. (cryptography 42 renamed the attributes.)"""
    if hasattr(certificate, "not_valid_before_utc"):
        return (
            certificate.not_valid_before_utc.timestamp(),
            certificate.not_valid_after_utc.timestamp(),
        )
    first, last = certificate.not_valid_before, certificate.not_valid_after
    return (
        first.replace(tzinfo=timezone.utc).timestamp(),
        last.replace(tzinfo=timezone.utc).timestamp(),
    )


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's key made the signature; dates are not looked at."""
    key = issuer.public_key()
    algorithm = certificate.signature_hash_algorithm
    if certificate.issuer != issuer.subject or algorithm is None:
        return False
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def new_request(key: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    """A signing request, PEM. The authority takes only the public key from it."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def load_request(pem: str) -> ec.EllipticCurvePublicKey:
    """The public key of a signing request. Raises InvalidInput for anything but a sound one on P-256."""
    try:
        request = x509.load_pem_x509_csr(pem.encode())
    except ValueError as error:
        raise _bad_request("not a signing request in PEM form") from error
    key = request.public_key()
    if not request.is_signature_valid:
        raise _bad_request("its signature does not fit its key")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _bad_request("the key is of another kind")
    return key


def _bad_request(message: str) -> InvalidInput:
    return InvalidInput([Problem(message, field="csr_pem", allowed="an ECDSA key on P-256")])


def utc(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), timezone.utc)
