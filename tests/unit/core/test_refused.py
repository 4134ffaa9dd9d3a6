"""An instance that its host's policy refuses: waiting won't mend it, and it is told as what it is."""

from __future__ import annotations

import dataclasses

import pytest

from hullmark.core.explain import explanation
from hullmark.core.schedule import plan
from hullmark.core.standing import Standing
from hullmark.model.app import App, ContainerSpec, Service
from hullmark.model.observed import REFUSED_BY_POLICY, Phase
from tests.unit.core.test_lost_hosts import world_of

WHY = f"{REFUSED_BY_POLICY}privileged: not allowed here (50-pci.yaml:12)"


@pytest.mark.parametrize(("detail", "state"), [(WHY, "failed"), ("the engine said no", "degraded")])
def test_what_a_policy_refuses_has_failed(detail: str, state: str) -> None:
    world = world_of(1)
    world.apply(App("shop", {"web": Service(ContainerSpec("web"))}))
    world.pass_s(3.0)
    snapshot = world.snapshot()
    ((host_id, known),) = snapshot.observed.items()
    ((name, status),) = known.instances.items()
    refused = dataclasses.replace(status, phase=Phase.BACKOFF, detail=detail)
    seen = dataclasses.replace(known, instances={name: refused})
    snapshot = dataclasses.replace(snapshot, observed={host_id: seen})
    record = snapshot.apps["shop"]
    unplaced = plan(snapshot).unplaced
    standing = Standing(snapshot, unplaced)
    assert standing.summary(record).state == state
    assert [view.why for view in standing.instances("shop")] == [detail]
    (service,) = explanation(snapshot, unplaced, record).services
    (slot,) = service.slots
    mended = "h1, once its policy allows that, or the app doesn't ask for it"
    assert (slot.why, slot.nearest) == (detail, mended if state == "failed" else "")
