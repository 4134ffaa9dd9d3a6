"""Why a service can't be reached: the way to it walked link by link, from what the leader knows and what hosts' proxies say.

    master ─ store ─ app ─ placement ─ agent ─ orders ─ engine ─ container ─ address ─ proxy ─ directory ─ members ─ between hosts ─ published port

The first broken link is mostly the cause of those after it. What is broken for one host or instance while others serve makes a service
degraded, not broken.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Optional

from hullmark.core.whycase import Case
from hullmark.core.whyinstances import instance_links, served
from hullmark.core.whylinks import (
    broken,
    first_broken,
    ok,
    partly,
    together,
    verdict,
    worst,
)
from hullmark.core.whypaths import path_links
from hullmark.core.whypublished import hints, published_links, spots_of
from hullmark.model.records import AppRecord
from hullmark.model.why import Found, Link, ServiceWhy, Step, Why

BEFORE_ADDRESS = (Step.AGENT, Step.ORDERS, Step.ENGINE, Step.CONTAINER, Step.PLACEMENT)


def why(case: Case, app: str, service: str = "") -> Why:
    """Of one service, or of all of the app's. What doesn't exist is a broken link, not an error."""
    links = list(_master(case))
    record = case.snapshot.apps.get(app)
    found = _app_link(case, record, app, service)
    links.append(found)
    services: Sequence[ServiceWhy] = ()
    if record is not None and found.found is Found.OK:
        names = [service] if service else sorted(record.app.services)
        services = [_service(case, record, name) for name in names]
    return _told(app, links, services)


def with_links(told: Why, before: Sequence[Link], found: Mapping[str, Sequence[Link]]) -> Why:
    """The same way with what the caller saw itself: links before all others, and `found` of services by name, after theirs."""
    services = []
    for item in told.services:
        links = (*item.links, *found.get(item.service, ()))
        services.append(dataclasses.replace(item, links=links, verdict=verdict(links)))
    return _told(told.app, (*before, *told.links), services)


def _told(app: str, links: Sequence[Link], services: Sequence[ServiceWhy]) -> Why:
    every = worst([verdict(links), *(item.verdict for item in services)])
    firsts = [first_broken(part) for part in (links, *(item.links for item in services))]
    hurt = [found for item, found in zip(services, firsts[1:]) if item.verdict is every]
    text, then = next((found for found in (firsts[0], *hurt) if found[0]), ("", ""))
    return Why(app, every, tuple(links), tuple(services), text, then)


def _master(case: Case) -> Sequence[Link]:
    leader = case.snapshot.leader
    found = [ok(Step.MASTER, f"{leader.master} leads, epoch {leader.epoch}")]
    if case.store_trouble:
        text = f"the store does not answer, so nothing can be changed: {case.store_trouble}"
        found.append(broken(Step.STORE, text, "hullmark status"))
        return partly(found, lambda link: True)  # what runs goes on
    return [*found, ok(Step.STORE, "it takes writes")]


def _app_link(case: Case, record: Optional[AppRecord], app: str, service: str) -> Link:
    if record is None:
        return broken(Step.APP, f"there is no app {app}", "hullmark apps")
    if record.removing:
        return broken(Step.APP, f"app {app} is being removed", f"hullmark ps {app}")
    if service and service not in record.app.services:
        names = ", ".join(sorted(record.app.services))
        return broken(Step.APP, f"app {app} has no service {service}, but {names}", "hullmark apps")
    return ok(Step.APP, f"generation {record.generation}")


def _service(case: Case, record: AppRecord, name: str) -> ServiceWhy:
    instances = instance_links(case, record, name)
    any_serves = bool(served(case, record, name))
    paths = path_links(case, record, name)
    published = published_links(case, record, name)
    answers = any(link.found is not Found.BROKEN for link in published)
    way = any_serves and paths.whole

    def is_part(link: Link) -> bool:
        if link.step in BEFORE_ADDRESS:
            return any_serves
        return answers if link.step is Step.PUBLISHED else way

    links = partly(together([*instances, *paths.links, *published]), is_part)
    spots, told = spots_of(case, record, name), hints(case, record, name)
    return ServiceWhy(name, verdict(links), links, spots, told)


__all__ = ["Case", "why", "with_links"]
