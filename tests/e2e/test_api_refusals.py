"""What the master's doors refuse, tried against a real master over real TLS. It never answers with a fault of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hullmark.masterd import brake, recording
from hullmark.masterd.route import Login, Route
from hullmark.masterd.routes import AGENTS, API
from hullmark.model.names import HOSTS
from hullmark.model.people import Role
from hullmark.pki import certificates
from hullmark.pki.authority import HOST_LIFE_S, Authority, create_authority
from hullmark.store.protocol import Delete
from hullmark.store.sqlite import SqliteStore
from tests.e2e.callers import Answer, Host, LoneMaster, lone_master

FAKETIME = f"/usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketime.so.1"
NOBODY, DAEMON, BIN, SYS, GAMES = 65534, 1, 2, 3, 5
"""Users that every Debian has, and what they are here: viewer, deployer by group, auditor, admin, and no one."""
ROLES = """
roles:
  viewer: {users: [nobody, no-such-person]}
  deployer: {groups: [daemon, no-such-group]}
  auditor: {users: [bin]}
  admin: {users: [sys]}
"""
OF_USERS = {
    NOBODY: Role.VIEWER,
    DAEMON: Role.DEPLOYER,
    BIN: Role.AUDITOR,
    SYS: Role.ADMIN,
}
APP = {
    "name": "shop",
    "services": {"web": {"container": {"image": "web:1", "pull_policy": "never"}}},
}
PEOPLE = [route for route in API if route.login is not Login.NOBODY]
BODIES = [route for route in API if route.body is not None]


def named(route: Any) -> Any:
    return f"{route.method} {route.path}" if isinstance(route, Route) else None


def path_of(route: Route) -> str:
    """With names of things that are not there."""
    return route.path.replace("{", "none-").replace("}", "")


@pytest.fixture(scope="module")
def master() -> Iterator[LoneMaster]:
    for master in lone_master(ROLES):
        yield master
        faults = [line for line in master.log().splitlines() if "a request failed" in line]
        assert faults == []


@pytest.fixture(scope="module")
def tokens(master: LoneMaster) -> dict[Role, str]:
    return {role: master.token(f"of-{role.value}", role.value) for role in Role}


# the agents' port


def issued(master: LoneMaster, authority: Authority, host_id: str, at: float) -> Host:
    """A host with a certificate that this authority gives at some time."""
    key = certificates.new_key()
    csr = certificates.new_request(key, "h").decode()
    return Host(
        master, "h", host_id, authority.issue_host(csr, master.cluster_id, host_id, at), key
    )


def own_authority(master: LoneMaster) -> Authority:
    return Authority.load(master.root.parent)


def test_an_enrolled_host_is_answered(master: LoneMaster) -> None:
    host = master.new_host("good")
    assert host.poll().status == 200
    again = issued(master, own_authority(master), host.host_id, time.time())
    refused = again.poll()
    assert refused.status == 403, (
        "the handshake takes it: what the next tests change is all that is wrong there"
    )
    assert "a newer one was made" in refused.json["message"]
    assert host.poll().status == 200


def test_no_certificate_no_answer(master: LoneMaster) -> None:
    for route in AGENTS:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            master.agents(path_of(route), {})


def test_a_certificate_of_another_authority(master: LoneMaster, tmp_path: Path) -> None:
    host = master.new_host("copied")
    other = create_authority(tmp_path / "other", master.cluster_id, time.time())
    with pytest.raises((ssl.SSLError, ConnectionError)):
        issued(master, other, host.host_id, time.time()).poll()
    assert host.poll().status == 200


def test_an_expired_certificate(master: LoneMaster) -> None:
    host = master.new_host("late")
    at = time.time() - HOST_LIFE_S - 60
    # The authority is as old as this test; a certificate from before it is as good as any of its own.
    with pytest.raises((ssl.SSLError, ConnectionError)):
        issued(master, own_authority(master), host.host_id, at).poll()
    assert host.poll().status == 200


def test_a_certificate_of_a_host_that_is_no_more(master: LoneMaster) -> None:
    host = master.new_host("gone")
    assert host.poll().status == 200
    master.master.kill(signal.SIGTERM)
    store, key = SqliteStore(master.folder / "master" / "store.sqlite"), HOSTS + host.host_id
    assert store.get(key) is not None
    store.commit([], [Delete(key)])
    store.close()
    master.master.start()
    master.wait_for_master()
    for route in AGENTS:
        answer = host.post(path_of(route), {})
        assert (answer.status, answer.json["error"]) == (403, "Forbidden"), named(route)


def test_certificates_of_others_than_enrolled_hosts(master: LoneMaster) -> None:
    authority, now = own_authority(master), time.time()
    answer = issued(master, authority, "f" * 32, now).poll()
    assert (answer.status, answer.json["error"]) == (403, "Forbidden")
    key = certificates.new_key()
    chain = authority.issue_master(key.public_key(), master.cluster_id, "m2", [], now)
    assert Host(master, "m2", "", chain, key).poll().status == 403


def test_a_host_speaks_for_itself_only(master: LoneMaster) -> None:
    one, two = master.new_host("one"), master.new_host("two")
    report = {"host_id": two.host_id, "run": "r", "sequence": 1, "digest": ""}
    answer = one.post("/agent/v1/report", {**report, "epoch": {"incarnation": 1, "term": 1}})
    assert answer.status == 403
    assert one.post("/v1/status", {}).status == 404
    assert master.api("POST", "/agent/v1/poll", {"run": "x"}).status == 404


# logins


def test_without_a_login_nothing_but_the_open_routes(master: LoneMaster) -> None:
    for index, route in enumerate(API):
        body: Any = {} if route.body else None
        answer = master.api(route.method, path_of(route), body, source=f"127.0.1.{index + 1}")
        if route.login is Login.NOBODY:
            assert answer.status in (200, 400), named(route)
        else:
            assert answer.status == 401, named(route)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert "hullmark login" in answer.told


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer hmt1.wrong"},
        {"Authorization": "Bearer " + "x" * 5000},
        {"Authorization": "Basic cm9vdDpyb290"},
        {"Authorization": "Bearer hmt1.\u00e4"},
        {"X-Forwarded-User": "root", "X-Forwarded-For": "127.0.0.1", "X-Remote-User": "root"},
    ],
)
def test_a_wrong_login(master: LoneMaster, headers: dict[str, str]) -> None:
    # From an address of its own: failures of one are answered more and more slowly.
    source = f"127.0.2.{len(str(headers)) % 250 + 1}"
    answer = master.api("GET", "/v1/status", headers=headers, source=source)
    assert (answer.status, answer.json["error"]) == (401, "Forbidden")
    assert "remedy" in answer.json


def test_wrong_logins_are_slowed_and_others_are_not(master: LoneMaster) -> None:
    def took_s(token: str, source: str) -> float:
        began = time.monotonic()
        master.api("GET", "/v1/status", token=token, source=source)
        return time.monotonic() - began

    for _ in range(brake.FREE + 1):
        took_s("hmt1.wrong", "127.0.3.1")
    assert took_s("hmt1.wrong", "127.0.3.1") > 2 * brake.STEP_S * 0.9
    assert took_s("hmt1.wrong", "127.0.3.2") < 2 * brake.STEP_S * 0.9
    good = master.token("unhurt", "viewer")
    assert took_s(good, "127.0.3.1") < 2 * brake.STEP_S * 0.9, (
        "who has a login is never kept waiting"
    )


def test_an_expired_and_a_revoked_token(master: LoneMaster) -> None:
    assert Path(FAKETIME).exists(), "run `make setup-engines`"
    token = master.token("short", "viewer", valid_s=600)
    assert master.api("GET", "/v1/status", token=token).status == 200
    master.master.kill()
    master.master.environment = {
        "LD_PRELOAD": FAKETIME,
        "FAKETIME": "+660s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    master.master.start()
    try:
        master.wait_for_master()
        answer = master.api("GET", "/v1/status", token=token)
        assert (answer.status, "has expired" in answer.told) == (401, True)
        listed = {one["name"]: one for one in master.local("GET", "/v1/tokens").json["tokens"]}
        assert listed["short"]["expired"] is True
    finally:
        master.master.kill()
        master.master.environment = {}
        master.master.start()
        master.wait_for_master()
    assert master.api("GET", "/v1/status", token=token).status == 200
    gone = master.local("DELETE", "/v1/tokens/short", {"request_id": "gone"})
    assert gone.status == 200
    answer = master.api("GET", "/v1/status", token=token)
    assert (answer.status, "not known" in answer.told) == (401, True)


def test_a_token_from_another_network(master: LoneMaster) -> None:
    token = master.token("near", "viewer", networks=["127.0.0.1/32", "10.9.0.0/16"])
    assert master.api("GET", "/v1/status", token=token).status == 200
    answer = master.api("GET", "/v1/status", token=token, source="127.0.0.2")
    assert (answer.status, answer.json["error"]) == (403, "Forbidden")
    assert "127.0.0.2" in answer.told
    assert "10.9" not in answer.told, "where it is for helps only who took it"
    far = master.token("far", "viewer", networks=["10.0.0.0/8", "fd00::/8"])
    assert master.api("GET", "/v1/status", token=far).status == 403


def test_a_token_makes_none_that_may_more_than_itself(master: LoneMaster) -> None:
    near = master.token("maker", "admin", networks=["127.0.0.0/8"], valid_s=3600)

    def make(**more: Any) -> Answer:
        body = {"name": "made", "role": "admin", "request_id": os.urandom(8).hex(), **more}
        return master.api("POST", "/v1/tokens", body, near)

    assert make(valid_s=600).status == 403, "from anywhere"
    assert make(valid_s=600, networks=["0.0.0.0/0"]).status == 403
    assert make(valid_s=7200, networks=["127.0.0.1"]).status == 403, "for longer"
    answer = make(valid_s=600, networks=["127.0.0.1"])
    assert (answer.status, answer.json["networks"]) == (200, ["127.0.0.1/32"])
    listed = {one["name"]: one for one in master.local("GET", "/v1/tokens").json["tokens"]}
    assert listed["made"]["by"] == "token:maker"


def test_a_revoked_token_loses_what_it_holds_open(master: LoneMaster) -> None:
    token = master.token("held", "deployer")
    master.local("PUT", "/v1/apps/held", {"app": {**APP, "name": "held"}, "request_id": "held"})
    with master.begun("/v1/apps/held/logs?follow=true", token) as answer:
        assert answer.status == 200
        began = time.monotonic()
        master.local("DELETE", "/v1/tokens/held", {"request_id": "held-gone"})
        with pytest.raises((http.client.HTTPException, OSError)):
            answer.read()
    assert time.monotonic() - began < 10
    master.local("DELETE", "/v1/apps/held", {"request_id": "held-removed"})


def test_a_token_at_the_command_line(master: LoneMaster) -> None:
    file = master.folder / "cli.token"
    new = ("token", "create", "cli", "--role", "viewer", "--from", "127.0.0.0/8", "--for", "1h")
    told = master.hullmark(*new, "--token-file", str(file))
    assert told.startswith("cli  viewer from 127.0.0.0/8 until ")
    there = f"https://127.0.0.1:{master.api_port}"
    door = ("--master", there, "--token-file", str(file), "--ca", str(master.root))
    assert json.loads(master.run(*door, "apps", "-o", "json").stdout)["apps"] is not None
    refused = master.run(*door, "scale", "shop/web=1")
    assert (refused.returncode, "needs deployer or admin" in refused.stderr) == (2, True)
    assert "token:cli has the role viewer" in refused.stderr
    (row,) = (line for line in master.hullmark("token", "list").splitlines() if "cli " in line)
    assert row.split()[1] == "viewer"
    assert master.hullmark("token", "revoke", "cli") == "cli  revoked\n"
    gone = master.run(*door, "apps")
    assert (gone.returncode, "not known" in gone.stderr) == (2, True)
    assert master.run("token", "revoke", "cli").returncode == 2


# roles


def test_every_route_by_role(master: LoneMaster, tokens: dict[Role, str]) -> None:
    """From the table: a new route can't be forgotten."""
    for route in PEOPLE:
        for role, token in tokens.items():
            answer = master.api(route.method, path_of(route), {"no": "such"}, token)
            where = f"{named(route)} as {role.value}"
            if route.login is Login.LOCAL:
                assert answer.status == 403, where
                assert "Unix socket" in answer.told
            elif role in route.roles:
                assert answer.status in (200, 400, 404), f"{where}: {answer.raw!r}"
            else:
                assert answer.status == 403, where
                assert f"of-{role.value}" in answer.told, "who it is"
                least = next(each for each in Role if each in route.roles)
                assert f"needs {least.value}" in answer.told


