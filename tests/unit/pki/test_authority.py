"""The authority: what it makes, what it signs, and which files it will not work with."""

from __future__ import annotations

import base64
import dataclasses
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hullmark.errors import BrokenState, Conflict, InvalidInput, NotFound
from hullmark.pki import certificates
from hullmark.pki.authority import (
    CHAIN,
    DAY_S,
    HOST_LIFE_S,
    INTERMEDIATE_LIFE_S,
    KEY,
    MASTER_LIFE_S,
    ROOT_CERTIFICATE,
    ROOT_KEY,
    Authority,
    adopt_authority,
    create_authority,
)
from hullmark.pki.certificates import CLOCK_SKEW_S, Identity

NOW = 1.8e9


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return create_authority(tmp_path / "pki", "c1", NOW)


def request(name: str = "h1") -> str:
    return certificates.new_request(certificates.new_key(), name).decode()


def leaf_of(chain: bytes) -> x509.Certificate:
    return certificates.load_chain(chain, "chain")[0]


def test_what_is_made_is_what_is_loaded(tmp_path: Path, authority: Authority) -> None:
    loaded = Authority.load(tmp_path / "pki")
    assert (loaded.root, loaded.chain) == (authority.root, authority.chain)
    assert loaded.root_fingerprint == authority.root_fingerprint
    assert stat.S_IMODE((tmp_path / "pki").stat().st_mode) == 0o700
    for name in (ROOT_KEY, KEY):
        assert stat.S_IMODE((tmp_path / "pki" / name).stat().st_mode) == 0o600
    with pytest.raises(Conflict):
        create_authority(tmp_path / "pki", "c1", NOW)


def test_a_half_made_authority_is_made_again(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "pki" / KEY).unlink()
    again = create_authority(tmp_path / "pki", "c1", NOW)
    assert again.root_fingerprint != authority.root_fingerprint
    assert Authority.load(tmp_path / "pki").root == again.root


def test_a_host_gets_a_client_certificate_in_its_name(authority: Authority) -> None:
    chain = authority.issue_host(request("somebody-else"), "c1", "h1", NOW)
    leaf, *rest = certificates.load_chain(chain, "chain")
    assert rest == list(authority.chain)
    assert certificates.identity_of(leaf) == Identity("c1", "host", "h1")
    assert "somebody-else" not in leaf.subject.rfc4514_string()
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificates.validity(leaf) == (NOW - CLOCK_SKEW_S, NOW + HOST_LIFE_S)
    assert certificates.is_issued_by(leaf, authority.chain[0])
    assert not certificates.is_issued_by(leaf, authority.root)


def test_a_proxy_calls_and_is_called_and_is_no_host(authority: Authority) -> None:
    leaf = leaf_of(authority.issue_proxy(request("somebody-else"), "c1", "h1", NOW))
    assert certificates.identity_of(leaf) == Identity("c1", "proxy", "h1")
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["*.h1"]  # HAProxy's check of a server
    assert len(names) == 2
    assert subject_of(leaf) == {
        "h1": NameOID.COMMON_NAME,
        "proxy": NameOID.ORGANIZATIONAL_UNIT_NAME,
    }
    assert certificates.validity(leaf)[1] == pytest.approx(NOW + HOST_LIFE_S, abs=1)


def test_no_other_certificate_says_that_it_is_a_proxys(authority: Authority) -> None:
    key = certificates.new_key().public_key()
    host = authority.issue_host(request(), "c1", "proxy", NOW)
    master = authority.issue_master(key, "c1", "proxy", ["proxy"], NOW)
    for leaf in (leaf_of(host), leaf_of(master)):
        assert subject_of(leaf) == {"proxy": NameOID.COMMON_NAME}


def subject_of(leaf: x509.Certificate) -> dict[str, x509.ObjectIdentifier]:
    return {str(part.value): part.oid for part in leaf.subject}


