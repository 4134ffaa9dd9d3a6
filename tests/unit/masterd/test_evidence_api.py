"""What a master signs of evidence packs, for whom, and that it is recorded."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp

from hullmark.model.evidence import PackSignature
from hullmark.model.wire import from_wire
from hullmark.pki import certificates
from hullmark.pki.packs import check_pack
from tests.unit.masterd.serving import Served, serve

DIGEST = "ab" * 32


async def token(served: Served, role: str) -> str:
    body = {"name": role, "role": role, "request_id": role}
    status, answer = await served.local("POST", "/v1/tokens", body)
    assert status == 200, answer
    return str(answer["token"])


def test_an_auditor_gets_a_signature_that_leads_to_the_root(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        login = await token(served, "auditor")
        body = {"digest": DIGEST, "what": "pci-dss-4.0.1 of all hosts"}
        status, answer = await served.api("POST", "/v1/evidence/sign", body, login)
        assert status == 200, answer
        signature = from_wire(PackSignature, answer)
        root = certificates.load_chain(served.root.read_bytes(), "root")[0]
        signer = check_pack(signature, DIGEST, certificates.fingerprint(root))
        assert signer.startswith("master m1 of cluster ")
        assert signature.by == "token:auditor"
        records = await recorded(served, "request.sign-evidence")
        assert [each["outcome"] for each in records] == ["pending", "success"]
        assert (records[0]["by"], records[0]["fields"]["digest"]) == ("token:auditor", DIGEST)
        assert records[0]["fields"]["what"] == "pci-dss-4.0.1 of all hosts"

    serve(tmp_path, test)


async def recorded(served: Served, kind: str) -> list[dict[str, Any]]:
    connector = aiohttp.UnixConnector(path=str(served.socket))
    url = f"http://master/v1/audit?kind={kind}"
    for _ in range(100):
        session = aiohttp.ClientSession(connector=connector, connector_owner=False)
        async with session, session.get(url) as answer:
            found = [json.loads(line) for line in (await answer.read()).splitlines()]
        if len(found) >= 2:
            break
        await asyncio.sleep(0.01)
    await connector.close()
    return found


def test_others_get_none(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        for role in ("viewer", "deployer"):
            login = await token(served, role)
            for method, path, body in (
                ("POST", "/v1/evidence/sign", {"digest": DIGEST}),
                ("GET", "/v1/people", None),
            ):
                status, answer = await served.api(method, path, body, login)
                assert (status, answer["error"]) == (403, "Forbidden")

    serve(tmp_path, test)


def test_only_a_hash_is_signed(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        for body in (
            {"digest": "x"},
            {"digest": DIGEST.upper()},
            {"digest": DIGEST, "what": "x" * 501},
        ):
            status, answer = await served.local("POST", "/v1/evidence/sign", body)
            assert (status, answer["error"]) == (400, "InvalidInput")

    serve(tmp_path, test)
