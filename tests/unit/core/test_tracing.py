"""From a person to a process and back, whatever was named, and nothing of other stories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core.tracing import Search, trace
from hullmark.model.audit import Actor, Entry, Outcome, Record, Stage
from hullmark.model.auditline import line_of, parse
from hullmark.model.audittrail import Place, Trace
from hullmark.model.moments import moment

M1, M2, H1, H2 = "master:m1", "master:m2", "host:1", "host:2"
NAMES = {M1: "m1", M2: "m2", H1: "web1", H2: "web2"}
A, B, C = "a" * 64, "b" * 64, "c" * 64


class World:
    """Logs that grow together, a second a record."""

    def __init__(self) -> None:
        self.logs: dict[str, list[Record]] = {}
        self._at = 1e9

    def add(self, log: str, entry: Entry) -> int:
        lines = self.logs.setdefault(log, [])
        prev = lines[-1].hash if lines else "0" * 64
        self._at += 1
        line = line_of(entry, seq=len(lines) + 1, prev=prev, log=log, boot="b", at=moment(self._at))
        lines.append(parse(line))
        return len(lines)

    def asked(self, log: str, by: str, request: str, app: str = "shop", **more: Any) -> None:
        """A change that went well, and what the leader tells of it."""
        entry = Entry(
            "request.apply", app, Stage.INTENT, Outcome.PENDING, by, Actor.HUMAN, "local",
            request_id=request, epoch="1.2", **more,
        )  # fmt: skip
        of = self.add(log, entry)
        done = replace(entry, stage=Stage.OUTCOME, outcome=Outcome.SUCCESS, of=of)
        self.add(log, replace(done, fields={"generation": "3"}))

    def did(self, log: str, kind: str, name: str, container: str, by: str, request: str, **fields: str) -> None:  # fmt: skip
        app = name.partition(".")[0]
        entry = Entry(
            kind, f"{app}/web.1", Stage.INTENT, Outcome.PENDING, by, Actor.HUMAN, "local",
            request_id=request, epoch="1.2", fields={"name": name, "app": app},
            container_id="" if kind == "container.create" else container,
        )  # fmt: skip
        of = self.add(log, entry)
        more = {**entry.fields, **fields}
        done = replace(entry, stage=Stage.OUTCOME, outcome=Outcome.SUCCESS, of=of, fields=more)
        self.add(log, replace(done, container_id=container))

    def runs(self, log: str, name: str, container: str, by: str, request: str, pid: int) -> None:
        self.did(log, "container.create", name, container, by, request)
        self.did(log, "container.start", name, container, by, request, pid=str(pid))

    def trace(self, what: str, most: int = 1000) -> Trace:
        search = Search(what, most)
        passes = 0
        while search.goes_on:
            for records in self.logs.values():
                for record in records:
                    search.look(record)
            search.turn()
            passes += 1
        assert passes <= 4
        return trace(what, search.records, NAMES, whole=search.whole)


@pytest.fixture
def world() -> World:
    """Alice makes shop, on two hosts; Bob makes blog; Bob then changes shop, under another leader."""
    made = World()
    made.asked(M1, "alice", "r1", ticket="CHG-1")
    made.runs(H1, "shop.web.1.g3", A, "alice", "r1", 41)
    made.runs(H2, "shop.web.2.g3", B, "alice", "r1", 42)
    made.asked(M1, "bob", "r2", app="blog")
    made.runs(H1, "blog.web.1.g1", C, "bob", "r2", 43)
    made.asked(M2, "bob", "r3")
    made.did(H1, "container.stop", "shop.web.1.g3", A, "bob", "r3")
    return made


def containers(found: Trace) -> list[str]:
    return [each.container_id for each in found.containers]


def requests(found: Trace) -> list[str]:
    return [each.request_id for each in found.requests]


def test_a_person_leads_to_processes(world: World) -> None:
    found = world.trace("alice")
    assert requests(found) == ["r1"]
    (request,) = found.requests
    assert (request.master, request.ticket, request.generation) == ("m1", "CHG-1", 3)
    assert (request.outcome, request.places) == ("success", (Place(M1, 1), Place(M1, 2)))
    assert containers(found) == [A, B]
    first = found.containers[0]
    assert (first.host, first.instance, first.generation, first.by) == (
        "web1",
        "shop/web.1",
        3,
        "alice",
    )
    made, started, stopped = first.deeds
    assert [len(deed.places) for deed in first.deeds] == [2, 2, 2]
    assert made.places[0] == Place(H1, 1), "its intent, which had no container's id yet"
    assert (started.pid, stopped.by, stopped.request_id) == (41, "bob", "r3")


@pytest.mark.parametrize("what", [A, A[:12], "shop.web.1.g3"])
def test_a_container_leads_back_to_who_had_it_made(world: World, what: str) -> None:
    found = world.trace(what)
    assert containers(found) == [A]
    assert requests(found) == ["r1", "r3"], "who made it, and who stopped it"
    assert [each.by for each in found.requests] == ["alice", "bob"]
    assert found.requests[1].master == "m2"
    assert len(found.containers[0].deeds[0].places) == 2


@pytest.mark.parametrize(
    ("what", "expected", "asked"),
    [
        ("r1", [A, B], ["r1"]),
        ("CHG-1", [A, B], ["r1"]),
        ("shop", [A, B], ["r1", "r3"]),
        ("blog", [C], ["r2"]),
        ("bob", [C, A], ["r2", "r3"]),
        ("nobody", [], []),
        ("sho", [], []),
    ],
)
def test_other_names_lead_there_too(
    world: World, what: str, expected: Sequence[str], asked: Sequence[str]
) -> None:
    found = world.trace(what)
    assert (sorted(containers(found)), requests(found)) == (sorted(expected), asked)


def test_the_master_that_passed_it_on_is_not_the_one_that_did_it(world: World) -> None:
    entry = Entry(
        "request.apply", "shop", Stage.INTENT, Outcome.PENDING, "alice", Actor.HUMAN, "local",
        request_id="r9", fields={"forwarded_to": "m1"},
    )  # fmt: skip
    world.add(M2, entry)
    world.asked(M1, "alice", "r9")
    (request,) = world.trace("r9").requests
    assert (request.master, request.outcome, len(request.places)) == ("m1", "success", 3)


def test_who_approved_it_is_known(world: World) -> None:
    told = Entry(
        "app.applied", "shop", by="alice", actor=Actor.HUMAN, request_id="r1",
        fields={"approved_by": "bob"},
    )  # fmt: skip
    world.add(M1, told)
    assert [each.approved_by for each in world.trace("alice").requests] == ["bob"]


def test_an_intent_alone_is_pending(world: World) -> None:
    entry = Entry(
        "request.scale", "shop", Stage.INTENT, Outcome.PENDING, "eve", Actor.HUMAN, "local",
        request_id="r8",
    )  # fmt: skip
    world.add(M1, entry)
    (request,) = world.trace("eve").requests
    assert (request.outcome, request.kind) == ("pending", "request.scale")


def test_what_the_leader_does_by_itself_is_nobodys_request(world: World) -> None:
    orders = Entry("orders.given", "host web1", request_id="r1", fields={"app": "shop"})
    world.add(M1, orders)
    assert [each.by for each in world.trace("r1").requests] == ["alice"]
    del world.logs[M1][:2]
    assert world.trace("r1").requests == ()


def test_a_container_without_a_request_that_is_known_is_shown(world: World) -> None:
    del world.logs[M1]
    found = world.trace("shop")
    assert requests(found) == ["r3"]
    assert [(each.by, each.request_id) for each in found.containers] == [
        ("alice", "r1"),
        ("alice", "r1"),
    ]


def test_what_somebody_did_past_hullmark_to_a_container_stands_with_it(world: World) -> None:
    other = "d" * 64
    for container, subject in ((A, "shop/web.1"), (other, "byhand")):
        world.add(H1, Entry("unmanaged.exec", subject, by="unknown", container_id=container))
    (found,) = world.trace(A[:12]).containers
    assert [deed.kind for deed in found.deeds][-2:] == ["container.stop", "unmanaged.exec"]
    (alien,) = world.trace("byhand").containers
    assert (alien.container_id, alien.host, len(alien.deeds)) == (other, "web1", 1)


def test_what_a_host_refused_is_there_once(world: World) -> None:
    """There is no container of it, and the agent tries again."""
    world.asked(M1, "bob", "r4", app="bad")
    for reason in ("no (10-a.yaml:1)", "no (10-a.yaml:1)", "not so (10-a.yaml:2)"):
        entry = Entry(
            "volume.create", "bad_data", Stage.EVENT, Outcome.REFUSED, "bob", Actor.HUMAN,
            request_id="r4", reason=reason, fields={"app": "bad"},
        )  # fmt: skip
        world.add(H1, entry)
    for what in ("bad", "r4", "bob"):
        found = world.trace(what)
        assert "r4" in requests(found)
        assert [(each.host, each.times, each.reason) for each in found.failures] == [
            ("web1", 2, "no (10-a.yaml:1)"),
            ("web1", 1, "not so (10-a.yaml:2)"),
        ]
    assert not world.trace("shop").failures


def test_a_change_that_waited_and_a_break_glass_lead_to_what_was_done(world: World) -> None:
    approval = Entry("request.approve", "change d536105f", by="bob", actor=Actor.HUMAN)
    world.add(M1, replace(approval, request_id="r5"))
    broken = {"break_glass": "f0189727"}
    world.add(M1, Entry("app.applied", "shop", by="alice", fields=broken, request_id="r1", actor=Actor.HUMAN))  # fmt: skip
    assert requests(world.trace("d536105f")) == ["r5"]
    assert requests(world.trace("f0189727")) == ["r1"]
    assert containers(world.trace("f0189727")) == [A, B]


def test_what_is_too_much_is_cut_and_said(world: World) -> None:
    found = world.trace("shop", most=3)
    assert (found.whole, len(found.logs)) == (False, 2)


@given(st.text(min_size=1, max_size=70))
def test_whatever_is_named_there_is_an_end(what: str) -> None:
    made = World()
    made.asked(M1, what[:10], "r1")
    made.runs(H1, "shop.web.1.g3", A, what[:10], "r1", 41)
    found = made.trace(what)
    assert set(containers(found)) <= {A}
