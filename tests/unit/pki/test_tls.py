"""TLS as it is spoken between hosts and masters: real handshakes over a socket pair."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any, Optional

import pytest

from hullmark.pki import certificates
from hullmark.pki.authority import DAY_S, ROOT_CERTIFICATE, Authority, create_authority
from hullmark.pki.tls import server_context
from tests.unit.pki.callers import client_context

NAME = "m1.example.net"


class Place:
    """An authority, a master's certificate and a host's, in files."""

    def __init__(self, folder: Path, cluster_id: str = "c1") -> None:
        self.folder = folder
        self.now = time.time()
        self.authority: Authority = create_authority(folder, cluster_id, self.now)
        self.root = folder / ROOT_CERTIFICATE
        self.issue_master()
        self.issue_host()

    def issue_master(self, name: str = NAME, now: Optional[float] = None) -> None:
        key = certificates.new_key()
        at = self.now if now is None else now
        chain = self.authority.issue_master(key.public_key(), "c1", "m1", [name, "192.0.2.1"], at)
        self.keep("master", chain, key)

    def issue_host(self, now: Optional[float] = None) -> None:
        key = certificates.new_key()
        csr = certificates.new_request(key, "h1").decode()
        at = self.now if now is None else now
        self.keep("host", self.authority.issue_host(csr, "c1", "h1", at), key)

    def keep(self, name: str, chain: bytes, key: Any) -> None:
        (self.folder / f"{name}.pem").write_bytes(chain)
        (self.folder / f"{name}.key").write_bytes(certificates.key_pem(key))

    def files(self, name: str) -> tuple[Path, Path]:
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    @property
    def agents_port(self) -> ssl.SSLContext:
        return server_context(*self.files("master"), self.root)

    @property
    def host(self) -> ssl.SSLContext:
        return client_context(self.root, *self.files("host"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "pki")


def _rank(error: OSError) -> int:
    """Reasons before their consequences."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return 0
    return 1 if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError) else 2


def shake(server: ssl.SSLContext, client: ssl.SSLContext, name: str = NAME) -> dict[str, Any]:
    """Both sides shake hands, and the client sends a word. What the server knows of the client. Raises the
    reason where one side refuses the other, not the broken connection that the other one sees."""
    ours, theirs = socket.socketpair()
    found: dict[str, Any] = {}
    errors: list[OSError] = []

    def serve() -> None:
        try:
            with server.wrap_socket(ours, server_side=True) as tls:
                found["word"] = tls.recv(10)
                found["peer"] = tls.getpeercert()
                found["version"] = tls.version()
                tls.sendall(b"yes")
        except OSError as error:
            errors.append(error)
        finally:
            ours.close()

    for end in (ours, theirs):
        end.settimeout(10)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(theirs, server_hostname=name) as tls:
            tls.sendall(b"hello")
            found["answer"] = tls.recv(10)
    except OSError as error:
        errors.append(error)
    finally:
        theirs.close()
        thread.join(10)
    if errors:
        raise min(errors, key=_rank)
    return found


def test_a_host_and_a_master_know_each_other(place: Place) -> None:
    found = shake(place.agents_port, place.host)
    assert found["answer"] == b"yes"
    assert ("URI", "hullmark://c1/host/h1") in found["peer"]["subjectAltName"]
    assert found["version"] in ("TLSv1.2", "TLSv1.3")


def test_a_person_needs_no_certificate_at_the_api(place: Place) -> None:
    server = server_context(*place.files("master"), None)
    assert shake(server, client_context(place.root))["peer"] in (None, {})
    assert shake(server, client_context(place.root), "192.0.2.1")["answer"] == b"yes"


def test_without_a_certificate_the_agents_port_says_no(place: Place) -> None:
    with pytest.raises(OSError, match=r"(?i)certificate"):
        shake(place.agents_port, client_context(place.root))


def test_another_clusters_certificates_are_worth_nothing(place: Place, tmp_path: Path) -> None:
    other = Place(tmp_path / "other")
    stranger = client_context(place.root, *other.files("host"))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(place.agents_port, stranger)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(other.agents_port, place.host)


def test_the_masters_name_is_checked(place: Place) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)mismatch|doesn't match|not valid"):
        shake(place.agents_port, place.host, "m2.example.net")


def test_a_host_can_not_pass_for_a_master(place: Place) -> None:
    impostor = server_context(*place.files("host"), place.root)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(impostor, place.host)


@pytest.mark.parametrize("days", [-60, 2])
def test_a_certificate_holds_in_its_own_time_only(place: Place, days: int) -> None:
    place.issue_host(now=place.now + days * DAY_S)
    with pytest.raises(OSError, match=r"(?i)certificate"):
        shake(place.agents_port, place.host)
    place.issue_host()
    assert shake(place.agents_port, place.host)["answer"] == b"yes"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_are_not_spoken(place: Place) -> None:
    for context in (place.agents_port, place.host):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    old = place.host
    assert shake(place.agents_port, old)["answer"] == b"yes"
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    # Which of the two sides is heard first, and in which words, is left to chance.
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shake(place.agents_port, old)


def test_a_context_takes_a_renewed_certificate(place: Place) -> None:
    context, client = place.agents_port, place.host
    place.issue_master("renewed.example.net")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(context, client, "renewed.example.net")
    context.load_cert_chain(*place.files("master"))
    assert shake(context, client, "renewed.example.net")["answer"] == b"yes"
