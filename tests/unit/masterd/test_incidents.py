"""What a leader makes of its hosts' outages and silence, and what another leader finds of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from typing import Callable, Optional

import pytest

from hullmark.core.outagealerts import DAY_S
from hullmark.errors import Conflict, InvalidInput, NotFound
from hullmark.masterd import incidents as module
from hullmark.masterd.cluster import Cluster
from hullmark.masterd.incidentnotes import told
from hullmark.masterd.incidents import REMOVED, UNTOLD, key_of
from hullmark.masterd.view import encode
from hullmark.model.alert import Alert, AlertWord
from hullmark.model.change import Change
from hullmark.model.control import Framework, Mode, Posture, Requirement
from hullmark.model.event import Event
from hullmark.model.hostlife import MaintenanceRequest, RemoveHostRequest
from hullmark.model.incidentapi import AcknowledgeRequest, IncidentView, NoteRequest
from hullmark.model.outage import NOTES, Incident, IncidentRecord, Outage
from hullmark.store.memory import MemoryStore
from hullmark.store.protocol import Put
from tests.unit.masterd.leading import FakeAgent, cluster_on, enroll, prepared_store

FRAMEWORK = Framework(
    "f",
    "F",
    (
        Requirement("10.2.1", "", "direct", ("trail",)),
        Requirement("10.7.2", "", "direct", ("host",)),
    ),
)
POSTURE = Posture("h1", Mode.RUN, {}, 0.0)
BOB = Change("bob", "r-9", 2000.0)


def outage(name: str = "o1", began: float = 1000.0, **more: object) -> Outage:
    made = Outage(name, "its own name", "trail-auditd", "trail", "Audit trail", began, "stopped")
    return replace(made, **more)  # type: ignore[arg-type]


@dataclass
class World:
    """A leader whose time stands until it is told to go on."""

    store: MemoryStore = field(default_factory=prepared_store)
    now: float = 1000.0
    alerts: list[Alert] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)
    arrive: bool = True
    agents: dict[str, FakeAgent] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ended: Callable[[Alert], None] = lambda _alert: None
        self.cluster: Cluster = self.leader()

    def leader(self) -> Cluster:
        return cluster_on(
            self.store,
            wall=lambda: self.now,
            clock=lambda: self.now,
            happened=self.told.append,
            framework=FRAMEWORK,
            alarm=self,
        )

    def send(self, alert: Alert) -> None:
        self.alerts.append(alert)
        if self.arrive:
            self.ended(alert)

    async def host(self, name: str, *outages: Outage) -> FakeAgent:
        record = await enroll(self.cluster, name, name.ljust(64, "s"))
        return await self.hear(record.host_id, *outages)

    async def hear(self, host_id: str, *outages: Outage) -> FakeAgent:
        """All of a host's state."""
        agent = FakeAgent(self.cluster, host_id, f"run-{len(self.agents)}-{self.now}")
        self.agents[host_id] = agent
        self.cluster.heard(host_id, agent.run)
        assert not await agent.report({}, full=True, outages=outages, posture=POSTURE)
        return agent

    async def say(self, agent: FakeAgent, *outages: Outage) -> None:
        self.cluster.heard(agent.host_id, agent.run)
        assert not await agent.report({}, outages=outages)

    async def look(self, after_s: float = 1.0) -> None:
        """In steps that are no stall."""
        while after_s > 0:
            self.now += min(1.0, after_s)
            after_s -= 1.0
            self.cluster._term.fleet.tick()
        await self.cluster._bureau.incidents.look()

    def incidents(self, **more: object) -> tuple[IncidentView, ...]:
        asked = {"only_open": False, "host": "", "since": 0.0, "before": 0, "limit": 100, **more}
        return self.cluster.incidentnotes.listed(**asked).incidents  # type: ignore[arg-type]

    def kinds(self, begins: str = "") -> list[str]:
        return [event.kind for event in self.told if event.kind.startswith(begins)]


def run(test: Callable[[World], Awaitable[None]], world: Optional[World] = None) -> None:
    async def within() -> None:
        made = World() if world is None else world
        await made.cluster.start()
        try:
            await test(made)
        finally:
            await made.cluster.stop()

    asyncio.run(within())