def test_a_master_gets_a_certificate_for_its_addresses(authority: Authority) -> None:
    key = certificates.new_key().public_key()
    addresses = ["m1.example.net", "192.0.2.1", "2001:db8::1"]
    leaf = leaf_of(authority.issue_master(key, "c1", "m1", addresses, NOW))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["m1.example.net"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == addresses[1:]
    assert certificates.identity_of(leaf) == Identity("c1", "master", "m1")
    assert certificates.validity(leaf)[1] == NOW + MASTER_LIFE_S
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.SERVER_AUTH in usage


def test_nothing_outlives_its_issuer(authority: Authority) -> None:
    late = NOW + INTERMEDIATE_LIFE_S - DAY_S
    leaf = leaf_of(authority.issue_host(request(), "c1", "h1", late))
    assert certificates.validity(leaf)[1] == NOW + INTERMEDIATE_LIFE_S


def test_the_intermediate_signs_no_further_authority(authority: Authority) -> None:
    limits = authority.chain[0].extensions.get_extension_for_class(x509.BasicConstraints)
    assert limits.critical
    assert (limits.value.ca, limits.value.path_length) == (True, 0)


def weak_request() -> str:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def other_curve() -> str:
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def tampered() -> str:
    """A request whose signature is of another one."""
    one = x509.load_pem_x509_csr(request().encode()).public_bytes(serialization.Encoding.DER)
    two = x509.load_pem_x509_csr(request().encode())
    forged = one.replace(
        x509.load_pem_x509_csr(_pem(one).encode()).public_key().public_bytes(*_POINT),
        two.public_key().public_bytes(*_POINT),
    )
    assert forged != one
    return _pem(forged)


_POINT = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _pem(der: bytes) -> str:
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"


@pytest.mark.parametrize("make", [weak_request, other_curve, tampered, str, lambda: "-" * 100])
def test_a_bad_request_gets_nothing(authority: Authority, make) -> None:
    with pytest.raises(InvalidInput) as caught:
        authority.issue_host(make(), "c1", "h1", NOW)
    assert caught.value.problems[0].field == "csr_pem"


class TestAdopting:
    """A shop's own intermediate."""

    @pytest.fixture
    def shop(self, tmp_path: Path) -> Authority:
        made = create_authority(tmp_path / "shop", "shop", NOW)
        (tmp_path / "chain.pem").write_bytes(certificates.chain_pem(*made.chain, made.root))
        return made

    def test_it_signs_as_one_of_ours_and_has_no_root_key(
        self, tmp_path: Path, shop: Authority
    ) -> None:
        folder = tmp_path / "pki"
        taken = adopt_authority(folder, tmp_path / "chain.pem", tmp_path / "shop" / KEY)
        assert Authority.load(folder).root_fingerprint == shop.root_fingerprint
        assert not (folder / ROOT_KEY).exists()
        leaf = leaf_of(taken.issue_host(request(), "c1", "h1", NOW))
        assert certificates.is_issued_by(leaf, shop.chain[0])
        with pytest.raises(Conflict):
            adopt_authority(folder, tmp_path / "chain.pem", tmp_path / "shop" / KEY)

    @pytest.mark.parametrize("wrong", ["order", "root only", "other key", "no file", "a leaf"])
    def test_what_does_not_fit_together_is_refused(
        self, tmp_path: Path, shop: Authority, wrong: str
    ) -> None:
        chain, key = tmp_path / "chain.pem", tmp_path / "shop" / KEY
        if wrong == "order":
            chain.write_bytes(certificates.chain_pem(shop.root, *shop.chain))
        elif wrong == "root only":
            chain.write_bytes(certificates.chain_pem(shop.root))
        elif wrong == "other key":
            key = tmp_path / "shop" / ROOT_KEY
        elif wrong == "no file":
            chain.unlink()
        else:
            own = certificates.new_key()
            key = tmp_path / "leaf.key"
            key.write_bytes(certificates.key_pem(own))
            key.chmod(0o600)
            leaf = shop.issue_master(own.public_key(), "c1", "m1", [], NOW)
            chain.write_bytes(leaf + certificates.chain_pem(shop.root))
        with pytest.raises(BrokenState, match=str(tmp_path)):
            adopt_authority(tmp_path / "pki", chain, key)
        assert not (tmp_path / "pki" / KEY).exists()


@pytest.mark.parametrize("name", [ROOT_CERTIFICATE, CHAIN, KEY])
@pytest.mark.parametrize("how", ["lost", "damaged", "another's"])
def test_files_that_can_not_be_trusted_are_named(
    tmp_path: Path, authority: Authority, name: str, how: str
) -> None:
    path = tmp_path / "pki" / name
    create_authority(tmp_path / "other", "c2", NOW)
    if how == "lost":
        path.unlink()
    elif how == "damaged":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_bytes((tmp_path / "other" / name).read_bytes())
    with pytest.raises((BrokenState, NotFound)) as caught:
        Authority.load(tmp_path / "pki")
    assert name.partition(".")[0] in str(caught.value) or "pki" in str(caught.value)


def test_the_key_is_in_no_text_form(authority: Authority) -> None:
    secret = certificates.key_pem(authority.key).decode().splitlines()[1]
    assert secret not in repr(authority)
    assert dataclasses.is_dataclass(authority)
