"""Logins and roles: tokens of machines, who a user is and may be, and which refusals become events."""

from __future__ import annotations

import asyncio
import dataclasses
import grp
import os
import pwd
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from hullmark.masterd import directory, dispatch, people, recording
from hullmark.masterd.cluster import Cluster
from hullmark.masterd.directory import Directory, Person, Rules
from hullmark.masterd.people import People, _must_not_exceed
from hullmark.masterd.recording import AGAIN_S, BURST, EACH_S, Sieve
from hullmark.masterd.route import Login
from hullmark.masterd.routes import AGENTS, API
from hullmark.masterd.upkeep import TOKENS_KEPT_S, outdated
from hullmark.model.names import TOKENS
from hullmark.model.people import RevokeRequest, Role, TokenRequest
from hullmark.model.records import SessionRecord, TokenRecord
from tests.unit.masterd.leading import ALICE, lead
from tests.unit.masterd.serving import Served, config_in, serve

DAY_S = 86400.0


def wanted(name: str = "ci", request_id: str = "r1", **more: Any) -> TokenRequest:
    return TokenRequest(name, more.pop("role", Role.DEPLOYER), request_id, **more)


def secret(letter: str) -> str:
    return letter * 64


# tokens


def test_a_token_by_its_secret_until_its_end() -> None:
    async def test(cluster: Cluster) -> None:
        logins = cluster.people
        made = await logins.create(wanted(networks=("10.0.0.1",)), secret("a"), ALICE, "")
        assert (made.role, made.networks, made.by) == ("deployer", ("10.0.0.1/32",), "alice")
        assert logins.token(secret("a")) == made
        assert logins.holds(secret("a"))
        assert logins.token(secret("b")) is None
        assert not logins.holds(secret("b"))
        logins.used(secret("a"))
        view = logins.tokens().tokens[0]
        assert (view.name, view.expired, view.used_at > 0) == ("ci", False, True)
        told = cluster.events().events[-1]
        assert (told.kind, told.subject, told.by) == ("token.created", "token ci", "alice")
        assert told.fields["role"] == "deployer"

    lead(test)


def test_an_answer_that_was_lost_is_had_again_with_another_secret() -> None:
    async def test(cluster: Cluster) -> None:
        logins = cluster.people
        await logins.create(wanted(), secret("a"), ALICE, "")
        await logins.create(wanted(), secret("b"), ALICE, "")
        assert logins.token(secret("a")) is None
        assert logins.holds(secret("b"))
        for other in (
            wanted(request_id="r2"),
            wanted(role=Role.ADMIN),
            wanted(valid_s=DAY_S),
            wanted(networks=("10.0.0.0/8",)),
        ):
            with pytest.raises(Conflict, match="there is a token ci"):
                await logins.create(other, secret("c"), ALICE, "")
        bob = dataclasses.replace(ALICE, by="bob")
        with pytest.raises(Conflict):
            await logins.create(wanted(), secret("c"), bob, "")
        assert [one.name for one in logins.tokens().tokens] == ["ci"]

    lead(test)


def clocked(cluster: Cluster, now: list[float]) -> People:
    """The logins of a cluster, by a clock of the test's."""
    return People(cluster._term, lambda: now[0], cluster._bureau.teller.tell)


def test_a_name_is_free_again_once_its_token_has_expired() -> None:
    async def test(cluster: Cluster) -> None:
        now = [1e9]
        logins = clocked(cluster, now)
        await logins.create(wanted(valid_s=60.0), secret("a"), ALICE, "")
        now[0] += 59
        with pytest.raises(Conflict):
            await logins.create(wanted(request_id="r2"), secret("b"), ALICE, "")
        now[0] += 1
        assert logins.tokens().tokens[0].expired
        assert not logins.holds(secret("a"))
        assert logins.token(secret("a")) is not None, "so that its user is told"
        await logins.create(wanted(request_id="r2"), secret("b"), ALICE, "")
        assert [one.expired for one in logins.tokens().tokens] == [False]

    lead(test)


