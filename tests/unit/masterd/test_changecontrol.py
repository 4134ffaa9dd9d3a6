"""Change control over a master's own ports: what is carried out, what waits, and who may say the word."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Callable

import pytest

from hullmark.core import changecontrol as core
from hullmark.errors import OutcomeUnknown
from hullmark.masterd import changecontrol_api, changekinds, resolving, riding
from hullmark.masterd.changecontrol import ChangeControl
from hullmark.masterd.leadership import Leadership
from hullmark.masterd.pending import OWN_MOST, change_id
from hullmark.masterd.route import Login, find
from hullmark.masterd.routes import API
from hullmark.masterd.view import encode
from hullmark.masterd.walltime import zone_known
from hullmark.model.changecontrol import Asker, ChangeKind
from hullmark.model.names import APPS, HOSTS, PENDING
from hullmark.model.people import Role
from hullmark.model.protocol import ResolveAnswer
from hullmark.store.protocol import Put
from tests.unit.masterd.persons import (
    ALICE,
    ALICE_BY_SUDO,
    BOB,
    CAROL,
    NOBODY_KNOWS,
    Person,
    everybody,
    says,
)
from tests.unit.masterd.serving import APP, Served, serve
from tests.unit.masterd.test_openapi import wrongs

RULE = {"name": "all", "ticket": "CHG-[0-9]+", "approval": True}
FROZEN = {"name": "always", "begins": "2000-01-01T00:00"}
SECRET = "hunter2-of-the-app"

Test = Callable[[Served], Awaitable[None]]


MADE: list[ChangeControl] = []
"""The newest is that of the master that is tested."""


@pytest.fixture(autouse=True)
def _everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    everybody(monkeypatch)
    made = ChangeControl.__init__

    def kept(self: ChangeControl, *arguments: Any) -> None:
        made(self, *arguments)
        MADE.append(self)

    monkeypatch.setattr(ChangeControl, "__init__", kept)


async def control(served: Served, *rules: Any, request_id: str = "cc1", **more: Any) -> None:
    document = {"rules": list(rules), **more}
    body = {"document": document, "request_id": request_id, "ticket": "CHG-0"}
    status, answer = await says(served, ALICE, "PUT", "/v1/change-control", body)
    assert status == 200, answer


def apply_body(request_id: str = "r1", ticket: str = "CHG-1", **more: Any) -> dict[str, Any]:
    container = {"image": "web:1", "pull_policy": "never", "environment": {"PASSWORD": SECRET}}
    app = {**APP, "services": {"web": {"container": {**container, **more}}}}
    return {"app": app, "request_id": request_id, "ticket": ticket}


async def apply(served: Served, person: Person, **more: Any) -> tuple[int, Any]:
    return await says(served, person, "PUT", "/v1/apps/shop", apply_body(**more))


async def decide(
    served: Served, person: Person, change: str, verb: str = "approve", request_id: str = "d1"
) -> tuple[int, Any]:
    body = {"request_id": request_id, "reason": "looked at it"}
    return await says(served, person, "POST", f"/v1/changes/{change}/{verb}", body)


async def events(served: Served) -> list[Any]:
    _, answer = await says(served, ALICE, "GET", "/v1/events?limit=1000")
    return list(answer["events"])


async def newest(served: Served) -> Any:
    """The change that made the app's newest generation."""
    _, history = await says(served, ALICE, "GET", "/v1/apps/shop/history")
    return history["generations"][0]["change"]


def of(served: Served) -> ChangeControl:
    return MADE[-1]