def test_from_a_hosts_outage_to_its_end() -> None:
    async def test(world: World) -> None:
        agent = await world.host("h1", outage())
        await world.look()
        (found,) = world.incidents()
        assert (found.number, found.state, found.function) == (1, "open", "trail")
        assert (found.outages[0].host, found.outages[0].requirements) == ("h1", ("10.2.1",))
        assert found.missing == ("end", *NOTES)
        await world.look()
        assert [one.word for one in world.alerts] == [AlertWord.BEGAN]
        assert world.alerts[0].incident == 1
        assert world.alerts[0].text.startswith("h1: Audit trail failed: stopped [10.2.1]")
        await world.say(agent, outage(ended=1005.0))
        await world.look()
        await world.look()
        assert [one.word for one in world.alerts] == [AlertWord.BEGAN, AlertWord.RECOVERED]
        (found,) = world.incidents()
        assert (found.state, found.ended, found.missing) == ("recovered", 1005.0, tuple(NOTES))
        assert world.kinds("incident.") == ["incident.began", "incident.recovered"]

    run(test)


def test_what_begins_at_once_on_many_hosts_is_one_incident_and_one_alert() -> None:
    async def test(world: World) -> None:
        for number in range(4):
            await world.host(f"h{number}", outage(f"o{number}", 1000.0 + number))
        await world.look()
        (found,) = world.incidents()
        assert len(found.outages) == 4
        (alert,) = world.alerts
        assert alert.more == tuple(f"h{number} trail-auditd" for number in (1, 2, 3))
        assert "(and 3 more: h1 trail-auditd, h2 trail-auditd" in alert.text
        await world.host("h9", outage("o9", 1003.0))
        await world.look()
        assert [one.outage.host for one in world.alerts] == ["h0", "h9"]
        await world.look()
        assert len(world.alerts) == 2

    run(test)


def test_a_silent_host_is_an_outage() -> None:
    async def test(world: World) -> None:
        agent = await world.host("h1")
        heard_at = world.now
        await world.look(7.0)
        assert world.incidents() == ()
        await world.look(3.0)
        (found,) = world.incidents()
        silent = found.outages[0]
        assert (silent.control_id, silent.function) == ("host-silent", "host")
        assert (silent.began, silent.passed_at) == (heard_at, heard_at)
        assert silent.requirements == ("10.7.2",)
        assert [one.word for one in world.alerts] == [AlertWord.BEGAN]
        world.cluster.heard("id-h1", agent.run)
        await world.look()
        assert world.incidents()[0].state == "open", "heard once"
        back_at = world.now
        await world.look()
        assert world.incidents()[0].ended == back_at
        assert world.kinds("outage.") == ["outage.began", "outage.recovered"]

    run(test)


def test_in_maintenance_outages_are_planned_and_nobody_is_alerted_until_it_is_over() -> None:
    async def test(world: World) -> None:
        agent = await world.host("h1")
        work = MaintenanceRequest(("h1",), 60.0, "m1", "CHG-7")
        await world.cluster.hostlife.start_maintenance(work, BOB)
        await world.say(agent, outage(began=world.now + 1.0))
        await world.look(9.0)
        found = {one.function: one for one in world.incidents()}
        assert {one.planned for one in found.values()} == {True}
        assert set(found) == {"trail", "host"}
        assert {one.outages[0].ticket for one in found.values()} == {"CHG-7"}
        assert world.alerts == []
        assert world.cluster.incidentnotes.numbers().open == 0
        assert world.cluster.incidentnotes.numbers().planned == 2
        await world.look(55.0)
        await world.cluster.hostlife.expire()
        await world.look()
        assert [(one.word, one.outage.function) for one in world.alerts] == [
            (AlertWord.LASTS, "trail")
        ]  # the host has its time to call before its silence is told
        assert world.alerts[0].text.endswith("(planned, CHG-7)")
        await world.look(9.0)
        assert [one.outage.function for one in world.alerts] == ["trail", "host"]

    run(test)


