"""Controls of hosts by the API: who may read them, and how much a host that lies can make of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hullmark.core.changes import changes
from hullmark.masterd.posture_api import ROUTES
from hullmark.model.control import CheckState, ControlState, Mode, Posture, Status
from hullmark.model.epoch import Epoch
from hullmark.model.host import HostFacts
from hullmark.model.observed import HostState
from hullmark.model.outage import Outage
from hullmark.model.wire import to_wire
from tests.unit.masterd.serving import Host, Served, serve

STATE = HostState(facts=HostFacts(architecture="x86_64", cpus=4, memory_bytes=8 << 30))
HOSTILE = "\x1b[2J<script>alert(1)</script>\x00\u202e"
HELD_MOST = 6_000_000
"""Bytes of an answer about one host, however it lies."""


def control(name: str = "time-chrony", reason: str = "", **more: Any) -> ControlState:
    check = CheckState("canary", Status.PASS, 3, reason, since=9.0)
    return replace(
        ControlState(
            name, "time", "Time", Status.PASS, 3, reason, since=9.0, checks={"canary": check}
        ),
        **more,
    )


def posture(*controls: ControlState) -> Posture:
    return Posture("web1", Mode.RUN, {one.control_id: one for one in controls}, 0.0, enrolled=True)


class Agent:
    """Says what it is told to say, with the right digest."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.said: Any = None
        self.number = 0

    async def say(self, state: HostState, *, full: bool = False) -> tuple[int, bool]:
        """Status, and whether all of it is asked for again."""
        self.number = 1 if full else self.number + 1
        report = changes(
            None if full else self.said,
            state,
            host_id=self.host.host_id,
            run="run-1",
            sequence=self.number,
            epoch=Epoch(1, 1),
            events=(),
        )
        self.said = state
        status, answer = await self.host.post("/agent/v1/report", to_wire(report))
        return status, bool(answer.get("resend", False))


async def shown(served: Served) -> tuple[Mapping[str, Any], int]:
    """Of the one host, and how many bytes the answer has."""
    status, answer = await served.local("GET", "/v1/posture")
    assert status == 200
    (found,) = answer["hosts"]
    return found, len(json.dumps(answer))


async def begun(served: Served) -> Agent:
    agent = Agent(await served.enroll())
    await agent.host.post("/agent/v1/poll", {"run": "run-1", "hold_s": 0})
    assert await agent.say(replace(STATE, posture=posture(control())), full=True) == (200, False)
    found, _ = await shown(served)
    assert found["posture"]["controls"]["time-chrony"]["status"] == "pass"
    return agent


def test_what_is_too_much_is_refused_and_proves_nothing_any_more(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        agent = await begun(served)
        many = posture(*(control(f"x-{number}") for number in range(1500)))
        # Another digest than the agent's: all is asked for once, and not again and again.
        assert await agent.say(replace(STATE, posture=many)) == (200, True)
        assert await agent.say(replace(STATE, posture=many), full=True) == (200, False)
        found, size = await shown(served)
        assert found["posture"].get("controls", {}) == {}
        assert found["posture"]["problems"] == [
            "refused by the leader: 1500 controls, at most 1000"
        ]
        assert size < 2000
        _, hosts = await served.local("GET", "/v1/hosts")
        assert hosts["hosts"][0]["controls"] == {}
        assert await agent.say(replace(STATE, posture=posture(control()))) == (200, False)
        found, _ = await shown(served)
        assert found["posture"]["controls"]["time-chrony"]["status"] == "pass"

    serve(tmp_path, test)


def test_a_report_of_many_megabytes_is_not_read(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        agent = await begun(served)
        many = posture(*(control(f"x-{number}", "y" * 90_000) for number in range(100)))
        status, _ = await agent.say(replace(STATE, posture=many), full=True)
        assert status == 413
        found, _ = await shown(served)
        assert list(found["posture"]["controls"]) == ["time-chrony"]

    serve(tmp_path, test)


def test_long_texts_and_many_outages_are_cut(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        agent = await begun(served)
        loud = posture(*(control(f"x-{number}", "y" * 3000) for number in range(200)))
        outage = Outage("o", "web1", "time-chrony", "time", "Time", 9.0, HOSTILE * 70)
        outages = tuple(replace(outage, outage_id=f"o-{number}") for number in range(300))
        state = replace(STATE, posture=loud, outages=outages)
        assert await agent.say(state, full=True) == (200, False)
        found, size = await shown(served)
        assert len(found["posture"]["controls"]["x-0"]["reason"]) == 2000
        assert len(found["outages"]) == 100
        assert all(len(one["reason"]) == 2000 for one in found["outages"])
        assert size < HELD_MOST

    serve(tmp_path, test)


def test_names_and_times_that_are_none(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        agent = await begun(served)
        for odd in (
            control(HOSTILE),
            control(function=HOSTILE),
            control(since=1e15),
            control(level=99),
        ):
            status, _ = await agent.say(replace(STATE, posture=posture(odd)), full=True)
            assert status == 200
            found, _ = await shown(served)
            assert found["posture"].get("controls", {}) == {}
            (problem,) = found["posture"]["problems"]
            assert problem.isprintable()

    serve(tmp_path, test)


def test_who_may_read_them() -> None:
    (route,) = ROUTES
    assert {role.value for role in route.roles} == {"viewer", "auditor", "deployer", "admin"}


def test_an_agent_may_not_read_them(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        agent = await begun(served)
        url = f"https://127.0.0.1:{served.agents_port}/v1/posture"
        status, _ = await served.ask("GET", url, context=agent.host.context)
        assert status in (401, 403, 404)
        assert (await served.api("GET", "/v1/posture"))[0] == 401

    serve(tmp_path, test)
