"""What is asked by a standby's Unix socket, on its way to a leader over real TLS and back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import aiohttp
import pytest

from hullmark.errors import Forbidden
from hullmark.masterd import identity, routes
from hullmark.masterd.accounting import Accounts
from hullmark.masterd.auditing import Auditing
from hullmark.masterd.brake import Brake
from hullmark.masterd.desk import Desk
from hullmark.masterd.directory import Directory, Rules
from hullmark.masterd.dispatch import Dispatcher
from hullmark.masterd.doors import _elsewhere
from hullmark.masterd.forwarding import Forwarder
from hullmark.masterd.identity import PERSON, Caller, about
from hullmark.masterd.recording import Recorder
from hullmark.masterd.route import Login
from hullmark.masterd.server import Listener, bind_socket
from hullmark.model.api import AppList
from hullmark.model.epoch import Epoch
from hullmark.model.people import Role
from hullmark.model.records import LeaderRecord
from hullmark.pki import certificates
from hullmark.pki.authority import Authority
from hullmark.pki.tls import client_context
from tests.unit.masterd.serving import Served, apply_body, config_in, serve


class StandbyCluster:
    """What the ports ask of a cluster that another master leads."""

    is_leader = readable = False
    role = "standby"
    read_only = ""
    why_not = "m1 leads"
    stale_s = 3.21

    def __init__(self, leader: Optional[LeaderRecord]) -> None:
        self.other_leader = leader

    def app_list(self) -> AppList:
        return AppList(())


class Standby:
    """The Unix socket of a master m2, and this process's user who asks there."""

    def __init__(self, path: Path, cluster: StandbyCluster) -> None:
        self.path = path
        self.cluster = cluster
        self.headers: Mapping[str, str] = {}

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connector = aiohttp.UnixConnector(path=str(self.path))
        headers = {"Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        async with aiohttp.ClientSession(connector=connector) as session:
            asked = session.request(method, f"http://m2{path}", data=data, headers=headers)
            async with asked as answer:
                self.headers = answer.headers
                return answer.status, json.loads(await answer.read())


def context_of(served: Served, name: str, cluster_id: str = "") -> ssl.SSLContext:
    """Of a master's own calls; made by the cluster's authority."""
    pki = served.folder / "master" / "pki"
    authority, key = Authority.load(pki), certificates.new_key()
    cluster = cluster_id or _cluster_id(served)
    chain = authority.issue_master(key.public_key(), cluster, name, [], time.time())
    (served.folder / f"{name}.pem").write_bytes(chain)
    (served.folder / f"{name}.key").write_bytes(certificates.key_pem(key))
    return client_context(
        served.folder / f"{name}.pem", served.folder / f"{name}.key", pki / "root.pem"
    )


def _cluster_id(served: Served) -> str:
    chain = (served.folder / "master" / "pki" / "master.pem").read_bytes()
    return certificates.identity_of(certificates.load_chain(chain, "m1")[0]).cluster_id


def record_of(port: int) -> LeaderRecord:
    return LeaderRecord(Epoch(1, 1), "m1", f"127.0.0.1:{port}", 0.0, "a", f"127.0.0.1:{port + 1}")


@contextlib.asynccontextmanager
async def standby(served: Served, leader: Optional[LeaderRecord]) -> AsyncIterator[Standby]:
    cluster: Any = StandbyCluster(leader)
    own = served.folder / "standby"
    own.mkdir(exist_ok=True)
    config = config_in(served.folder, state_dir=str(own), audit_dir=str(own / "audit"))
    auditing = Auditing.of(config, "m2")
    await auditing.start()
    accounts = Accounts(auditing, cluster, time.monotonic)
    desk: Any = SimpleNamespace(
        cluster=cluster, clock=time.monotonic, wall=time.time, accounts=accounts
    )
    directory = Directory(Rules({}, {}), time.monotonic)

    async def person(request: Any) -> Caller:
        return await identity.local_person(request, directory)

    handler = Dispatcher(
        desk,
        routes.API,
        frozenset({Login.NOBODY, Login.PERSON, Login.LOCAL}),
        person,
        Brake(time.monotonic),
        Recorder(desk),
        lambda error: _elsewhere(desk, error),
        Forwarder(cluster, context_of(served, "m2")),
    )
    path = served.folder / "m2.sock"
    listener = Listener("socket", bind_socket(path), handler, 16)
    await listener.start()
    try:
        yield Standby(path, cluster)
    finally:
        await listener.stop(1.0)
        directory.close()
        await auditing.close()


def test_everything_is_answered_as_by_the_leader(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        async with standby(served, record_of(served.agents_port)) as there:
            status, said = await there.ask("GET", "/v1/status")
            assert (status, said["master"]) == (200, "m1")
            status, _ = await there.ask("PUT", "/v1/apps/shop", apply_body())
            assert status == 200
            _, detail = await there.ask("GET", "/v1/apps/shop")
            by = detail["summary"]["change"]
            assert by["origin"] == "local on m2"
            log = (served.folder / "standby" / "audit" / "audit.log").read_text().splitlines()
            own = [json.loads(line) for line in log if "request.apply" in line]
            assert [(one["stage"], one["outcome"]) for one in own] == [
                ("intent", "pending"),
                ("outcome", "success"),
            ]
            assert own[0]["fields"]["forwarded_to"] == "m1"
            assert (own[0]["by"], own[0]["request_id"]) == (by["by"], by["request_id"])
            assert (
                by["by"]
                == (await served.local("GET", "/v1/apps/shop"))[1]["summary"]["change"]["by"]
            )
            status, said = await there.ask("GET", "/v1/apps/none%20?after=1")
            assert (status, said["error"]) == (404, "NotFound")
            status, said = await there.ask("GET", "/v1/hosts?no=1")
            assert (status, said["error"]) == (400, "InvalidInput")
            status, said = await there.ask("POST", "/v1/sessions", {})
            assert status == 200
            status, _ = await served.api("GET", "/v1/status", token=said["token"])
            assert status == 200, "a login that was made by the standby is good at the leader"

    serve(tmp_path, test)


def test_a_held_question_ends_when_another_master_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(served: Served) -> None:
        leader_holds, hold = asyncio.Event(), Desk.hold

        async def holding(desk: Desk, after: int, hold_s: float) -> None:
            leader_holds.set()
            await hold(desk, after, hold_s)

        monkeypatch.setattr(Desk, "hold", holding)
        async with standby(served, record_of(served.agents_port)) as there:
            await there.ask("PUT", "/v1/apps/shop", apply_body())
            _, detail = await there.ask("GET", "/v1/apps/shop")
            held = f"/v1/apps/shop?after={detail['version'] + 1000}&hold_s=20"
            asking = asyncio.ensure_future(there.ask("GET", held))
            await leader_holds.wait()
            there.cluster.other_leader = None
            status, said = await asking
            assert (status, said["error"]) == (421, "StaleEpoch")
            assert "ceased to lead" in said["message"]

    serve(tmp_path, test)


def test_a_followed_log_is_cut_when_another_master_leads(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        async with standby(served, record_of(served.agents_port)) as there:
            await there.ask("PUT", "/v1/apps/shop", apply_body())
            connector = aiohttp.UnixConnector(path=str(there.path))
            url = "http://m2/v1/apps/shop/logs?follow="
            async with aiohttp.ClientSession(connector=connector) as session:
                async with session.get(url + "false") as whole:
                    assert (whole.status, await whole.read()) == (200, b"")
                async with session.get(url + "true") as followed:
                    assert followed.status == 200
                    there.cluster.other_leader = None
                    with pytest.raises(aiohttp.ClientPayloadError):
                        await followed.read()

    serve(tmp_path, test)


def test_a_leader_that_is_not_reached(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        async with standby(served, record_of(1)) as there:
            status, said = await there.ask("GET", "/v1/hosts")
            assert (status, said["error"]) == (503, "MasterUnavailable")
            assert "m1 at 127.0.0.1:1" in said["message"]
            there.cluster.other_leader = None
            status, said = await there.ask("PUT", "/v1/apps/shop", apply_body())
            assert (status, said["error"]) == (421, "StaleEpoch")

    serve(tmp_path, test)


def test_what_a_standby_answers_itself_says_how_old_it_is(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        async with standby(served, record_of(served.agents_port)) as there:
            there.cluster.readable = True
            status, _ = await there.ask("GET", "/v1/apps")
            assert (status, "Hullmark-Stale" in there.headers) == (200, False), (
                "the leader's answer"
            )
            there.cluster.other_leader = record_of(1)
            status, said = await there.ask("GET", "/v1/apps")
            assert (status, said) == (200, {"apps": []})
            assert there.headers["Hullmark-Stale"] == "3.2"

    serve(tmp_path, test)


@pytest.mark.parametrize("kind", ["nobody named", "another cluster", "a host"])
def test_nobody_else_can_speak_for_a_person(tmp_path: Path, kind: str) -> None:
    async def test(served: Served) -> None:
        person = {PERSON: about(Caller("root", "local", Role.ADMIN, user="root", uid=0))}
        if kind == "a host":
            context = (await served.enroll("h1")).context
        else:
            context = context_of(served, "m2", "c-other" if kind == "another cluster" else "")
        headers = {} if kind == "nobody named" else person
        url = f"https://127.0.0.1:{served.agents_port}/v1/hosts"
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers=headers, ssl=context) as answer,
        ):
            assert answer.status == (403 if kind == "nobody named" else 404)
        status, _ = await served.api("GET", "/v1/hosts")
        assert status == 401

    serve(tmp_path, test)


def test_the_header_counts_for_nothing_at_the_port_of_people(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        person = {PERSON: about(Caller("root", "local", Role.ADMIN, user="root", uid=0))}
        url = f"https://127.0.0.1:{served.api_port}/v1/hosts"
        context = context_of(served, "m2")
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers=person, ssl=context) as answer,
        ):
            assert answer.status == 401

    serve(tmp_path, test)


@pytest.mark.parametrize("said", ["", "{}", "[]", "1", '{"who": "", "role": "admin"}', "[" * 5000])
def test_a_header_that_cannot_be_read(said: str) -> None:
    peer = {"subjectAltName": (("URI", "hullmark://c1/master/m2"),)}
    transport = SimpleNamespace(get_extra_info=lambda name: peer)
    request: Any = SimpleNamespace(transport=transport, headers={PERSON: said})
    with pytest.raises(Forbidden):
        asyncio.run(identity.forwarded_person(request, "c1"))


def test_who_a_person_is_survives_the_way() -> None:
    peer = {"subjectAltName": (("URI", "hullmark://c1/master/m2"),)}
    transport = SimpleNamespace(get_extra_info=lambda name: peer)
    asks = Caller("jürgen", "local", Role.DEPLOYER, user="root", uid=0, login_uid=os.getuid())
    request: Any = SimpleNamespace(transport=transport, headers={PERSON: about(asks)})
    found = asyncio.run(identity.forwarded_person(request, "c1"))
    assert found == Caller(
        "jürgen", "local on m2", Role.DEPLOYER, user="root", uid=0, login_uid=os.getuid()
    )
