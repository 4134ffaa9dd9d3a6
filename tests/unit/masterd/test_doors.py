"""Who may do what, and where: the three doors, and what each knows of its callers."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pwd
import socket
import stat
import struct
from pathlib import Path

import aiohttp
import pytest

from hullmark.errors import BrokenState
from hullmark.masterd import brake
from hullmark.masterd.directory import Directory, Rules
from hullmark.masterd.identity import (
    Caller,
    _login_uid,
    certificate_identity,
    local_person,
    plain_address,
)
from hullmark.masterd.route import Login
from hullmark.masterd.routes import API
from hullmark.model.people import Role
from hullmark.pki import certificates
from hullmark.pki.authority import Authority
from tests.unit.masterd.serving import Host, Served, apply_body, serve
from tests.unit.pki.callers import client_context

PEOPLE = [
    (route.method, route.path.replace("{app}", "shop"))
    for route in API
    if route.login is Login.PERSON
]


def test_the_api_port_wants_a_token_for_all_but_the_open_routes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brake, "STEP_S", 0.0)

    async def test(served: Served) -> None:
        for method, path in PEOPLE:
            status, answer = await served.api(method, path, {})
            assert (status, answer["error"]) == (401, "Forbidden"), path
        for path in ("/v1/ca", "/v1/openapi.json"):
            assert (await served.api("GET", path))[0] == 200
        status, answer = await served.api("GET", "/v1/status", token="hms1.not-one")
        assert status == 401
        assert "not known" in answer["message"]

    serve(tmp_path, test)


def test_a_session_opens_the_api_port_and_only_the_socket_gives_one(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        token = await served.token()
        assert (await served.api("GET", "/v1/status", token=token))[0] == 200
        status, answer = await served.api("POST", "/v1/sessions", {}, token=token)
        assert (status, answer["error"]) == (403, "Forbidden")
        status, _ = await served.api("PUT", "/v1/apps/shop", apply_body(), token=token)
        assert status == 200
        stored = b"".join(
            (served.folder / "master").joinpath(name).read_bytes()
            for name in os.listdir(served.folder / "master")
            if name.startswith("store.sqlite")
        )
        assert token.encode() not in stored
        assert b"/hullmark/sessions/" in stored

    serve(tmp_path, test)


def test_what_happened_says_who_asked_and_from_where(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        token = await served.token()
        body = apply_body(ticket="CHG-7")
        await served.api("PUT", "/v1/apps/shop", body, token=token)
        _, answer = await served.local("GET", "/v1/events?limit=1")
        event = answer["events"][0]
        me = (await served.local("POST", "/v1/sessions", {}))[1]["who"]
        assert (event["kind"], event["by"]) == ("app.applied", me)
        assert event["fields"]["from"] == "127.0.0.1"
        assert event["fields"]["ticket"] == "CHG-7"

    serve(tmp_path, test)


def test_sessions_expire_and_their_life_has_bounds(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        status, answer = await served.local("POST", "/v1/sessions", {"valid_s": 1})
        assert (status, answer["problems"][0]["field"]) == (400, "valid_s")
        _, long = await served.local("POST", "/v1/sessions", {"valid_s": 600})
        _, usual = await served.local("POST", "/v1/sessions", {})
        assert 3000 < usual["expires_at"] - long["expires_at"] < 3001

    serve(tmp_path, test, session_valid=3600.0)


def test_the_socket_is_for_its_owner_only(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        assert stat.S_IMODE(served.socket.stat().st_mode) == 0o600
        status, answer = await served.local("GET", "/v1/status")
        assert (status, answer["master"]) == (200, "m1")

    serve(tmp_path, test)
    assert not (tmp_path / "m.sock").exists()


def test_the_agents_port_wants_a_certificate_of_the_cluster(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        url = f"https://127.0.0.1:{served.agents_port}/agent/v1/poll"
        with pytest.raises(aiohttp.ClientError):
            await served.ask("POST", url, {"run": "x"}, context=client_context(served.root))
        status, answer = await served.api("POST", "/agent/v1/poll", {"run": "x"})
        assert status == 404, answer

    serve(tmp_path, test)


def test_a_certificate_opens_nothing_but_its_own_host(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        one, two = await served.enroll("h1"), await served.enroll("h2")
        await one.begin()
        report = {"host_id": two.host_id, "run": "r", "sequence": 1, "digest": ""}
        body = {**report, "epoch": {"incarnation": 1, "term": 1}}
        status, answer = await one.post("/agent/v1/report", body)
        assert (status, answer["error"]) == (403, "Forbidden")
        assert (await one.post("/v1/status", {}))[0] == 404

    serve(tmp_path, test)


@pytest.mark.parametrize("kind", ["never enrolled", "another cluster", "a master"])
def test_a_certificate_that_is_not_an_enrolled_hosts_is_refused(tmp_path: Path, kind: str) -> None:
    async def test(served: Served) -> None:
        authority = Authority.load(served.folder / "master" / "pki")
        _, ca = await served.api("GET", "/v1/ca")
        cluster_id, key, now = ca["cluster_id"], certificates.new_key(), 2e9
        csr = certificates.new_request(key, "x").decode()
        now = certificates.validity(authority.root)[0] + 600
        if kind == "a master":
            chain = authority.issue_master(key.public_key(), cluster_id, "m2", [], now)
        else:
            owner = "c-other" if kind == "another cluster" else cluster_id
            chain = authority.issue_host(csr, owner, "h-unknown", now)
        host = Host(served, "x", {"host_id": "h-unknown", "chain_pem": chain.decode()}, key)
        status, answer = await host.post("/agent/v1/poll", {"run": "x"})
        assert (status, answer["error"]) == (403, "Forbidden")

    serve(tmp_path, test)


def test_identities_are_read_from_exactly_one_uri() -> None:
    one = ("URI", "hullmark://c1/host/h1")
    assert certificate_identity({"subjectAltName": (("DNS", "x"), one)}).name == "h1"
    for names in ((), (one, one), (("URI", "https://c1/host/h1"),), (("DNS", "h1"),)):
        with pytest.raises(BrokenState):
            certificate_identity({"subjectAltName": names})


def test_the_login_is_who_a_person_is(tmp_path: Path) -> None:
    (tmp_path / "loginuid").write_text("1000")
    assert _login_uid(tmp_path / "loginuid") == 1000
    (tmp_path / "loginuid").write_text("4294967295")
    assert _login_uid(tmp_path / "loginuid") is None
    assert _login_uid(tmp_path / "none") is None
    assert Caller("alice", "local").host_id == ""


NOBODY = Rules({}, {})


def has_user(uid: int) -> bool:
    return any(entry.pw_uid == uid for entry in pwd.getpwall())


class Peer:
    """A request over a Unix socket from this process and user, as the kernel tells it."""

    def __init__(self, pid: int, uid: int) -> None:
        self.transport = self
        self.family = socket.AF_UNIX
        self._credentials = struct.pack("iII", pid, uid, 0)

    def get_extra_info(self, name: str) -> object:
        return self if name == "socket" else None

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option, size) == (socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return self._credentials


def judged(peer: Peer, proc: Path, rules: Rules = NOBODY) -> Caller:
    async def judge() -> Caller:
        directory = Directory(rules, lambda: 0.0)
        try:
            return await local_person(peer, directory, proc)  # type: ignore[arg-type]
        finally:
            directory.close()

    return asyncio.run(judge())


@pytest.mark.parametrize(
    ("login", "who", "login_uid"),
    [
        ("2", pwd.getpwuid(2).pw_name if has_user(2) else "uid 2", 2),
        ("4294967295", "root", 0),
        ("", "root", 0),
        ("987654", "uid 987654", 987654),
    ],
)
def test_sudo_does_not_hide_who_it_was(
    tmp_path: Path, login: str, who: str, login_uid: int
) -> None:
    (tmp_path / "77").mkdir()
    (tmp_path / "77" / "loginuid").write_text(login)
    caller = judged(Peer(77, 0), tmp_path)
    known = login not in ("", "4294967295")
    as_root = Caller(who, "local", Role.ADMIN, user="root", uid=0, login_uid=login_uid)
    assert caller == dataclasses.replace(as_root, login_known=known)


def test_another_user_is_refused_also_where_the_socket_is_open_to_it(tmp_path: Path) -> None:
    for uid in (1, 65534, 987654):
        caller = judged(Peer(77, uid), tmp_path)
        assert caller.role is None
        assert caller.refusal is not None
        assert "has no role here" in caller.refusal.message
        assert "master.yaml" in caller.refusal.remedy


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::FFFF:a00:1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("fd00:0::1", "fd00::1"),
        ("", ""),
    ],
)
def test_an_address_has_one_form(text: str, plain: str) -> None:
    assert plain_address(text) == plain
