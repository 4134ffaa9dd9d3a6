"""Signatures of heads and seals: both libraries make and check the same ones."""

from __future__ import annotations

import base64
import dataclasses

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from hullmark.errors import BrokenState, Refused
from hullmark.model.audit import Head, Seal, SignedHead
from hullmark.pki import certificates, libcrypto, signing, vouched
from hullmark.pki.authority import create_authority

HEAD = Head("host:h1", 12, "ab" * 32, 1_700_000_000.5)
NOW = 1_700_000_000.0


@pytest.fixture(scope="module")
def holder(tmp_path_factory):
    """A host's key and certificate."""
    authority = create_authority(tmp_path_factory.mktemp("pki") / "ca", "c1", NOW)
    key = certificates.new_key()
    csr = certificates.new_request(key, "h1").decode()
    chain = authority.issue_host(csr, "c1", "h1", NOW)
    return key, certificates.load_chain(chain, "chain")[0], authority.chain[0]


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def seal_of(certificate: x509.Certificate) -> Seal:
    return Seal("m1", HEAD, 3, "cd" * 32, NOW, certificates.fingerprint(certificate))


def test_a_head_is_signed_with_its_certificates_key(holder) -> None:
    key, certificate, other = holder
    signed = signing.sign_head(key, certificate, HEAD)
    signing.check_head(signed, certificate)
    with pytest.raises(Refused, match="another certificate"):
        signing.check_head(signed, other)
    changed = dataclasses.replace(signed, head=dataclasses.replace(HEAD, seq=13))
    with pytest.raises(Refused, match="does not fit"):
        signing.check_head(changed, certificate)


@pytest.mark.parametrize("signature", ["", "AAAA", "not base64!", "A" * 400])
def test_what_is_no_signature_is_refused(holder, signature) -> None:
    _, certificate, _ = holder
    signed = SignedHead(HEAD, certificates.fingerprint(certificate), signature)
    with pytest.raises(Refused):
        signing.check_head(signed, certificate)
    assert not libcrypto.is_signed(der(certificate), vouched.of_head(HEAD), signature)


def test_another_algorithm_is_refused(holder) -> None:
    key, certificate, _ = holder
    signed = dataclasses.replace(signing.sign_head(key, certificate, HEAD), algorithm="none")
    with pytest.raises(Refused, match="not known here"):
        signing.check_head(signed, certificate)


def test_a_seal_vouches_for_its_place_too(holder) -> None:
    key, certificate, _ = holder
    seal = signing.sign_seal(key, seal_of(certificate))
    signing.check_seal(seal, certificate)
    with pytest.raises(Refused):
        signing.check_seal(dataclasses.replace(seal, number=4), certificate)


def test_a_heads_signature_is_none_of_a_seal(holder) -> None:
    key, certificate, _ = holder
    signature = signing.sign_head(key, certificate, HEAD).signature
    with pytest.raises(Refused):
        signing.check_seal(
            dataclasses.replace(seal_of(certificate), signature=signature), certificate
        )


def test_libcrypto_signs_what_the_other_library_checks(holder) -> None:
    key, certificate, _ = holder
    content = vouched.of_head(HEAD)
    signature = libcrypto.sign(certificates.key_pem(key), content)
    signing.check(certificate, content, signature, "ecdsa-p256-sha256")
    assert libcrypto.is_signed(der(certificate), content, signature)


def test_libcrypto_checks_what_the_other_library_signed(holder) -> None:
    key, certificate, other = holder
    content = vouched.of_head(HEAD)
    signature = signing.sign(key, content)
    assert libcrypto.is_signed(der(certificate), content, signature)
    assert not libcrypto.is_signed(der(certificate), content + b" ", signature)
    assert not libcrypto.is_signed(der(other), content, signature)
    flipped = bytearray(base64.b64decode(signature))
    flipped[-1] ^= 1
    assert not libcrypto.is_signed(
        der(certificate), content, base64.b64encode(bytes(flipped)).decode()
    )


def test_libcrypto_refuses_what_is_no_key_or_certificate(holder) -> None:
    with pytest.raises(BrokenState, match="not a private key"):
        libcrypto.sign(b"nonsense", b"content")
    assert not libcrypto.is_signed(b"nonsense", b"content", "AAAA")