def test_a_revoked_token_is_gone_at_once_and_revoking_twice_is_fine() -> None:
    async def test(cluster: Cluster) -> None:
        logins = cluster.people
        await logins.create(wanted(), secret("a"), ALICE, "")
        first = await logins.revoke("ci", RevokeRequest("x1"), ALICE)
        assert not logins.holds(secret("a"))
        assert await logins.revoke("ci", RevokeRequest("x1"), ALICE) == first
        with pytest.raises(NotFound):
            await logins.revoke("ci", RevokeRequest("x2"), ALICE)
        with pytest.raises(Conflict):
            await logins.revoke("cd", RevokeRequest("x1"), ALICE)
        kinds = [event.kind for event in cluster.events().events]
        assert kinds.count("token.revoked") == 1

    lead(test)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "A"}),
        ("name", {"name": "a/b"}),
        ("name", {"name": "-a"}),
        ("name", {"name": "a" * 64}),
        ("request_id", {"request_id": ""}),
        ("valid_s", {"valid_s": 59.0}),
        ("valid_s", {"valid_s": 366 * DAY_S + 1}),
        ("valid_s", {"valid_s": float("nan")}),
        ("networks[0]", {"networks": ("",)}),
        ("networks[0]", {"networks": ("10.0.0.1/8",)}),
        ("networks[1]", {"networks": ("::1", "web1")}),
        ("networks[0]", {"networks": ("::ffff:10.0.0.0/104",)}),
        ("networks[0]", {"networks": ("1" * 5000,)}),
        ("networks", {"networks": ("::1",) * 33}),
    ],
)
def test_what_a_token_can_not_be(field: str, change: dict[str, Any]) -> None:
    async def test(cluster: Cluster) -> None:
        request = dataclasses.replace(wanted(), **change)
        with pytest.raises(InvalidInput) as caught:
            await cluster.people.create(request, secret("a"), ALICE, "")
        assert [problem.field for problem in caught.value.problems] == [field]
        assert caught.value.problems[0].allowed
        assert cluster.people.tokens().tokens == ()

    lead(test)


def test_there_are_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "TOKENS_MAX", 2)

    async def test(cluster: Cluster) -> None:
        for letter in "ab":
            await cluster.people.create(wanted(letter), secret(letter), ALICE, "")
        with pytest.raises(Conflict, match="there are 2 tokens"):
            await cluster.people.create(wanted("c"), secret("c"), ALICE, "")
        await cluster.people.create(wanted("a"), secret("d"), ALICE, "")  # in place of the former

    lead(test)


def test_nobody_has_sessions_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "SESSIONS_MAX", 2)

    async def test(cluster: Cluster) -> None:
        now = [1e9]
        logins = clocked(cluster, now)

        async def log_in(letter: str, uid: int) -> None:
            record = SessionRecord("anna", "viewer", now[0], now[0] + 60, "anna", uid, uid)
            await logins.open_session(secret(letter), record, ALICE)

        await log_in("a", 5)
        await log_in("b", 5)
        with pytest.raises(Conflict, match="anna has 2 sessions"):
            await log_in("c", 5)
        await log_in("c", 6)
        now[0] += 60
        await log_in("d", 5)

    lead(test)


def test_what_expired_long_ago_leaves_the_store() -> None:
    async def test(cluster: Cluster) -> None:
        now = [1e9]
        await clocked(cluster, now).create(wanted(valid_s=60.0), secret("a"), ALICE, "")
        view = cluster._term.view
        assert outdated(view, now[0] + 60 + TOKENS_KEPT_S)[1] == []
        (gone,) = outdated(view, now[0] + 61 + TOKENS_KEPT_S)[1]
        assert gone.key == TOKENS + secret("a")

    lead(test)


NETWORKS = st.lists(
    st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "::/0", "fd00::/8"]),
    max_size=3,
)
ADDRESSES = ["10.1.2.3/32", "10.1.9.9/32", "10.9.9.9/32", "11.0.0.1/32", "fd00::1/128", "::2/128"]


def record(networks: Sequence[str], end: float) -> TokenRecord:
    return TokenRecord("t", "admin", 0.0, end, "x", tuple(networks))


