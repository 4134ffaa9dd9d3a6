"""How an app and its instances stand, in the words that tables and progress use."""

from __future__ import annotations

import time

from hullmark.cli.words import age, one_line
from hullmark.model.api import AppDetail, AppSummary, InstanceView
from hullmark.model.observed import Health, Phase
from hullmark.model.orders import PublishedPort


def numbers(app: AppSummary) -> tuple[int, int]:
    """(instances that serve or have completed, instances wanted)"""
    good = sum(
        service.completed if service.one_shot else service.serving for service in app.services
    )
    return good, sum(service.wanted for service in app.services)


def summary(detail: AppDetail) -> str:
    """`shop  generation 3  4 of 5`"""
    good, wanted = numbers(detail.summary)
    return f"{detail.summary.name}  generation {detail.summary.generation}  {good} of {wanted}"


def state(instance: InstanceView) -> str:
    """One word, or two: `running`, `unhealthy`, `backoff`; `was healthy` where nobody can say how it is now."""
    status = instance.status
    if instance.removing:
        return "removing"
    if status is None:
        return "not placed" if instance.unplaced else "waiting"
    if status.phase is Phase.RUNNING and status.health is not Health.NONE:
        word = str(status.health.value)
    else:
        word = str(status.phase.value)
    if status.phase is Phase.BACKOFF and instance.why.startswith("paused "):
        return "paused"
    return word if instance.seen else f"was {word}"


def told(instance: InstanceView) -> str:
    """State and reason in one line, with the name and host before them."""
    word, why = state(instance), one_line(instance.why)
    if why.startswith(word):
        word, why = why, ""
    place = f" on {instance.host}" if instance.host else ""
    return f"{instance.name}{place}: {word}" + (f": {why}" if why else "")


def ports(published: tuple[PublishedPort, ...]) -> str:
    """`0.0.0.0:8080->80/tcp`, without the parts that are as usual."""
    found = []
    for port in published:
        host = f"{port.host_ip}:" if port.host_ip not in ("", "0.0.0.0", "::") else ""
        protocol = "" if port.protocol == "tcp" else f"/{port.protocol}"
        found.append(f"{host}{port.published or '?'}->{port.target}{protocol}")
    return " ".join(dict.fromkeys(found))


def instance_row(instance: InstanceView) -> tuple[str, ...]:
    """name, host, state, age, restarts, ports"""
    status = instance.status
    since, restarts, published = "-", "-", ""
    if status is not None:
        running = status.phase is Phase.RUNNING
        at = status.started_at if running else status.finished_at
        since = age(time.time() - at) if at else "-"
        restarts = str(status.restarts)
        published = ports(status.ports)
    return instance.name, instance.host, state(instance), since, restarts, published