def test_another_leader_tells_nobody_twice_and_goes_on() -> None:
    async def test(world: World) -> None:
        await world.host("h1", outage())
        await world.look(1.0)
        await world.look(1.0)
        await world.cluster.stop()
        world.cluster = world.leader()
        await world.cluster.start()
        agent = await world.hear("id-h1", outage())
        await world.look()
        await world.look()
        assert [one.word for one in world.alerts] == [AlertWord.BEGAN]
        await world.say(agent, outage(ended=1004.0))
        await world.look()
        assert [one.word for one in world.alerts] == [AlertWord.BEGAN, AlertWord.RECOVERED]
        assert [one.number for one in world.incidents()] == [1]

    run(test)


def test_an_alert_that_was_on_its_way_goes_out_by_the_next_leader_with_the_same_id() -> None:
    async def test(world: World) -> None:
        world.arrive = False
        for name in ("h1", "h2"):
            await world.host(name, outage(f"o-{name}"))
        await world.look()
        await world.cluster.stop()
        world.arrive = True
        world.cluster = world.leader()
        await world.cluster.start()
        await asyncio.sleep(0)
        await world.look()
        first, second = world.alerts
        assert first == second
        assert first.more == ("h2 trail-auditd",)
        await world.look()
        record = world.cluster._term.view.incidents["1"]
        assert not any(told.waiting for told in record.alerted.values())

    run(test)


def test_each_day_until_somebody_acknowledges_it() -> None:
    async def test(world: World) -> None:
        await world.host("h1", outage())
        await world.look()
        world.now += DAY_S
        await world.look()
        assert [one.word for one in world.alerts if one.outage.function == "trail"] == [
            AlertWord.BEGAN,
            AlertWord.LASTS,
        ]
        notes = world.cluster.incidentnotes
        answer = await notes.acknowledge("1", AcknowledgeRequest("a1"), BOB)
        assert (answer.incident.state, answer.incident.acknowledged_by) == ("acknowledged", "bob")
        assert await notes.acknowledge("1", AcknowledgeRequest("a1"), BOB) == answer
        with pytest.raises(Conflict, match="was acknowledged by bob"):
            await notes.acknowledge("1", AcknowledgeRequest("a2"), BOB)
        before = len(world.alerts)
        world.now += DAY_S
        await world.look()
        assert len(world.alerts) == before

    run(test)


def test_a_record_is_complete_once_people_told_the_rest() -> None:
    async def test(world: World) -> None:
        await world.host("h1", outage(ended=1010.0))
        world.now = 1020.0
        await world.look()
        notes = world.cluster.incidentnotes
        with pytest.raises(InvalidInput, match="no such topic"):
            await notes.put_note("1", NoteRequest("n0", "x", "weather"), BOB)
        with pytest.raises(InvalidInput, match="characters"):
            await notes.put_note("1", NoteRequest("n0", "  ", "cause"), BOB)
        with pytest.raises(NotFound):
            await notes.put_note("7", NoteRequest("n0", "x", "cause"), BOB)
        for topic in NOTES:
            answer = await notes.put_note("1", NoteRequest(f"n-{topic}", "so it was", topic), BOB)
        assert (answer.incident.state, answer.incident.missing) == ("complete", ())
        assert [note.topic for note in answer.incident.notes] == list(NOTES)
        assert world.kinds("incident.noted") == ["incident.noted"] * len(NOTES)
        assert notes.shown("1").incident == answer.incident

    run(test)


def test_what_nobody_will_tell_the_end_of_ends() -> None:
    async def test(world: World) -> None:
        agent = await world.host("h1", outage("o1"), outage("o2", function="time"))
        await world.host("h2", outage("o3", function="firewall"))
        await world.look()
        assert len(world.incidents(only_open=True)) == 3
        await world.say(agent, outage("o2", function="time"))
        await world.cluster.hostlife.remove("h2", RemoveHostRequest("x1", force=True), BOB)
        await world.look()
        (left,) = world.incidents(only_open=True)
        assert left.function == "time"
        ends = {one.function: one.outages[0].reason for one in world.incidents() if one.ended}
        assert ends["trail"].endswith(UNTOLD)
        assert ends["firewall"].endswith(REMOVED)

    run(test)