def test_without_rules_everything_goes(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        assert (await apply(served, ALICE, ticket=""))[0] == 200
        _, view = await says(served, BOB, "GET", "/v1/change-control")
        assert view == {"applied": False}
        status, answer = await says(
            served, ALICE, "POST", "/v1/break-glass", {"request_id": "g", "reason": "why not"}
        )
        assert (status, answer["error"]) == (409, "Refused")

    serve(tmp_path, test)


def test_every_route_of_a_person_is_a_change_or_says_why_not() -> None:
    asked = {
        (route.method, route.path)
        for route in API
        if route.method != "GET" and route.login in (Login.PERSON, Login.LOCAL)
    }
    known = {*changekinds.KINDS, *changekinds.FREE}
    assert asked - known == set()
    assert not changekinds.KINDS.keys() & changekinds.FREE.keys()


def test_an_approved_change_is_carried_out_as_it_was_asked_for(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await control(served, RULE)
        status, answer = await apply(served, ALICE)
        held = answer["held"]
        assert status == 202
        assert (held["by"], held["state"], held["rule"]) == ("alice", "waiting", "all")
        assert held["command"] == f"hullmark approve {held['change']}"
        assert held["summary"][0] == "create service web, 1 instance"
        assert (await says(served, ALICE, "GET", "/v1/apps"))[1] == {"apps": []}
        # Asked again, because the answer was lost, it is the same change.
        assert await apply(served, ALICE) == (202, answer)

        status, said = await decide(served, BOB, held["change"])
        assert (status, said["change"]["state"]) == (200, "done")
        change = await newest(served)
        assert (change["by"], change["ticket"], change["approved_by"]) == ("alice", "CHG-1", "bob")
        told = {event["kind"]: event for event in await events(served)}
        assert told["app.applied"]["by"] == "alice"
        assert told["app.applied"]["fields"]["approved_by"] == "bob"
        assert told["change.approved"]["by"] == "bob"
        # The requester's own command gets its answer now; the approver's too, again.
        assert await apply(served, ALICE) == (
            200,
            {"app": "shop", "generation": 1, "changed": True},
        )
        assert await decide(served, BOB, held["change"]) == (200, said)

    serve(tmp_path, test)


def test_nobody_approves_his_own_change(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await control(served, RULE)
        change = (await apply(served, ALICE))[1]["held"]["change"]
        for person, why in (
            (ALICE, "asked for change"),
            (ALICE_BY_SUDO, "asked for change"),
            (NOBODY_KNOWS, "no login that the system keeps"),
            (Person("bob", Role.AUDITOR), "the role auditor"),
        ):
            status, answer = await decide(served, person, change)
            assert (status, answer["error"]) == (403, "Forbidden"), person
            assert why in answer["message"]
        _, pending = await says(served, BOB, "GET", "/v1/changes")
        assert [each["state"] for each in pending["changes"]] == ["waiting"]

    serve(tmp_path, test)


def test_a_token_approves_nothing_and_opens_nothing(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        body = {"name": "ci", "role": "admin", "request_id": "t1"}
        _, made = await says(served, CAROL, "POST", "/v1/tokens", body)
        await control(served, RULE)
        change = (await apply(served, ALICE))[1]["held"]["change"]
        path = f"/v1/changes/{change}/approve"
        status, answer = await served.api("POST", path, {"request_id": "d"}, made["token"])
        assert (status, answer["message"][:21]) == (403, "token:ci is no person")
        body = {"request_id": "g", "reason": "because"}
        status, answer = await served.api("POST", "/v1/break-glass", body, made["token"])
        assert (status, answer["message"][:21]) == (403, "token:ci is no person")
        # It may ask, and lose its right to what it asked for.
        asked = apply_body("r2")
        status, held = await served.api("PUT", "/v1/apps/shop", asked, made["token"])
        assert (status, held["held"]["by"]) == (202, "token:ci")
        revoke = {"request_id": "t2", "ticket": "CHG-2"}
        _, revoked = await says(served, CAROL, "DELETE", "/v1/tokens/ci", revoke)
        assert (await decide(served, BOB, revoked["held"]["change"]))[0] == 200
        status, answer = await decide(served, BOB, held["held"]["change"], request_id="d2")
        assert (status, answer["error"]) == (409, "Conflict")
        assert "is no login any more" in answer["message"]

    serve(tmp_path, test)


def test_nobody_approves_what_his_own_token_asks_for(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        body: dict[str, Any] = {"name": "ci", "role": "admin", "request_id": "t1"}
        _, made = await says(served, BOB, "POST", "/v1/tokens", body)
        body = {"name": "ci2", "role": "admin", "request_id": "t2", "valid_s": 3600}
        status, other = await served.api("POST", "/v1/tokens", body, made["token"])
        assert status == 200, other
        revoke = {"request_id": "t3"}
        assert (await says(served, CAROL, "DELETE", "/v1/tokens/ci", revoke))[0] == 200
        await control(served, RULE)
        _, held = await served.api("PUT", "/v1/apps/shop", apply_body(), other["token"])
        change = held["held"]["change"]
        status, answer = await decide(served, BOB, change)
        assert (status, "bob made token ci2" in answer["message"]) == (403, True)
        assert (await decide(served, CAROL, change, request_id="d2"))[0] == 200

    serve(tmp_path, test)


def test_a_change_is_approved_once(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await control(served, RULE)
        change = (await apply(served, ALICE))[1]["held"]["change"]
        assert (await decide(served, BOB, change))[0] == 200
        status, answer = await decide(served, CAROL, change, request_id="d2")
        assert status == 409
        assert answer["message"] == f"change {change} was approved by bob, and is done"
        status, answer = await decide(served, BOB, "12345678", request_id="d3")
        assert (status, answer["error"]) == (404, "NotFound")

    serve(tmp_path, test)


def test_what_changed_meanwhile_is_named(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        assert (await apply(served, ALICE))[0] == 200
        await control(served, {**RULE, "changes": ["apply"]})
        _, answer = await apply(served, ALICE, request_id="r2", image="web:2")
        change = answer["held"]["change"]
        scale = {"services": {"web": 3}, "request_id": "r3"}
        assert (await says(served, CAROL, "POST", "/v1/apps/shop/scale", scale))[0] == 200
        status, answer = await decide(served, BOB, change)
        assert (status, answer["error"]) == (409, "Conflict")
        assert "shop changed since" in answer["message"]
        assert "by alice, and is generation" in answer["message"]
        assert "by carol" in answer["message"]
        assert (await decide(served, BOB, change, "refuse", "d2"))[0] == 200
        status, answer = await apply(served, ALICE, request_id="r2", image="web:2")
        assert (status, answer["message"]) == (409, f"change {change} was refused by bob")

    serve(tmp_path, test)


def test_it_expires_and_can_be_withdrawn(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await control(served, RULE, pending_for_s=60)
        first = (await apply(served, ALICE))[1]["held"]["change"]
        second = (await apply(served, ALICE, request_id="r2"))[1]["held"]["change"]
        status, answer = await decide(served, ALICE, first, "refuse")
        assert (status, answer["change"]["state"]) == (200, "withdrawn")
        pending = of(served).pending
        pending._wall = lambda: time.time() + 61
        status, answer = await decide(served, BOB, second, request_id="d2")
        assert (status, answer["message"].split(" at ")[0]) == (409, f"change {second} expired")
        await pending.expire()
        kept = pending.named(second)
        assert (kept.state.value, kept.body) == ("expired", None)
        assert (await events(served))[-1]["kind"] == "change.expired"

    serve(tmp_path, test)


def test_tickets_and_windows(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await control(
            served,
            {**RULE, "approval": False, "freeze": ["always"], "changes": ["apply"]},
            freezes=[FROZEN],
        )
        status, answer = await apply(served, ALICE, ticket="none")
        assert (status, answer["error"]) == (409, "Refused")
        assert "asks for a ticket such as CHG-[0-9]+, not 'none'" in answer["message"]
        assert "allows no change in the freeze window 'always'" in answer["message"]
        assert "break-glass open" in answer["remedy"]
        await control(served, {**RULE, "approval": False}, request_id="cc2")
        assert (await apply(served, ALICE, request_id="r2"))[0] == 200

    serve(tmp_path, test)


def test_the_rules_are_judged_anew_at_the_approval(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await control(served, {**RULE, "changes": ["apply"]})
        change = (await apply(served, ALICE))[1]["held"]["change"]
        later = {**RULE, "changes": ["apply"], "freeze": ["always"]}
        await control(served, later, request_id="cc2", freezes=[FROZEN])
        status, answer = await decide(served, BOB, change)
        assert (status, answer["error"]) == (409, "Refused")
        assert "freeze window 'always'" in answer["message"]

    serve(tmp_path, test)


def test_change_control_guards_itself(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        body: dict[str, Any] = {"document": {"rules": [RULE]}, "request_id": "c1"}
        status, answer = await says(served, ALICE, "PUT", "/v1/change-control", body)
        assert (status, answer["message"]) == (409, "a change of change control needs a ticket")
        deployer = Person("alice", Role.DEPLOYER)
        status, _ = await says(served, deployer, "PUT", "/v1/change-control", body)
        assert status == 403
        await control(served, RULE)
        remove = {"request_id": "c2", "ticket": "CHG-2"}
        status, answer = await says(served, ALICE, "DELETE", "/v1/change-control", remove)
        assert status == 202
        assert (await decide(served, ALICE, answer["held"]["change"]))[0] == 403
        assert (await decide(served, BOB, answer["held"]["change"]))[0] == 200
        _, view = await says(served, BOB, "GET", "/v1/change-control")
        assert view == {"applied": False}
        kinds = [event["kind"] for event in await events(served)]
        assert "change-control.applied" in kinds
        assert "change-control.removed" in kinds

    serve(tmp_path, test)


def test_what_is_wrong_with_rules_is_told_by_field(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        rules = [{"name": "one", "changes": ["aply"], "freeze": ["none"], "ticket": "(a+)+"}]
        document = {"rules": rules, "timezone": "Europe/Nowhere"}
        body = {"document": document, "request_id": "c1", "ticket": "CHG-1"}
        status, answer = await says(served, ALICE, "PUT", "/v1/change-control", body)
        assert status == 400
        assert {each["field"] for each in answer["problems"]} == {
            "timezone",
            "rules[0].changes[0]",
            "rules[0].freeze[0]",
            "rules[0].ticket",
        }

    serve(tmp_path, test)


def test_a_rule_that_matches_nothing_is_named(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        document = {"rules": [{**RULE, "apps": ["shpo"]}, RULE | {"name": "b"}, RULE]}
        body = {"document": document, "request_id": "c1", "ticket": "CHG-1"}
        status, answer = await says(served, ALICE, "PUT", "/v1/change-control", body)
        assert status == 400  # two of one name
        document["rules"][2] = RULE | {"name": "c", "apps": ["shop"]}
        status, answer = await says(
            served, ALICE, "PUT", "/v1/change-control", {**body, "request_id": "c2"}
        )
        assert status == 200
        assert answer["warnings"] == [
            "rule 'all': there is no app shpo now",
            "rule 'c' is never reached: 'b' fits all of it before",
        ]

    serve(tmp_path, test)


def test_secrets_are_masked_where_a_change_is_shown(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await control(served, RULE)
        _, held = await apply(served, ALICE)
        change = held["held"]["change"]
        _, detail = await says(served, BOB, "GET", f"/v1/changes/{change}")
        assert detail["shown"] == {"name": "shop"}  # by the double of what masks
        _, every = await says(served, BOB, "GET", "/v1/changes?all=true")
        told = [held, detail, every, await events(served)]
        assert SECRET not in str(told)
        record = of(served).pending.named(change)
        assert SECRET in str(record.body)
        await decide(served, BOB, change)
        assert of(served).pending.named(change).body is None

    serve(tmp_path, test)


def test_what_has_a_secret_is_collected_by_who_asked(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await control(served, RULE)
        body = {"name": "ci", "role": "viewer", "request_id": "t1", "ticket": "CHG-1"}
        status, answer = await says(served, ALICE, "POST", "/v1/tokens", body)
        change = answer["held"]["change"]
        collect = f"/v1/changes/{change}/collect"
        assert (await says(served, ALICE, "POST", collect, {}))[0] == 409
        status, said = await decide(served, BOB, change)
        assert (status, said["change"]["state"]) == (200, "approved")
        assert "token" not in said["change"]
        assert (await says(served, BOB, "POST", collect, {}))[0] == 409
        assert (await says(served, ALICE, "GET", "/v1/tokens"))[1] == {"tokens": []}
        status, made = await says(served, ALICE, "POST", collect, {})
        assert (status, made["token"][:5]) == (200, "hmt1.")
        assert (await says(served, ALICE, "POST", collect, {}))[0] == 409
        # By the requester's own command, sent again.
        invite = {"host": "h1", "request_id": "i1", "ticket": "CHG-2"}
        _, answer = await says(served, ALICE, "POST", "/v1/invites", invite)
        await decide(served, BOB, answer["held"]["change"], request_id="d2")
        assert (await says(served, BOB, "POST", "/v1/invites", invite))[0] == 409
        status, made = await says(served, ALICE, "POST", "/v1/invites", invite)
        assert (status, made["host"]) == (200, "h1")
        assert of(served).pending.named(change_id("i1")).collected

    serve(tmp_path, test)


def test_a_request_id_that_was_answered_opens_no_way_round(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        assert (await apply(served, ALICE))[0] == 200
        await control(served, RULE)
        body = {"name": "ci", "role": "admin", "request_id": "r1", "ticket": "CHG-1"}
        assert (await says(served, ALICE, "POST", "/v1/tokens", body))[0] == 202
        remove = {"request_id": "r1", "ticket": "CHG-1"}
        assert (await says(served, ALICE, "DELETE", "/v1/apps/shop", remove))[0] == 409

    serve(tmp_path, test)


def test_another_body_under_a_waiting_request_id_is_refused(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await control(served, RULE)
        change = (await apply(served, ALICE))[1]["held"]["change"]
        status, answer = await apply(served, ALICE, image="evil:1")
        assert (status, answer["error"]) == (409, "Conflict")
        status, answer = await apply(served, BOB)
        assert (status, answer["message"]) == (409, "this request is that of alice")
        await decide(served, BOB, change)
        status, answer = await apply(served, ALICE, image="evil:1", request_id="r1")
        assert status == 409

    serve(tmp_path, test)


GLASS = {"request_id": "g1", "reason": "shop is down", "for_s": 600}


def test_break_glass_is_for_so_long_and_one_at_a_time(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await control(served, RULE)
        too_long = {**GLASS, "for_s": 90000, "request_id": "g9"}
        status, answer = await says(served, ALICE, "POST", "/v1/break-glass", too_long)
        assert (status, "open for 25 h (allowed: 60 s to " in answer["message"]) == (400, True)
        _, glass = await says(served, ALICE, "POST", "/v1/break-glass", GLASS)
        again = {**GLASS, "request_id": "g2"}
        _, answer = await says(served, BOB, "POST", "/v1/break-glass", again)
        assert answer["remedy"].endswith(f"hullmark break-glass close {glass['glass']}")

    serve(tmp_path, test)


def test_break_glass(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await control(served, RULE)
        _, earlier = await apply(served, ALICE, request_id="r0")
        token = {"name": "ci", "role": "viewer", "request_id": "t1", "ticket": "CHG-1"}
        _, other = await says(served, ALICE, "POST", "/v1/tokens", token)
        frozen = {"rules": [{**RULE, "freeze": ["always"]}], "freezes": [FROZEN]}
        body = {"document": frozen, "request_id": "cc2", "ticket": "CHG-0"}
        _, rules = await says(served, ALICE, "PUT", "/v1/change-control", body)
        assert (await decide(served, BOB, rules["held"]["change"], request_id="d0"))[0] == 200
        assert (await decide(served, BOB, other["held"]["change"], request_id="d2"))[0] == 409
        status, _ = await says(
            served,
            ALICE,
            "POST",
            "/v1/break-glass",
            {**GLASS, "reason": "a\nb", "request_id": "g0"},
        )
        assert status == 400
        status, glass = await says(served, ALICE, "POST", "/v1/break-glass", GLASS)
        assert (status, glass["state"]) == (200, "open")
        again = {**GLASS, "request_id": "g2"}
        status, answer = await says(served, BOB, "POST", "/v1/break-glass", again)
        assert (status, answer["error"]) == (409, "Conflict")
        assert await says(served, ALICE, "POST", "/v1/break-glass", GLASS) == (200, glass)
        _, stands = await says(served, ALICE, "GET", "/v1/status")
        assert any("is OPEN, 10 min left: shop is down" in note for note in stands["notes"])
        assert stands["state"] == "degraded"

        assert (await apply(served, ALICE, ticket=""))[0] == 409  # a ticket is still asked for
        assert (await apply(served, ALICE, request_id="r2"))[0] == 200
        assert (await newest(served))["break_glass"] == glass["glass"]
        assert (await decide(served, BOB, earlier["held"]["change"]))[0] == 409  # it changed since

        assert (await decide(served, BOB, other["held"]["change"], request_id="d3"))[0] == 200
        collect = f"/v1/changes/{other['held']['change']}/collect"
        assert (await says(served, ALICE, "POST", collect, {}))[0] == 200
        made = next(e for e in await events(served) if e["kind"] == "token.created")
        assert made["fields"]["approved_by"] == "bob"
        assert made["fields"]["break_glass"] == glass["glass"]

        path = f"/v1/break-glass/{glass['glass']}"
        decision = {"request_id": "g3"}
        assert (await says(served, BOB, "POST", f"{path}/sign-off", decision))[0] == 409
        assert (await says(served, ALICE, "POST", f"{path}/close", decision))[0] == 200
        assert (await apply(served, ALICE, request_id="r3", image="web:3"))[0] == 409
        _, stands = await says(served, ALICE, "GET", "/v1/status")
        assert any("is over, and not signed off" in note for note in stands["notes"])
        decision = {"request_id": "g4", "reason": "CHG-9"}
        for person in (ALICE, ALICE_BY_SUDO, NOBODY_KNOWS):
            status, _ = await says(served, person, "POST", f"{path}/sign-off", decision)
            assert status == 403
        _, listed = await says(served, BOB, "GET", "/v1/break-glass")
        assert "app.applied shop by alice" in listed["glasses"][0]["changes"][0]
        status, signed = await says(served, BOB, "POST", f"{path}/sign-off", decision)
        assert (status, signed["state"], signed["signed_by"]) == (200, "signed off", "bob")
        _, stands = await says(served, ALICE, "GET", "/v1/status")
        assert not any("break-glass" in note for note in stands["notes"])

    serve(tmp_path, test)


def test_break_glass_ends_by_itself_and_stays_visible(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await control(served, RULE, break_glass_most_s=300)
        status, _ = await says(served, ALICE, "POST", "/v1/break-glass", GLASS)
        assert status == 400  # longer than is allowed
        body = {**GLASS, "for_s": 60, "request_id": "g2"}
        assert (await says(served, ALICE, "POST", "/v1/break-glass", body))[0] == 200
        glasses = of(served).glasses
        glasses._wall = lambda: time.time() + 61
        glasses.tell_over()
        glasses.tell_over()
        assert [e["kind"] for e in await events(served)].count("break-glass.over") == 1
        assert (await apply(served, ALICE))[0] == 202
        # A second emergency before anybody looked at the first: both stay.
        body = {**GLASS, "for_s": 60, "request_id": "g3"}
        assert (await says(served, BOB, "POST", "/v1/break-glass", body))[0] == 200
        assert len(glasses.unsigned()) == 2

    serve(tmp_path, test)


@pytest.mark.skipif(not zone_known("Europe/Berlin"), reason="tzdata is not installed")
def test_a_time_zone_that_is_not_there_freezes_all_but_break_glass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(served: Served) -> None:
        zoned = {**FROZEN, "timezone": "Europe/Berlin", "ends": "2001-01-01T00:00"}
        await control(served, {**RULE, "freeze": ["always"]}, freezes=[zoned])
        assert (await apply(served, ALICE))[0] == 202
        monkeypatch.setattr("hullmark.masterd.walltime._zone", lambda name: None)
        status, answer = await apply(served, ALICE, request_id="r2")
        assert (status, answer["error"]) == (409, "Refused")
        assert "does not know the time zone Europe/Berlin" in answer["message"]
        _, view = await says(served, BOB, "GET", "/v1/change-control")
        assert "does not know the time zone" in view["warnings"][0]
        assert (await says(served, ALICE, "POST", "/v1/break-glass", GLASS))[0] == 200
        assert (await apply(served, ALICE, request_id="r3"))[0] == 200

    serve(tmp_path, test)


def test_a_volume_or_data_needs_an_administrator_to_ask_and_to_approve(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        assert (await apply(served, ALICE))[0] == 200
        await control(served, RULE)
        body = {"volumes": True, "request_id": "r2", "ticket": "CHG-2"}
        deployer = Person("alice", Role.DEPLOYER)
        assert (await says(served, deployer, "DELETE", "/v1/apps/shop", body))[0] == 403
        status, answer = await says(served, ALICE, "DELETE", "/v1/apps/shop", body)
        assert (status, answer["held"]["kind"]) == (202, ChangeKind.VOLUMES.value)
        change = answer["held"]["change"]
        assert (await decide(served, Person("bob", Role.DEPLOYER), change))[0] == 403
        assert (await decide(served, BOB, change, request_id="d2"))[0] == 200

    serve(tmp_path, test)


def test_a_change_that_is_too_large_is_told_so(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await control(served, RULE)
        environment = {f"KEY{index}": "x" * 1000 for index in range(1100)}
        status, answer = await apply(served, ALICE, environment=environment)
        assert (status, answer["error"]) == (400, "InvalidInput")
        assert "this change takes" in answer["message"]

    serve(tmp_path, test)


def test_every_answer_is_as_described(tmp_path: Path) -> None:
    seen = set()

    async def test(served: Served) -> None:
        _, made = await says(served, ALICE, "GET", "/v1/openapi.json")

        async def ask(person: Person, method: str, path: str, body: Any = None) -> Any:
            status, answer = await says(served, person, method, path, body)
            route, _ = find(API, method, path.partition("?")[0].split("/"))
            responses = made["paths"][route.path][method.lower()]["responses"]
            (content,) = responses[str(status)]["content"].values()
            assert wrongs(answer, content["schema"], made["components"]["schemas"]) == []
            if status == 200:
                seen.add(route)
            return answer

        await control(served, RULE | {"changes": ["apply", "change-control", "token"]})
        held = (await ask(ALICE, "PUT", "/v1/apps/shop", apply_body()))["held"]
        await ask(BOB, "GET", "/v1/change-control")
        await ask(BOB, "GET", "/v1/changes?all=true")
        detail = await ask(BOB, "GET", f"/v1/changes/{held['change']}")
        after = f"?after={detail['version']}&hold_s=0.01"
        await ask(BOB, "GET", f"/v1/changes/{held['change']}{after}")
        body = {"request_id": "d1"}
        await ask(BOB, "POST", f"/v1/changes/{held['change']}/approve", body)
        token = {"name": "ci", "role": "viewer", "request_id": "t1", "ticket": "CHG-1"}
        held = (await ask(ALICE, "POST", "/v1/tokens", token))["held"]
        await ask(BOB, "POST", f"/v1/changes/{held['change']}/approve", {"request_id": "d2"})
        await ask(ALICE, "POST", f"/v1/changes/{held['change']}/collect", {})
        held = (await ask(ALICE, "PUT", "/v1/apps/shop", apply_body("r2")))["held"]
        await ask(BOB, "POST", f"/v1/changes/{held['change']}/refuse", {"request_id": "d3"})
        glass = (await ask(ALICE, "POST", "/v1/break-glass", GLASS))["glass"]
        document = {"rules": [RULE]}
        put = {"document": document, "request_id": "c2", "ticket": "CHG-1"}
        await ask(ALICE, "PUT", "/v1/change-control", put)
        remove = {"request_id": "c3", "ticket": "CHG-1"}
        await ask(ALICE, "DELETE", "/v1/change-control", remove)
        await ask(ALICE, "POST", f"/v1/break-glass/{glass}/close", {"request_id": "g2"})
        await ask(BOB, "POST", f"/v1/break-glass/{glass}/sign-off", {"request_id": "g3"})
        await ask(BOB, "GET", "/v1/break-glass")

    serve(tmp_path, test)
    assert set(changecontrol_api.ROUTES) <= seen


@pytest.mark.parametrize("happened", [True, False])
def test_a_leader_that_loses_the_answer_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, happened: bool
) -> None:
    """The transaction of the change, with the word that it is approved: both or neither."""
    real = Leadership.commit
    failed: list[bool] = []

    async def broken(self: Leadership, compares: Any, writes: Any) -> Any:
        keys = [write.key for write in writes]
        mine = any(key.startswith(APPS) for key in keys) and not failed
        if mine:
            assert any(key.startswith(PENDING) for key in keys), "it rides"
            failed.append(True)
            if happened:
                await real(self, compares, writes)
            raise OutcomeUnknown("no answer came")
        return await real(self, compares, writes)

    async def test(served: Served) -> None:
        await control(served, RULE)
        change = (await apply(served, ALICE))[1]["held"]["change"]
        monkeypatch.setattr(Leadership, "commit", broken)
        assert (await decide(served, BOB, change))[0] == 503
        _, apps = await says(served, ALICE, "GET", "/v1/apps")
        assert len(apps["apps"]) == happened
        state = of(served).pending.named(change).state.value
        assert state == ("done" if happened else "waiting")
        assert (await decide(served, BOB, change))[0] == 200  # the same request, again
        _, history = await says(served, ALICE, "GET", "/v1/apps/shop/history")
        assert [each["generation"] for each in history["generations"]] == [1]
        assert of(served).pending.named(change).state.value == "done"

    serve(tmp_path, test)
    assert failed == [True]


def test_two_who_approve_at_once_do_it_once(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await control(served, RULE)
        change = (await apply(served, ALICE))[1]["held"]["change"]
        done = await asyncio.gather(
            decide(served, BOB, change), decide(served, CAROL, change, request_id="d2")
        )
        assert sorted(status for status, _ in done) == [200, 409]
        _, history = await says(served, ALICE, "GET", "/v1/apps/shop/history")
        assert len(history["generations"]) == 1

    serve(tmp_path, test)


def test_a_tag_is_what_it_was_when_the_change_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = ["sha256:" + letter * 64 for letter in "ab"]

    def resolver(desk: Any, app: str) -> Any:
        async def resolve(image: str, platform: str, policy: str) -> ResolveAnswer:
            return riding.resolved(image, platform, policy) or ResolveAnswer(digests.pop(0))

        return resolve

    monkeypatch.setattr(resolving, "resolver", resolver)

    async def test(served: Served) -> None:
        await control(served, RULE)
        _, held = await apply(served, ALICE, pull_policy="missing")
        assert (await decide(served, BOB, held["held"]["change"]))[0] == 200
        _, detail = await says(served, ALICE, "GET", "/v1/apps/shop")
        assert len(digests) == 1
        record = MADE[-1]._term.view.apps["shop"].app.services["web"].container
        assert "sha256:" + "a" * 64 in str(record)
        assert detail["summary"]["generation"] == 1

    serve(tmp_path, test)


def test_hosts_wait_too_and_a_renewed_certificate_is_no_change(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await control(served, RULE)
        body = {"hosts": ["h1"], "availability": "cordoned", "request_id": "a1", "ticket": "CHG-1"}
        status, answer = await says(served, ALICE, "POST", "/v1/availability", body)
        assert (status, answer["held"]["subject"]) == (202, "host h1")
        term = MADE[-1]._term
        record = term.view.hosts[host.host_id]
        renewed = dataclasses.replace(record, certificate_sha256="c" * 64)
        key = HOSTS + host.host_id
        await term.leadership.commit([], [Put(key, encode(renewed))])
        assert (await decide(served, BOB, answer["held"]["change"]))[0] == 200
        labels = {"labels": {"zone": "a"}, "request_id": "a2", "ticket": "CHG-1"}
        _, answer = await says(served, ALICE, "POST", "/v1/hosts/h1/labels", labels)
        body = {**body, "availability": "active", "request_id": "a3"}
        _, other = await says(served, ALICE, "POST", "/v1/availability", body)
        assert (await decide(served, BOB, other["held"]["change"], request_id="d2"))[0] == 200
        status, said = await decide(served, BOB, answer["held"]["change"], request_id="d3")
        assert status == 409
        assert "it was h1: cordoned, and is h1: active" in said["message"]
        missing = {**body, "hosts": ["h9"], "request_id": "a4"}
        assert (await says(served, ALICE, "POST", "/v1/availability", missing))[0] == 404

    serve(tmp_path, test)


def test_nobody_keeps_others_from_asking(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await control(served, RULE)
        for number in range(OWN_MOST):
            assert (await apply(served, ALICE, request_id=f"a{number}"))[0] == 202
        status, answer = await apply(served, ALICE, request_id="more")
        assert (status, answer["message"]) == (409, "20 changes of alice wait already")
        assert (await apply(served, BOB, request_id="other"))[0] == 202

    serve(tmp_path, test)


def test_a_host_that_has_only_invites_is_removed_too(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        assert (await says(served, ALICE, "POST", "/v1/invites", {"host": "h1"}))[0] == 200
        await control(served, RULE)
        body = {"request_id": "x1", "ticket": "CHG-1"}
        status, answer = await says(served, ALICE, "DELETE", "/v1/hosts/h1", body)
        assert (status, answer["held"]["subject"]) == (202, "host h1")
        assert (await decide(served, BOB, answer["held"]["change"]))[0] == 200
        assert "invite.withdrawn" in [event["kind"] for event in await events(served)]

    serve(tmp_path, test)


def test_a_plan_says_what_applying_needs(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        plan = {"app": apply_body()["app"]}
        await control(served, RULE | {"freeze": ["always"], "changes": ["apply"]}, freezes=[FROZEN])
        _, answer = await says(served, ALICE, "POST", "/v1/plan", plan)
        assert answer["warnings"] == [
            "rule 'all' asks for a ticket such as CHG-[0-9]+",
            "rule 'all' allows no change in the freeze window 'always'",
            "rule 'all' asks for a second person's approval",
        ]
        assert (await says(served, ALICE, "POST", "/v1/break-glass", GLASS))[0] == 200
        _, answer = await says(served, ALICE, "POST", "/v1/plan", plan)
        assert answer["warnings"] == ["rule 'all' asks for a ticket such as CHG-[0-9]+"]

    serve(tmp_path, test)


def test_one_user_id_is_one_person() -> None:
    alice = Asker("alice", login_uid=1001)
    assert core.same_person(alice, Asker("alice", login_uid=2002))
    assert core.same_person(alice, Asker("alicia", login_uid=1001))
    assert not core.same_person(alice, Asker("bob", login_uid=1002))
    assert not core.same_person(Asker("alice"), Asker("bob"))
    assert not core.same_person(alice, Asker("token:ci", human=False))