def test_the_table_has_no_writing_viewer_or_auditor() -> None:
    for route in PEOPLE:
        # Who checks what others did, and no more; who hands evidence of it on.
        checks = route.path.endswith("/sign-off") or route.path == "/v1/evidence/sign"
        if route.method != "GET" and route.login is not Login.LOCAL and not checks:
            assert not {Role.VIEWER, Role.AUDITOR} & route.roles, named(route)
        assert Role.ADMIN in route.roles


def test_the_document_says_what_is_so(master: LoneMaster, tokens: dict[Role, str]) -> None:
    """Of every route: whom it is for, whether it takes a body, and which parameters."""
    described = master.api("GET", "/v1/openapi.json").json["paths"]
    operations = {
        (method.upper(), path): operation
        for path, item in described.items()
        for method, operation in item.items()
    }
    assert set(operations) == {(route.method, route.path) for route in API}
    for (method, path), operation in operations.items():
        target = path.replace("{", "none-").replace("}", "")
        where, local_only = f"{method} {path}", "x-hullmark-unix-socket-only" in operation
        ask = master.api if not local_only else lambda *arguments: master.local(*arguments[:3])
        for role, token in tokens.items():
            if operation["security"] and not local_only:
                answer = ask(method, target, {"no": "such"}, token)
                allowed = role.value in operation["x-hullmark-roles"]
                assert (answer.status != 403) == allowed, (where, role)
                assert str(answer.status) in operation["responses"], where
        admin = tokens[Role.ADMIN]
        answer = ask(method, target, None, admin)
        told = answer.json.get("message", "") if answer.status == 400 else ""
        assert ("there is no body" in told) == ("requestBody" in operation), where
        for parameter in operation["parameters"]:
            if parameter["in"] == "query":
                default = str(parameter["schema"]["default"]).lower()
                asked = f"{target}?{parameter['name']}={default}"
                body = {"no": "such"} if "requestBody" in operation else None
                refused = ask(method, asked, body, admin)
                told = "" if refused.status == 200 else str(refused.json)  # lines are many values
                assert parameter["name"] not in told, where


