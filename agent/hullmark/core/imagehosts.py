"""Whom to ask what an image is, and what is said where nobody has it.

Not every host has an image that is on hosts only, or a registry's credentials. Those that run the app are asked first, then those that may run what is
made of the image.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Optional

from hullmark.core.constraints import failing, platform_fits
from hullmark.model.app import App, Service
from hullmark.model.observed import NO_STATE
from hullmark.model.protocol import ResolveAnswer
from hullmark.model.snapshot import Snapshot

NAMED_MOST = 5
"""Hosts that are named with one answer."""
NO_ANSWER = "no answer"


def ordered(
    snapshot: Snapshot, app: App, image: str, platform: str, ready: Iterable[str]
) -> list[str]:
    """Of hosts that can be asked, by their ids, the likeliest to have it first."""
    runs_it = {
        host_id
        for host_id, orders in snapshot.assignments.items()
        if any(item.instance.app == app.name for item in orders.assignments)
    }
    wanting = [one for one in app.services.values() if one.container.image == image]

    def rank(host_id: str) -> tuple[bool, bool]:
        may = any(_may_run(snapshot, host_id, service, platform) for service in wanting)
        return host_id not in runs_it, not may

    return sorted(ready, key=rank)


def _may_run(snapshot: Snapshot, host_id: str, service: Service, platform: str) -> bool:
    host = snapshot.hosts.get(host_id)
    facts = snapshot.observed.get(host_id, NO_STATE).facts
    constraints = service.deploy.placement.constraints
    fits = host is not None and failing(constraints, host, facts) is None
    return fits and platform_fits(platform, facts)


def refusal(
    snapshot: Snapshot, answers: Mapping[str, Optional[ResolveAnswer]], unasked: int
) -> ResolveAnswer:
    """One answer of all that were asked, none of which has it: which hosts said what. Where none has answered it is no error of the image's."""
    said: dict[str, list[str]] = defaultdict(list)
    for host_id, answer in answers.items():
        why = NO_ANSWER if answer is None else answer.error
        said[why].append(snapshot.host_name(host_id))
    told = "; ".join(f"{_listed(hosts)}: {why}" for why, hosts in said.items())
    told += f"; {unasked} more were not asked" if unasked else ""
    remedy = next((one.remedy for one in answers.values() if one is not None and one.remedy), "")
    if set(said) == {NO_ANSWER}:
        return ResolveAnswer(note=told)
    return ResolveAnswer(error=told, remedy=remedy)


def _listed(hosts: Sequence[str]) -> str:
    more = len(hosts) - NAMED_MOST
    return ", ".join(hosts[:NAMED_MOST]) + (f" and {more} more" if more > 0 else "")
