"""The script that makes etcd's certificates: what it makes, when it makes it anew, and what it refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.backends import default_backend
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SCRIPT = Path(__file__).parents[2] / "packaging/ansible/roles/hullmark_etcd/files/etcd-certificates"
MEMBERS = ("m1=192.0.2.1", "m2=192.0.2.2,m2.example.net", "w1=2001:db8::3")


def run(folder: Path, *members: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(SCRIPT), str(folder), *members]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def made(folder: Path, *members: str) -> list[str]:
    """The names of the certificates that it says it made."""
    done = run(folder, *members)
    assert done.returncode == 0, done.stderr
    return [Path(line[len("made ") :]).stem for line in done.stdout.splitlines()]


def read(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes(), default_backend())


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    folder = tmp_path / "of etcd"
    assert made(folder, *MEMBERS) == ["ca", "m1", "m2", "w1", "client"]
    return folder


def test_members_have_their_addresses_and_one_name_and_are_clients_too(pki: Path) -> None:
    addresses = {"m1": {"192.0.2.1"}, "m2": {"192.0.2.2"}, "w1": {"2001:db8::3"}}
    for name, expected in addresses.items():
        certificate = read(pki / f"{name}.crt")
        (common,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert common.value == "hullmark-etcd-member"
        extensions = certificate.extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert {str(one) for one in names.get_values_for_type(x509.IPAddress)} == expected
        assert name in names.get_values_for_type(x509.DNSName)
        uses = set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        assert uses == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    other = read(pki / "m2.crt").extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert "m2.example.net" in other.value.get_values_for_type(x509.DNSName)


def test_the_masters_certificate_names_no_user_of_etcd_and_no_server(pki: Path) -> None:
    certificate = read(pki / "client.crt")
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME) == []
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(uses) == {ExtendedKeyUsageOID.CLIENT_AUTH}


def test_keys_are_nobody_elses(pki: Path) -> None:
    assert all(file.stat().st_mode & 0o077 == 0 for file in pki.glob("*.key"))
    assert len(list(pki.iterdir())) == 3 * 4 + 2, "a draft is left"


def test_a_second_run_makes_nothing(pki: Path) -> None:
    before = {file.name: file.read_bytes() for file in pki.iterdir()}
    assert made(pki, *MEMBERS) == []
    assert {file.name: file.read_bytes() for file in pki.iterdir()} == before


def test_only_what_has_another_address_is_gone_or_is_over_soon_is_made_anew(pki: Path) -> None:
    (pki / "m2.key").unlink()
    command = ["openssl", "x509", "-in", "client.crt", "-signkey", "client.key"]
    subprocess.run(
        [*command, "-days", "59", "-out", "client.crt"], cwd=pki, check=True, capture_output=True
    )
    assert made(pki, "m1=192.0.2.9", *MEMBERS[1:]) == ["m1", "m2", "client"]
    assert made(pki, "m1=192.0.2.9", *MEMBERS[1:]) == []


def test_without_the_authoritys_key_nothing_is_made(pki: Path) -> None:
    (pki / "ca.key").rename(pki / "elsewhere")
    before = (pki / "m1.crt").read_bytes()
    done = run(pki, "m1=192.0.2.9")
    assert done.returncode == 1
    assert "ca.key is not here" in done.stderr
    assert (pki / "m1.crt").read_bytes() == before


@pytest.mark.parametrize("member", ["m1", "=192.0.2.1", "ca=192.0.2.1", "../x=192.0.2.1", "m1="])
def test_what_is_no_member_is_refused_before_anything_is_made(tmp_path: Path, member: str) -> None:
    done = run(tmp_path / "pki", "m2=192.0.2.2", member)
    assert done.returncode == 64
    assert member in done.stderr
    assert not (tmp_path / "pki").exists()