def test_losing_data_is_an_administrators_word(master: LoneMaster, tokens: dict[Role, str]) -> None:
    body = {"request_id": "x", "volumes": True}
    answer = master.api("DELETE", "/v1/apps/nothing", body, tokens[Role.DEPLOYER])
    assert (answer.status, "needs admin" in answer.told) == (403, True)
    assert master.api("DELETE", "/v1/apps/nothing", body, tokens[Role.ADMIN]).status == 404


def test_people_by_user_and_group(master: LoneMaster) -> None:
    for uid, role in OF_USERS.items():
        for route in PEOPLE:
            answer = master.local_as(uid, route.method, path_of(route), {"no": "such"})
            allowed = answer.status in (200, 400, 404)
            assert allowed == (role in route.roles), f"{named(route)} as {role.value}"
            assert allowed or answer.status == 403
    answer = master.local_as(GAMES, "GET", "/v1/status")
    assert (answer.status, "user games has no role here" in answer.told) == (403, True)
    borrowed = master.local_as(GAMES, "GET", "/v1/status", gid=DAEMON)
    assert borrowed.status == 403, "the group of a process is not the user's"
    warned = [line for line in master.log().splitlines() if "does not know a name" in line]
    assert {line.rpartition("name=")[2] for line in warned} == {
        '"user no-such-person"',
        '"group no-such-group"',
    }


