"""What the fake master answers: a small cluster with one app."""

from __future__ import annotations

import dataclasses
from typing import Any

from hullmark.model.api import (
    AppDetail,
    AppSummary,
    ClusterStatus,
    HostGroup,
    HostView,
    InstanceView,
    LogRecord,
    ServiceView,
)
from hullmark.model.change import Change
from hullmark.model.host import HostFacts
from hullmark.model.observed import Health, HostProblem, InstanceStatus, Phase
from hullmark.model.orders import InstanceId, PublishedPort

CHANGE = Change("anna", "r1", 1700000000.0, "CHG-881")
STATUS = ClusterStatus(
    "c1", "ok", "m1", "1.4", 90.0, "sqlite", 1, 1, 1, 1, "0.1.0", hosts=(HostGroup("ok", 1),)
)
FACTS = HostFacts("web3", "Debian 12", "6.1", "x86_64", 4, 8 << 30, "0.1.0", "docker", "26.1")
HOST = HostView("h1", "web3", "ready", 0.4, 2, {"scope": "cde"}, FACTS)
PROBLEM = HostProblem("state.write", "no space left on /var/lib", "df /var/lib")


def instance(
    slot: int = 1, phase: Phase = Phase.RUNNING, why: str = "", generation: int = 1, **more: Any
) -> InstanceView:
    found = InstanceId("shop", "web", slot, generation)
    status = InstanceStatus(
        found,
        phase,
        Health.HEALTHY if phase is Phase.RUNNING else Health.NONE,
        container_id="c1",
        image="localhost/web:1",
        started_at=1700000000.0,
        ports=(PublishedPort(80, 49153 + slot),),
    )
    view = InstanceView(str(found), "shop", "web", slot, generation, "web3", status=status, why=why)
    return dataclasses.replace(view, **more)


def summary(state: str = "running", generation: int = 1, serving: int = 2) -> AppSummary:
    service = ServiceView("web", "localhost/web:1", "", 1, 2, serving, serving)
    return AppSummary("shop", state, generation, CHANGE, (service,))


def detail(
    version: int = 1,
    state: str = "running",
    generation: int = 1,
    instances: tuple[InstanceView, ...] = (),
) -> AppDetail:
    serving = sum(item.status is not None and item.status.serving for item in instances)
    return AppDetail(
        summary(state, generation, serving),
        version,
        settled=state == "running",
        failed=state == "failed",
        instances=instances,
    )


def line(text: str, stream: str = "stdout", slot: int = 1) -> LogRecord:
    return LogRecord(f"shop/web.{slot}", "web3", stream, "2026-11-24T01:30:00.5Z", text)
