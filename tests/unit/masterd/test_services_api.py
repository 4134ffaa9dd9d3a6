"""Services, the way to one, and where they answer: what a master says of them, and whom it asks."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hullmark.core.changes import changes
from hullmark.core.directory import tabled
from hullmark.core.serviceview import Survey, reaches
from hullmark.masterd import carrying, services_api, why_api
from hullmark.model.epoch import Epoch
from hullmark.model.host import PROXY, HostFacts, Listener
from hullmark.model.observed import HostState, InstanceStatus, Phase
from hullmark.model.orders import InstanceId
from hullmark.model.protocol import PollAnswer
from hullmark.model.proxy import Down, PortTraffic, Traffic
from hullmark.model.services import EndpointsAnswer, EndpointsRequest, ServiceList
from hullmark.model.why import Found, Step, Verdict, Why
from hullmark.model.wire import from_wire, to_wire
from tests.unit.core.serviceworld import World, app, facts, service
from tests.unit.core.whyworld import whole
from tests.unit.masterd.serving import Host, Served, eventually, serve
from tests.unit.masterd.test_exec import lines
from tests.unit.masterd.test_logs import answer

WEB = {
    "container": {"image": "web:1", "pull_policy": "never", "networks": [{"network": "default"}]},
    "deploy": {"replicas": 2},
    "ports": [{"target": 80, "published_first": 8080, "published_last": 8080}],
}
APP = {"name": "shop", "services": {"web": WEB}, "networks": {"default": {}}}


class Agent:
    """A host's agent as far as a master sees it: it polls, accepts what it is told, runs what it is ordered, and says what its proxy carries."""

    def __init__(self, served: Served, host: Host, address: str) -> None:
        self.served, self.host = served, host
        self.facts = HostFacts(
            architecture="x86_64",
            cpus=4,
            memory_bytes=8 << 30,
            addresses=(address,),
            listeners=(Listener(8080, "tcp", address, PROXY),),
            proxy_version="2.6.12",
            proxy_address=address,
            proxy_port=7443,
        )
        self.state = HostState(self.facts)
        self.directory: dict[str, Any] = {}
        self.traffic: Any = None
        self.deaf = self.stubborn = False
        self._sequence = self._seen = 0
        self._before: Any = None

    async def live(self) -> None:
        while True:
            await self.turn()

    async def turn(self) -> None:
        await self._run_orders()
        known = await self.host.settled(tasks_seen=self._seen, hold_s=0.3)
        digest = self.directory.get("digest", "")
        status, told = await self.host.post("/agent/v1/poll", {**known, "directory": digest})
        assert status == 200, told
        found = from_wire(PollAnswer, told)
        if found.directory_changed and not self.stubborn:
            status, kept = await self.host.post("/agent/v1/directory", {})
            assert status == 200, kept
            self.directory = kept["directory"]
        self._seen = found.tasks_last
        for task in found.tasks:
            if not self.deaf:
                assert task.kind == "traffic"
                said = self.traffic if self.traffic is not None else self.carried()
                line = said if isinstance(said, dict) else to_wire(said)
                await answer(self.served, self.host, to_wire(task), lines([line]))

    async def _run_orders(self) -> None:
        _, told = await self.host.post("/agent/v1/orders", {})
        instances = {}
        for item in told["orders"].get("assignments", []):
            instance = from_wire(InstanceId, item["instance"])
            instances[instance.container_name] = InstanceStatus(instance, Phase.RUNNING)
        revision = told["orders"].get("revision", 0)
        state = HostState(self.facts, instances, accepted_revision=revision)
        await self.report(state)

    async def report(self, state: HostState) -> None:
        if self._before is None:
            await self.host.post("/agent/v1/poll", {"run": "run-1", "hold_s": 0})
        if state == self._before:
            return
        self._sequence += 1
        made = changes(
            self._before,
            state,
            host_id=self.host.host_id,
            run="run-1",
            sequence=self._sequence,
            epoch=Epoch(1, 1),
            events=(),
        )
        self._before = state
        status, told = await self.host.post("/agent/v1/report", to_wire(made))
        assert (status, told.get("resend", False)) == (200, False)

    def carried(self, **more: Any) -> Traffic:
        """All members are up."""
        ports = []
        for entry in self.directory.get("services", []):
            number = 1 + len(entry.get("elsewhere", []))
            known = {"up": number, "members": number, "connections": 3, **more}
            traffic = from_wire(PortTraffic, {"name": entry["name"], "port": 80})
            ports.append(dataclasses.replace(traffic, **known))
        return Traffic(tuple(ports), strangers=5)