def test_a_session_lasts_only_as_long_as_the_role(master: LoneMaster) -> None:
    session = master.local_as(NOBODY, "POST", "/v1/sessions", {}).json
    assert (session["who"], session["role"]) == ("nobody", "viewer")
    token = session["token"]
    assert master.api("GET", "/v1/status", token=token).status == 200
    assert master.api("GET", "/v1/events", token=token).status == 403
    written = master.master_config.read_text()
    try:
        for roles, status, events in (
            (written.replace("users: [nobody, ", "users: ["), 403, 403),
            (written.replace("users: [bin]", "users: [bin, nobody]"), 200, 200),
        ):
            master.master.kill(signal.SIGTERM)
            master.master_config.write_text(roles)
            master.master.start()
            master.wait_for_master()
            assert master.api("GET", "/v1/status", token=token).status == status
            assert master.api("GET", "/v1/events", token=token).status == events
    finally:
        master.master.kill(signal.SIGTERM)
        master.master_config.write_text(written)
        master.master.start()
        master.wait_for_master()


# what is no request


NUMBER = b"9" * 5000
BROKEN = {
    "nothing": b"",
    "no JSON": b"{",
    "more than one": b"{} {}",
    "no object": b"[]",
    "a number": b"7",
    "null": b"null",
    "no UTF-8": b'{"request_id": "\xff\xfe"}',
    "half a character": b'{"request_id": "\\ud800"}',
    "a nul": b'{"request_id": "\\u0000"}',
    "deep lists": b"[" * 10_000,
    "deep objects": b'{"app":' * 1_000 + b"1" + b"}" * 1_000,
    "not a number": b'{"request_id": NaN}',
    "no end": b'{"request_id": -Infinity}',
    "a huge number": b'{"request_id": ' + NUMBER + b"}",
    "a huge exponent": b'{"request_id": 1e999}',
    "twice": b'{"request_id": "a", "request_id": "b"}',
    "wrong types": b'{"request_id": {}, "app": [], "services": 7, "host": null, "name": 1.5}',
    "unknown": b'{"surprise": 1}',
}