def test_a_late_outage_that_bridges_two_makes_them_one() -> None:
    async def test(world: World) -> None:
        world.now = 9000.0
        await world.host("h1", outage("o1", 1000.0, ended=1100.0), outage("o2", 5000.0))
        await world.look()
        assert [one.number for one in world.incidents()] == [2, 1]
        await world.cluster.incidentnotes.acknowledge("2", AcknowledgeRequest("a1"), BOB)
        await world.host("h2", outage("o3", 1050.0, ended=4900.0))
        await world.look()
        second, first = world.incidents()
        assert (second.state, second.merged_into) == ("merged", 1)
        assert [one.outage_id for one in first.outages] == ["o1", "o3", "o2"]
        assert first.acknowledged_by == "bob"
        answer = await world.cluster.incidentnotes.put_note("2", NoteRequest("n1", "x"), BOB)
        assert answer.incident.number == 1, "who noted the old number is led to what it became"
        assert "incident.merged" in world.kinds()

    run(test)


def test_lists_are_of_what_was_asked_for() -> None:
    async def test(world: World) -> None:
        world.now = 9000.0
        old, lasting = outage("o1", 1000.0, ended=1100.0), outage("o2", 5000.0)
        await world.host("h1", old, lasting)
        await world.host("h2", outage("o3", 2000.0, ended=2100.0, function="time"))
        await world.look()
        numbers = {one.outages[0].outage_id: one.number for one in world.incidents()}
        assert [one.number for one in world.incidents(only_open=True)] == [numbers["o2"]]
        assert [one.number for one in world.incidents(host="h2")] == [numbers["o3"]]
        since = {one.outages[0].outage_id for one in world.incidents(since=2050.0)}
        assert since == {"o2", "o3"}
        assert [one.number for one in world.incidents(limit=1)] == [3]
        assert [one.number for one in world.incidents(before=3)] == [2, 1]

    run(test)


def test_closed_ones_are_pruned_and_that_is_told() -> None:
    async def test(world: World) -> None:
        old = Incident(0, "trail", {"x": outage("x", 10.0, ended=20.0)})
        for number in range(1, 6):
            record = IncidentRecord(replace(old, number=number))
            done = await world.cluster._term.leadership.commit(
                [], [Put(key_of(number), encode(record))]
            )
            assert done.succeeded
        world.now = 20.0 + module.CLOSED_KEPT_S + 1.0
        await world.look()
        assert list(world.cluster._term.view.incidents) == ["5"], "the highest number is kept"
        (event,) = [one for one in world.told if one.kind == "incidents.pruned"]
        assert event.fields["incidents"] == "1, 2, 3, 4"
        await world.host("h1", outage("new", world.now))
        await world.look()
        assert world.incidents()[0].number == 6

    run(test)


def test_no_more_closed_ones_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_MOST", 2)
    known = {
        number: IncidentRecord(
            Incident(number, "f", {"x": outage(ended=0.0 if number == 1 else 1100.0)})
        )
        for number in range(1, 6)
    }
    assert module._outdated(known, 2000.0) == [2, 3, 4]


def test_a_status_has_the_newest_reason_cut_short() -> None:
    first, over = outage("o1", 10.0), outage("o2", 30.0, ended=40.0, reason="over")
    newest = outage("o3", 20.0, reason="x" * 300)
    lasting = {one.outage_id: one for one in (first, newest, over)}
    text = told(Incident(1, "trail", lasting), 30.0)
    assert text == f"incident 1, since 20 s: trail on its own name: {'x' * 100}…"
    assert told(Incident(1, "trail", {"o1": replace(first, reason="")}), 30.0).endswith("name")


def test_the_status_says_it() -> None:
    async def test(world: World) -> None:
        await world.host("h1", outage())
        await world.look()
        world.now += 120.0
        world.cluster.heard("id-h1", world.agents["id-h1"].run)
        status = world.cluster.status()
        assert status.state == "degraded"
        assert status.incidents is not None
        assert (status.incidents.open, status.incidents.unacknowledged) == (1, 1)
        assert status.incidents.oldest_s == pytest.approx(121.0)
        assert "incident 1, since 2 min: trail on h1: stopped" in status.notes
        assert status.next == "hullmark outages show 1", "who sees it first looks at it first"
        assert world.cluster._term.snapshot().incidents == {"o1": 1}

    run(test)