@given(maker=NETWORKS, made=NETWORKS, ends=st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_a_token_makes_none_that_may_come_from_elsewhere_or_lasts_longer(
    maker: list[str], made: list[str], ends: tuple[int, int]
) -> None:
    def may_come(networks: list[str], address: str) -> bool:
        return not networks or any(people._contains(network, address) for network in networks)

    refused = False
    try:
        _must_not_exceed(record(made, ends[1]), record(maker, ends[0]))
    except Forbidden:
        refused = True
    assert refused or ends[1] <= ends[0]
    more = [each for each in ADDRESSES if may_come(made, each) and not may_come(maker, each)]
    assert refused or not more
    if maker == made and ends[0] == ends[1]:
        assert not refused


# who somebody is


ME = pwd.getpwuid(os.geteuid()).pw_name


def people_of(rules: Rules, *uids: int) -> list[Person]:
    async def ask() -> list[Person]:
        found = Directory(rules, time.monotonic)
        try:
            return [await found.person(uid) for uid in uids]
        finally:
            found.close()

    return asyncio.run(ask())


def others() -> list[pwd.struct_passwd]:
    return [entry for entry in pwd.getpwall() if entry.pw_uid not in (0, os.geteuid())]


def test_the_highest_role_by_user_or_group_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {"ops": 7001, "dev": 7002}
    monkeypatch.setattr(directory, "_group_id", groups.get)
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid, 7001] if name == "anna" else [])
    rules = Rules(
        {"anna": Role.VIEWER, "bert": Role.AUDITOR}, {"ops": Role.DEPLOYER, "gone": Role.ADMIN}
    )
    assert rules.role("anna", 1) is Role.DEPLOYER
    assert rules.role("bert", 7001) is Role.AUDITOR
    assert rules.role("carl", 7002) is None
    assert Rules({"anna": Role.ADMIN}, rules.groups).role("anna", 1) is Role.ADMIN


def test_the_groups_are_those_of_the_system() -> None:
    for entry in others()[:5]:
        own = grp.getgrgid(entry.pw_gid).gr_name if _has_group(entry.pw_gid) else None
        if own is not None:
            rules = Rules({}, {own: Role.VIEWER, "no-such-group": Role.ADMIN})
            assert rules.role(entry.pw_name, entry.pw_gid) is Role.VIEWER


def _has_group(gid: int) -> bool:
    return any(entry.gr_gid == gid for entry in grp.getgrall())


def test_root_and_the_masters_own_user_are_administrators() -> None:
    root, me, stranger = people_of(Rules({ME: Role.VIEWER}, {}), 0, os.geteuid(), 987654)
    assert (root.role, me.role) == (Role.ADMIN, Role.ADMIN)
    assert stranger == Person("uid 987654", None, known=False)


def test_rules_come_from_the_configuration(tmp_path: Path) -> None:
    config = config_in(
        tmp_path,
        roles_viewer_users=("anna", "bert"),
        roles_admin_users=("anna",),
        roles_deployer_groups=("dev",),
    )
    rules = Rules.of(config)
    assert rules == Rules({"anna": Role.ADMIN, "bert": Role.VIEWER}, {"dev": Role.DEPLOYER})
    assert not rules.empty
    assert Rules.of(config_in(tmp_path)).empty
    assert list(Rules({ME: Role.VIEWER, "no-such": Role.VIEWER}, {}).unknown()) == ["user no-such"]