@pytest.mark.parametrize("route", BODIES, ids=named)
def test_broken_bodies(master: LoneMaster, tokens: dict[Role, str], route: Route) -> None:
    token = "" if route.login is Login.NOBODY else tokens[Role.ADMIN]
    for kind, body in BROKEN.items():
        if route.login is Login.LOCAL:
            answer = master.local(route.method, path_of(route), body)
        else:
            answer = master.api(route.method, path_of(route), body, token)
        assert (answer.status, answer.json["error"]) == (400, "InvalidInput"), (kind, answer.raw)
        assert answer.json["problems"]
    if route.login is not Login.LOCAL:
        for said in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"):
            headers = {"Content-Type": said}
            answer = master.api(route.method, path_of(route), b"{}", token, headers=headers)
            assert answer.status == 415, said


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_bodies_that_are_too_large(
    master: LoneMaster, tokens: dict[Role, str], chunked: bool
) -> None:
    for route in BODIES:
        if route.login is Login.LOCAL:
            continue
        head = (
            f"{route.method} {path_of(route)} HTTP/1.1\r\nHost: m\r\n"
            f"Authorization: Bearer {tokens[Role.ADMIN]}\r\nContent-Type: application/json\r\n"
        ).encode()
        if chunked:
            parts = route.body_max_bytes // 65536 + 2
            body = b"Transfer-Encoding: chunked\r\n\r\n"
            body += (b"10000\r\n" + b" " * 65536 + b"\r\n") * parts
        else:
            body = f"Content-Length: {route.body_max_bytes + 1}\r\n\r\n".encode()
        status = master.raw(head + body, head_only=True).split(b" ")[1]
        assert status == b"413", named(route)


def test_what_a_query_may_not_be(master: LoneMaster, tokens: dict[Role, str]) -> None:
    for route in PEOPLE:
        if route.lines or route.method != "GET":
            continue
        for query in ("whatever=1", "%00=1", "app=%ff&%c0%ae=1"):
            answer = master.api("GET", f"{path_of(route)}?{query}", token=tokens[Role.ADMIN])
            assert answer.status == 400, (named(route), query)
        for parameter in route.query:
            wrong = ["x", "1_0", "1e1000", "nan", "-" + "9" * 30, "%D9%A1", ""]
            values = [] if isinstance(parameter.default, str) else wrong
            for query in [f"{parameter.name}={value}" for value in values] + [
                f"{parameter.name}=1&{parameter.name}=1"
            ]:
                answer = master.api("GET", f"{path_of(route)}?{query}", token=tokens[Role.ADMIN])
                assert answer.status == 400, (named(route), query)


