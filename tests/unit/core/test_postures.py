"""What is shown of hosts' controls: of one that is not heard, nothing as passing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hullmark.core.overview import host_views
from hullmark.core.postures import host_postures
from hullmark.model.api import HostView
from hullmark.model.control import (
    CANARY,
    CheckState,
    ControlState,
    Mode,
    Posture,
    Status,
)
from hullmark.model.observed import NO_STATE
from hullmark.model.outage import Outage
from tests.unit.core.fleets import one_host
from tests.unit.core.world import World


def control(name: str, status: Status) -> ControlState:
    check = CheckState("canary", status, level=CANARY if status is Status.PASS else -1)
    return ControlState(name, name, name, status, level=check.level, checks={"canary": check})


POSTURE = Posture(
    "web1",
    Mode.RUN,
    {
        "time": control("time", Status.PASS),
        "firewall": control("firewall", Status.FAIL),
        "aide": control("aide", Status.NOT_APPLICABLE),
    },
    at=0.0,
)
OUTAGE = Outage("o1", "web1", "firewall", "firewall", "Firewall", began=1.0, reason="flushed")


def view(state: str) -> HostView:
    return HostView("h1", "web1", state, None if state == "never" else 1.0, 0)


def shown(state: str):
    snapshot = replace(
        World({}).snapshot(),
        observed={"h1": replace(NO_STATE, posture=POSTURE, outages=(OUTAGE,))},
        incidents={"o1": 52, "another": 53},
    )
    (found,) = host_postures(snapshot, [view(state)])
    return found


def test_of_a_host_that_is_heard_all_is_shown() -> None:
    found = shown("ready")
    assert found.posture == POSTURE
    assert found.incidents == {"o1": 52}


@pytest.mark.parametrize("state", ["silent", "lost", "never"])
def test_of_one_that_is_not_nothing_passes_or_fails(state: str) -> None:
    controls = shown(state).posture.controls
    assert {name: one.status for name, one in controls.items()} == {
        "time": Status.NOT_RUN,
        "firewall": Status.NOT_RUN,
        "aide": Status.NOT_APPLICABLE,
    }
    assert controls["time"].level == -1
    assert controls["time"].checks["canary"].status is Status.NOT_RUN
    assert "not heard" in controls["time"].reason


def test_a_host_that_has_told_nothing_is_there_all_the_same() -> None:
    (found,) = host_postures(World({}).snapshot(), [view("ready")])
    assert found.posture is None


@pytest.mark.parametrize(
    ("heard", "word"), [((1.0,), "1 FAIL"), ((20.0,), "3 unproven"), ((), "3 unproven")]
)
def test_hosts_are_shown_with_what_their_controls_come_to(
    heard: tuple[float, ...], word: str
) -> None:
    world = one_host()
    (host_id,) = world.hosts
    told = {host_id: replace(NO_STATE, posture=POSTURE)}
    world = replace(
        world, observed=told, heard_s=dict.fromkeys(world.hosts, *heard) if heard else {}
    )
    (found,) = host_views(world, 10.0)
    assert found.controls is not None
    assert found.controls.word == word
    (found,) = host_views(replace(world, observed={host_id: NO_STATE}), 10.0)
    assert found.controls is None