def test_a_directory_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root is let in all the same, under a number if need be; others are told why not."""

    async def test() -> None:
        found = Directory(Rules({}, {}), time.monotonic)

        async def never(question: object) -> object:
            raise asyncio.TimeoutError

        monkeypatch.setattr(found, "_ask", never)
        assert (await found.person(0)).role is Role.ADMIN
        with pytest.raises(Unavailable) as caught:
            await found.person(1)
        assert "sssd" in caught.value.remedy
        assert await found.name(1) == "uid 1"
        assert await found.unknown() == []
        found.close()

    asyncio.run(test())


def test_what_the_system_said_is_believed_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = [0.0], []

    def look_up(uid: int) -> Person:
        asked.append(uid)
        return Person(f"u{uid}", Role.VIEWER)

    async def test() -> None:
        found = Directory(Rules({}, {}), lambda: now[0])
        monkeypatch.setattr(found, "_look_up", look_up)
        for at in (0.0, directory.KEPT_S - 1, directory.KEPT_S + 1):
            now[0] = at
            assert (await found.person(5)).name == "u5"
        assert asked == [5, 5]
        for uid in range(directory.KEPT_MOST + 10):
            await found.person(uid)
        assert len(found._kept) == directory.KEPT_MOST
        found.close()

    asyncio.run(test())


# routes and what is recorded


def test_the_roles_of_routes() -> None:
    for route in API:
        if route.method == "GET":
            assert Role.AUDITOR in route.roles or route.lines, "an auditor reads all but output"
        elif route.path.endswith("/sign-off"):
            assert Role.AUDITOR in route.roles, "who checks what others did says that he has"
        elif route.path == "/v1/evidence/sign":
            assert Role.AUDITOR in route.roles, "who hands evidence on has it signed"
        elif route.login is Login.PERSON:
            assert not {Role.VIEWER, Role.AUDITOR} & route.roles
        assert Role.ADMIN in route.roles
    assert [route.path for route in AGENTS if not route.sync] == ["/agent/v1/renew"]


def test_few_refusals_of_many_are_let_through() -> None:
    now = [0.0]
    sieve = Sieve(lambda: now[0])
    assert [sieve.let("a") for _ in range(5)] == [0, None, None, None, None]
    let = [sieve.let(number) for number in range(100)]
    assert let.count(0) == BURST - 1
    now[0] += EACH_S
    assert sieve.let("new") == 0
    assert sieve.let("newer") is None
    now[0] += AGAIN_S
    assert sieve.let("a") == 4, "those that were kept back are counted"
    for number in range(3 * recording.KEYS_MOST):
        sieve.let(("many", number))
    assert len(sieve._last) <= recording.KEYS_MOST
    assert len(sieve._kept_back) <= 2 * recording.KEYS_MOST


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(0, 5)), max_size=200))
def test_never_more_than_the_rate(steps: list[tuple[float, int]]) -> None:
    now = [0.0]
    sieve = Sieve(lambda: now[0])
    through = told = 0
    for wait_s, key in steps:
        now[0] += wait_s
        kept_back = sieve.let(key)
        if kept_back is not None:
            through += 1
            told += kept_back + 1
    assert through <= BURST + now[0] / EACH_S
    assert told <= len(steps)


def test_the_log_has_each_request_of_people_and_none_of_the_sync(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await host.begin()
        await served.local("GET", "/v1/apps/shop?after=3")
        await served.api("GET", "/v1/status", token="hms1.secret")

    with caplog.at_level("INFO", logger="hullmark.request"):
        serve(tmp_path, test)
    fields: list[Any] = [
        getattr(each, "fields", {}) for each in caplog.records if each.name == "hullmark.request"
    ]
    told = [(each["kind"], each["what"], each["status"]) for each in fields]
    assert told == [
        ("human", "POST /v1/invites", 200),
        ("unknown", "POST /v1/enroll", 200),
        ("human", "GET /v1/apps/{app}", 404),
        ("unknown", "GET /v1/status", 401),
    ]
    assert fields[2]["app"] == "shop"
    assert fields[0]["role"] == "admin"
    assert "secret" not in caplog.text


def test_who_loses_the_role_loses_what_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "LOOK_S", 0.05)

    async def test(served: Served) -> None:
        path = "/v1/events?after=9999999&hold_s=20"
        token = await served.token()
        held = [
            asyncio.ensure_future(served.local("GET", path)),
            asyncio.ensure_future(served.api("GET", path, token=token)),
        ]
        await asyncio.sleep(0.3)
        assert not any(each.done() for each in held)
        gone = time.monotonic(), Person("root", None)
        served.master._directory._kept[os.geteuid()] = gone
        for status, answer in await asyncio.wait_for(asyncio.gather(*held), 5):
            assert (status, "has ended" in answer["message"]) == (401, True)
        status, answer = await served.api("GET", "/v1/status", token=token)
        assert (status, "no role here any more" in answer["message"]) == (403, True)

    serve(tmp_path, test)