def test_wrong_methods(master: LoneMaster, tokens: dict[Role, str]) -> None:
    for path in sorted({route.path for route in API}):
        allowed = {route.method for route in API if route.path == path}
        target = path.replace("{", "none-").replace("}", "")
        for method in {
            "GET",
            "POST",
            "PUT",
            "DELETE",
            "PATCH",
            "HEAD",
            "OPTIONS",
            "QUERY",
        } - allowed:
            answer = master.api(method, target, token=tokens[Role.ADMIN])
            assert answer.status == 405, (method, path)
            assert set(answer.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//v1/status",
        "/v1//status",
        "/v1/status/",
        "/v1/./status",
        "/v1/apps/../status",
        "/v1/%2e%2e/v1/status",
        "/v1/apps/%2e%2e%2fstatus",
        "/v1/apps/none%2Flogs",
        "/v1/apps/%00",
        "/v1/apps/%ff",
        "/v1/apps/a%0d%0aX: y",
        "/V1/status",
        "/v1/status%20",
        "/v1/status;x=1",
        "/v1/apps/" + "a" * 5000,
        "/agent/v1/poll",
        "*",
        "https://127.0.0.1/v1/nothing",
    ],
    ids=lambda path: path[:30],
)
def test_paths_that_lead_nowhere(master: LoneMaster, tokens: dict[Role, str], path: str) -> None:
    request = (
        f"GET {path.replace(' ', '%20')} HTTP/1.1\r\nHost: m\r\nConnection: close\r\n"
        f"Authorization: Bearer {tokens[Role.ADMIN]}\r\n\r\n"
    )
    status = master.raw(request.encode()).split(b" ")[1]
    assert status in (b"400", b"404"), status


def test_names_in_a_path_are_judged_as_they_stand(
    master: LoneMaster, tokens: dict[Role, str]
) -> None:
    for path in ("/v1/apps/%73hop", "/v1/apps/sh%2eop", "/v1/apps/SHOP", "/v1/apps/a b"):
        answer = master.api("GET", path.replace(" ", "%20"), token=tokens[Role.ADMIN])
        assert (answer.status, answer.json["error"]) == (404, "NotFound"), path


# the record


def test_every_request_is_recorded(master: LoneMaster, tokens: dict[Role, str]) -> None:
    secret = "hunter2-in-a-query"
    master.api("GET", f"/v1/apps/recorded?after={secret}", token=tokens[Role.VIEWER])
    body = {"app": {**APP, "name": "recorded"}, "request_id": secret, "ticket": "CHG-1"}
    master.api("PUT", "/v1/apps/recorded", body, tokens[Role.VIEWER])
    lines = [line for line in master.log().splitlines() if "app=recorded" in line]
    asked, refused = lines
    for line, what, status in (
        (asked, "GET /v1/apps/{app}", 400),
        (refused, "PUT /v1/apps/{app}", 403),
    ):
        assert " request: answered " in line
        assert f'what="{what}"' in line
        assert f" status={status} " in line
        for word in ("who=token:of-viewer", "role=viewer", "kind=machine", "origin=127.0.0.1"):
            assert word in line
    text = master.log()
    assert secret not in text
    for token in tokens.values():
        assert token not in text


def test_refusals_are_events_but_a_flood_is_not() -> None:
    for master in lone_master():
        token = master.token("flood", "viewer")
        for _ in range(30):
            assert master.api("DELETE", "/v1/apps/x", {}, token).status == 403
        for index in range(30):
            source = f"127.0.4.{index + 1}"
            assert master.api("DELETE", "/v1/apps/x", {}, token, source=source).status == 403
        events = master.local("GET", "/v1/events?limit=1000").json["events"]
        refused = [event for event in events if event["kind"] == "request.refused"]
        sources = [event["fields"]["from"] for event in refused]
        assert len(sources) == len(set(sources)) == recording.BURST
        first = refused[0]
        assert (first["subject"], first["by"]) == ("DELETE /v1/apps/{app}", "token:flood")
        assert (first["fields"]["role"], first["fields"]["kind"]) == ("viewer", "machine")
        logged = [line for line in master.log().splitlines() if "who=token:flood" in line]
        assert len(logged) == 60, "the log has them all"
