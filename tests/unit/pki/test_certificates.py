"""Certificates, identities, keys in files, invites."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as some

from hullmark.errors import BrokenState, InvalidInput, NotFound
from hullmark.pki import certificates
from hullmark.pki.authority import create_authority
from hullmark.pki.certificates import Identity, load_chain, load_key
from hullmark.pki.files import read_private, write_file, write_private
from hullmark.pki.invites import HOST, MASTER, PREFIX, Invite, new_secret, secret_hash

INVITE = Invite(("https://m1:7442", "https://[2001:db8::1]:7442"), "a" * 64, "web1", "s3cret")


def test_identities_are_read_back() -> None:
    one = Identity("c1", "host", "h1")
    assert one.uri == "hullmark://c1/host/h1"
    assert Identity.parse(one.uri) == one


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "hullmark://c1/host",
        "hullmark://c1/host/h1/more",
        "hullmark://c1/agent/h1",
        "https://c1/host/h1",
        "c1/host/h1",
    ],
)
def test_other_uris_are_no_identities(uri: str) -> None:
    with pytest.raises(BrokenState):
        Identity.parse(uri)


def test_a_certificate_of_somebody_else_names_nobody(tmp_path: Path) -> None:
    authority = create_authority(tmp_path / "pki", "c1", 1.8e9)
    with pytest.raises(BrokenState, match="names nobody"):
        certificates.identity_of(authority.root)


def test_the_fingerprint_is_that_of_the_der_form(tmp_path: Path) -> None:
    root = create_authority(tmp_path / "pki", "c1", 1.8e9).root
    assert certificates.fingerprint(root) == root.fingerprint(hashes.SHA256()).hex()
    assert len(certificates.fingerprint(root)) == 64


def test_a_chain_is_read_in_order_with_text_between(tmp_path: Path) -> None:
    authority = create_authority(tmp_path / "pki", "c1", 1.8e9)
    pem = certificates.chain_pem(*authority.chain) + b"\n" + certificates.chain_pem(authority.root)
    assert load_chain(pem, "x") == [*authority.chain, authority.root]


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"nothing",
        b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        b"-----END CERTIFICATE-----",
    ],
)
def test_what_is_no_chain_is_named(pem: bytes) -> None:
    with pytest.raises(BrokenState, match=r"chain\.pem"):
        load_chain(pem, "chain.pem")


def test_a_key_is_read_back_and_only_from_a_closed_file(tmp_path: Path) -> None:
    path, key = tmp_path / "key", certificates.new_key()
    with pytest.raises(NotFound):
        load_key(path)
    write_private(path, certificates.key_pem(key))
    assert load_key(path).private_numbers() == key.private_numbers()
    for mode in (0o640, 0o604, 0o660, 0o601):
        path.chmod(mode)
        with pytest.raises(BrokenState, match="accessible to others") as caught:
            load_key(path)
        assert f"chmod 600 {path}" in caught.value.remedy
    write_private(path, b"not a key")
    with pytest.raises(BrokenState, match="private key"):
        load_key(path)


def test_a_file_is_replaced_whole_and_closed_from_its_first_byte(tmp_path: Path) -> None:
    path = tmp_path / "file"
    before = os.umask(0)
    try:
        write_file(path, b"one")
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        write_private(path, b"two")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_private(path) == b"two"
    with pytest.raises(OSError, match="directory"):
        write_private(tmp_path / "none" / "file", b"three")
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_private(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_signing_request_carries_the_key_only_its_holder_has() -> None:
    key = certificates.new_key()
    pem = certificates.new_request(key, "h" * 200)
    assert certificates.load_request(pem.decode()).public_numbers() == (
        key.public_key().public_numbers()
    )
    assert x509.load_pem_x509_csr(pem).is_signature_valid


def test_an_invite_is_read_back_and_hides_its_secret() -> None:
    text = INVITE.text()
    assert text.startswith(PREFIX)
    assert Invite.parse(f"  {text}\n") == INVITE
    assert "s3cret" not in repr(INVITE)


def changed(**values: object) -> str:
    body = {"masters": ["https://m1:1"], "fingerprint": "a", "host": "h", "secret": "s", **values}
    return PREFIX + base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        PREFIX,
        PREFIX + "!!!",
        PREFIX + "A" * 5000,
        INVITE.text()[:-9],
        changed(masters=[]),
        changed(masters=["http://m1:1"]),
        changed(secret=1),
        changed(more=1),
        PREFIX + base64.urlsafe_b64encode(b"[" * 3000).decode(),
    ],
)
def test_what_is_no_invite_is_told_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Invite.parse(text)
    assert "hullmark invite" in caught.value.remedy
    assert len(text) < 8 or text[5:] not in str(caught.value)


@given(some.text())
def test_any_text_is_an_invite_or_wrong_input(text: str) -> None:
    for token in (text, PREFIX + text):
        with pytest.raises(InvalidInput):
            Invite.parse(token)


def test_secrets_differ_and_are_kept_by_their_hash() -> None:
    assert len({new_secret() for _ in range(100)}) == 100
    assert len(base64.urlsafe_b64decode(new_secret() + "=")) == 32
    digest = secret_hash("x")
    assert digest == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


def test_a_master_s_invite_is_no_host_s_and_the_other_way_round() -> None:
    assert Invite.parse(INVITE.text(MASTER), MASTER) == INVITE
    for kind, other, command in (
        (HOST, MASTER, "hullmark master join takes it"),
        (MASTER, HOST, "hullmark agent enroll takes it"),
    ):
        with pytest.raises(InvalidInput, match=command):
            Invite.parse(INVITE.text(other), kind)
    with pytest.raises(InvalidInput) as caught:
        Invite.parse("hmj1.x", MASTER)
    assert "hullmark master invite NAME" in caught.value.remedy