async def two(served: Served) -> list[Agent]:
    """Two hosts with the app, both settled."""
    agents = [
        Agent(served, await served.enroll(f"h{number}"), f"10.0.0.{number}") for number in (1, 2)
    ]
    for agent in agents:
        await agent.report(agent.state)
    status, told = await served.local("PUT", "/v1/apps/shop", {"app": APP, "request_id": "r1"})
    assert status == 200, told
    return agents


def with_two(tmp_path: Path, test: Any) -> None:
    async def run(served: Served) -> None:
        agents = await two(served)
        lives = [asyncio.ensure_future(agent.live()) for agent in agents]

        async def settled() -> bool:
            found = await served.read(Why, "/v1/apps/shop/why?service=web")
            links = [link for service in found.services for link in service.links]
            told = {host for link in links if link.step is Step.MEMBERS for host in link.hosts}
            steps = {link.step for link in links}
            return (found.verdict, told) == (Verdict.OK, {"h1", "h2"}) and Step.BETWEEN in steps

        try:
            await eventually(settled, "the service serves")
            await test(served, agents)
        finally:
            for life in lives:
                life.cancel()
            done = await asyncio.gather(*lives, return_exceptions=True)
        for error in done:
            if not isinstance(error, asyncio.CancelledError):
                raise error  # type: ignore[misc]

    serve(tmp_path, run)


def test_services_the_way_to_one_and_where_they_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "WITHIN_S", 30.0)  # on a machine that has no time for it, too

    async def test(served: Served, agents: list[Agent]) -> None:
        found = await served.read(ServiceList, "/v1/services?app=shop&service=web&traffic=true")
        (web,) = found.services
        assert web.address.startswith("10.214.")
        assert (web.ports, web.wanted, web.serving) == ((80,), 2, 2)
        assert [share.host for share in web.hosts] == ["h1", "h2"]
        assert [spot.address for spot in web.published[0].spots] == ["10.0.0.1", "10.0.0.2"]
        assert [(one.host, one.ports[0].connections) for one in found.traffic] == [
            ("h1", 3),
            ("h2", 3),
        ]
        assert [one.strangers for one in found.traffic] == [5, 5]
        assert (found.asked, found.silent) == (True, ())

        way = await served.read(Why, "/v1/apps/shop/why?service=web")
        assert (way.verdict, way.first) == (Verdict.OK, "")
        (service,) = way.services
        assert {link.step for link in service.links} >= {Step.MEMBERS, Step.BETWEEN}
        assert service.spots == web.published[0].spots

        own = await served.read(Why, "/v1/apps/shop/why?service=web&caller=shop/web")
        assert (own.verdict, own.caller) == (Verdict.OK, "shop/web")
        (service,) = own.services
        members = [link.hosts for link in service.links if link.step is Step.MEMBERS]
        assert members == [("h1", "h2")], "their proxies were asked"

        told = await where(agents[0])
        assert (told.ready, told.same, told.leader.partition("@")[0]) == (True, False, "m1")
        assert told.services == found.services
        again = await where(agents[0], told.digest)
        assert (again.same, again.services) == (True, ())

        down = (Down(agents[1].host.host_id, "L4TOUT"),)
        agents[0].traffic = agents[0].carried(up=1, down=down)
        found = await served.read(ServiceList, "/v1/services?traffic=true")
        assert found.traffic[0].ports[0].down == (Down("h2", "L4TOUT"),), "its name, not its id"

    with_two(tmp_path, test)


async def where(agent: Agent, digest: str = "") -> EndpointsAnswer:
    status, told = await agent.host.post("/agent/v1/endpoints", {"digest": digest})
    assert status == 200, told
    return from_wire(EndpointsAnswer, told)


