"""Who may have which log vouched for: each host its own, the other master its own, and nobody another's."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from hullmark.core.shipping import shipment_of
from hullmark.masterd import vouching
from hullmark.masterd.certificate import cluster_of
from hullmark.masterd.cluster import Cluster
from hullmark.model.audit import FIRST_PREV, Entry, Head
from hullmark.model.auditline import hash_of, line_of
from hullmark.model.protocol import AUDIT_PATH, HEADS_PATH, HeadAnswer, HeadOffer, Shipment
from hullmark.model.wire import from_wire, to_wire
from hullmark.pki import certificates, signing
from hullmark.pki.authority import Authority
from tests.unit.masterd.serving import Host, Served, serve
from tests.unit.pki.callers import client_context


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vouching, "GATHER_S", 0.0)


def lines_of(log: str, count: int) -> list[bytes]:
    lines: list[bytes] = []
    for seq in range(1, count + 1):
        prev = hash_of(lines[-1]) if lines else FIRST_PREV
        entry, at = Entry("container.start", "shop/web.1"), "2026-11-29T05:40:01.000000Z"
        lines.append(line_of(entry, seq=seq, prev=prev, log=log, boot="b", at=at))
    return lines


def offer_of(folder: Path, log: str, lines: list[bytes]) -> Any:
    """Signed with the key and the certificate in a folder."""
    (folder / "key").chmod(0o600)
    key = certificates.load_key(folder / "key")
    certificate = certificates.load_chain((folder / "pem").read_bytes(), "pem")[0]
    head = Head(log, len(lines), hash_of(lines[-1]), 1.0)
    return to_wire(HeadOffer(signing.sign_head(key, certificate, head)))


def at(host: Host) -> Path:
    return next(path for path in host._served.folder.glob(f"host-{host.name}"))


def another_master(served: Served, name: str) -> ssl.SSLContext:
    """What a second master shows."""
    authority = Authority.load(served.folder / "master" / "pki")
    folder = served.folder / name
    folder.mkdir()
    key = certificates.new_key()
    cluster_id = cluster_of(served.folder / "master" / "pki")
    chain = authority.issue_master(key.public_key(), cluster_id, name, ["192.0.2.2"], time.time())
    (folder / "key").write_bytes(certificates.key_pem(key))
    (folder / "pem").write_bytes(chain)
    return client_context(served.root, folder / "pem", folder / "key")


async def ask(served: Served, context: ssl.SSLContext, path: str, body: Any) -> tuple[int, Any]:
    url = f"https://127.0.0.1:{served.agents_port}{path}"
    return await served.ask("POST", url, body, context=context)


def test_a_host_has_its_own_log_vouched_for(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        log = f"host:{host.host_id}"
        lines = lines_of(log, 3)
        status, answer = await host.post(HEADS_PATH, offer_of(at(host), log, lines))
        assert status == 200, answer
        seal = from_wire(HeadAnswer, answer).seal
        assert seal is not None
        mine = (tmp_path / "master" / "pki" / "master.pem").read_bytes()
        signing.check_seal(seal, certificates.load_chain(mine, "master")[0])
        kept = {path.stem for path in (tmp_path / "master/audit/certificates").iterdir()}
        assert seal.certificate_sha256 in kept
        assert len(kept) == 2
        status, answer = await host.post(AUDIT_PATH, to_wire(shipment_of(log, lines)))
        assert (status, answer) == (200, {"cursor": 3})

    serve(tmp_path, test)


def test_nobody_speaks_for_another(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host, other = await served.enroll("h1"), await served.enroll("h2")
        log = f"host:{other.host_id}"
        lines = lines_of(log, 3)
        offer = offer_of(at(host), log, lines)
        for who, body in ((host, offer), (other, offer)):
            status, answer = await who.post(HEADS_PATH, body)
            assert status == 409, answer
        status, _ = await host.post(AUDIT_PATH, to_wire(shipment_of(log, lines)))
        assert status == 409
        second = another_master(served, "m2")
        status, _ = await ask(served, second, AUDIT_PATH, to_wire(shipment_of(log, lines)))
        assert status == 409
        assert not (tmp_path / "master/audit/heads.log").exists()
        anonymous = client_context(served.root)
        with pytest.raises(Exception, match=r"(?i)certificate|closed|reset|disconnected"):
            await ask(served, anonymous, HEADS_PATH, offer)

    serve(tmp_path, test)


def test_another_master_has_its_log_vouched_for_and_this_one_not_itself(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        second, itself = another_master(served, "m2"), another_master(served, "m1")
        lines = lines_of("master:m2", 2)
        status, answer = await ask(
            served, second, HEADS_PATH, offer_of(tmp_path / "m2", "master:m2", lines)
        )
        assert status == 200, answer
        assert answer["seal"]["number"] == 1
        status, answer = await ask(
            served, second, AUDIT_PATH, to_wire(shipment_of("master:m2", lines))
        )
        assert (status, answer["cursor"]) == (200, 2)
        mine = lines_of("master:m1", 2)
        status, answer = await ask(
            served, itself, HEADS_PATH, offer_of(tmp_path / "m1", "master:m1", mine)
        )
        assert (status, "itself" in answer["message"]) == (403, True)

    serve(tmp_path, test)


def test_a_standby_vouches_and_takes_no_records_of_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        log = f"host:{host.host_id}"
        lines = lines_of(log, 3)
        second = another_master(served, "m2")
        monkeypatch.setattr(Cluster, "is_leader", property(lambda self: False))
        monkeypatch.setattr(Cluster, "readable", property(lambda self: True))
        status, answer = await host.post(HEADS_PATH, offer_of(at(host), log, lines))
        assert status == 200, answer
        assert answer["seal"]["master"] == "m1"
        status, _ = await host.post(AUDIT_PATH, to_wire(shipment_of(log, lines)))
        assert status == 421
        status, answer = await ask(served, second, AUDIT_PATH, to_wire(Shipment("master:m2")))
        assert (status, answer) == (200, {"cursor": 0})
        monkeypatch.setattr(Cluster, "readable", property(lambda self: False))
        status, _ = await host.post(HEADS_PATH, offer_of(at(host), log, lines))
        assert status == 421, "who calls can't be known"

    serve(tmp_path, test)