def test_a_host_that_does_not_say_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "WITHIN_S", 1.0)

    async def test(served: Served, agents: list[Agent]) -> None:
        agents[0].deaf = True
        agents[1].traffic = Traffic(why="its socket is not there")
        found = await served.read(ServiceList, "/v1/services?traffic=true")
        assert found.traffic == ()
        assert found.silent == (
            "h1: its agent did not answer in time",
            "h2: its socket is not there",
        )

    with_two(tmp_path, test)


def test_what_is_not_there(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        assert (await served.local("GET", "/v1/services")) == (200, {})
        status, told = await served.local("GET", "/v1/services?app=none")
        assert (status, told["message"]) == (404, "there is no app none")
        found = await served.read(Why, "/v1/apps/none/why")
        assert (found.verdict, found.first) == (Verdict.BROKEN, "app: there is no app none")
        found = await served.read(Why, "/v1/apps/none/why?service=a&caller=shop/web")
        assert (found.verdict, found.caller) == (Verdict.BROKEN, "shop/web")

    serve(tmp_path, test)


def test_a_host_that_does_not_take_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(why_api, "SETTLES_S", 0.5)

    async def test(served: Served, agents: list[Agent]) -> None:
        agents[0].stubborn = True
        body = {"services": {"web": 1}, "request_id": "r2"}
        assert (await served.local("POST", "/v1/apps/shop/scale", body))[0] == 200

        async def told() -> bool:
            found = await served.read(Why, "/v1/apps/shop/why?service=web")
            (service,) = found.services
            broken = [link for link in service.links if link.found is Found.BROKEN]
            return [(link.step, link.hosts) for link in broken] == [(Step.DIRECTORY, ("h1",))]

        await eventually(told, "once it has had its time, the host is named")

    with_two(tmp_path, test)


def test_a_leader_that_has_not_heard_all_hosts_says_nothing_of_where_services_answer() -> None:
    """It would empty the files of hosts whose services are all well."""
    record = SimpleNamespace(epoch=Epoch(1, 2), leader="m1@x")
    directories = SimpleNamespace(table=None)
    cluster = SimpleNamespace(
        snapshot=lambda: whole().snapshot, directories=directories, leader_record=record
    )
    desk: Any = SimpleNamespace(cluster=cluster)
    call: Any = SimpleNamespace(body=EndpointsRequest())
    found = asyncio.run(services_api.endpoints(desk, call))
    assert (found.ready, found.services) == (False, ())
    directories.table = whole().survey.table
    found = asyncio.run(services_api.endpoints(desk, call))
    assert found.ready
    assert [str(one.name) for one in found.services] == ["shop/api", "shop/web"]


def test_with_many_services_the_master_answers_others_while_it_looks_at_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is called in a thread of its own is not called by the one that serves everybody."""
    there = []

    def noted(*args: Any) -> Any:
        there.append(threading.current_thread() is threading.main_thread())
        return reaches(*args)

    monkeypatch.setattr(services_api, "reaches", noted)
    case = whole()
    cluster = SimpleNamespace(
        snapshot=lambda: case.snapshot,
        directories=SimpleNamespace(table=case.survey.table),
        leader_record=SimpleNamespace(epoch=Epoch(1, 2), leader="m1@x"),
    )
    desk: Any = SimpleNamespace(cluster=cluster)
    query = {"app": "shop", "service": "", "traffic": False}
    call: Any = SimpleNamespace(body=EndpointsRequest(), query=query)
    listed = asyncio.run(services_api.services(desk, call))
    answered = asyncio.run(services_api.endpoints(desk, call))
    assert listed.services == answered.services != ()
    assert there == [False, False]


def test_each_proxy_is_asked_as_each_may_have_refused_somebody() -> None:
    world = World([app("shop", db=service("front")), app("far", one=service("front"))], hosts=4)
    world.run("h1", "shop/db")
    world.run("h2", "far/one")
    world.facts["h3"] = facts(3, proxy=False)
    snapshot = world.snapshot()
    survey = Survey.of(snapshot, tabled(snapshot))
    found = reaches(survey, "shop", "db")
    assert services_api.carriers(survey, found) == (["h1", "h2", "h4"], [])
    world.facts["h1"] = facts(1, proxy=False)
    snapshot = world.snapshot()
    survey = Survey.of(snapshot, tabled(snapshot))
    asked, silent = services_api.carriers(survey, found)
    assert (asked, [one.partition(":")[0] for one in silent]) == (["h2", "h4"], ["h1"])
