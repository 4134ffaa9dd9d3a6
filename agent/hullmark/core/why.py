"""Why a service can't be reached: the way to it walked link by link, from what the leader knows and what hosts' proxies say.

    master ─ store ─ app ─ placement ─ agent ─ orders ─ engine ─ container ─ address ─ proxy ─ directory ─ members ─ between hosts ─ published port

Of one that calls, after the app its right and itself, after the address the names that it knows; of hosts then its own, and no published ports.

The first broken link is mostly the cause of those after it. What is broken for one host or instance while others serve makes a service
degraded, not broken.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Optional

from hullmark.core.serviceports import has_address, may_serve
from hullmark.core.serviceview import reach_of, why_no_address
from hullmark.core.whybeside import (
    beside_all,
    beside_caller,
    engine_names,
    serving_hosts,
    unheard_hosts,
)
from hullmark.core.whycaller import caller_of, no_address, refused
from hullmark.core.whycase import Case
from hullmark.core.whyinstances import instance_links, serves_or_unheard
from hullmark.core.whylinks import (
    broken,
    first_broken,
    ok,
    partly,
    together,
    unknown,
    verdict,
    worst,
)
from hullmark.core.whypaths import Paths, path_links
from hullmark.core.whypublished import hints, published_links, spots_of, unheard_notes
from hullmark.model.directory import ServiceName
from hullmark.model.records import AppRecord
from hullmark.model.why import Found, Link, ServiceWhy, Step, Why

BEFORE_ADDRESS = (Step.AGENT, Step.ORDERS, Step.ENGINE, Step.CONTAINER, Step.PLACEMENT)


def why(case: Case, app: str, service: str = "", caller: Optional[ServiceName] = None) -> Why:
    """Of one service, or of all of the app's; for all that call, or for one. What doesn't exist is a broken link, not an error."""
    links = list(_master(case))
    record = case.snapshot.apps.get(app)
    found = _app_link(case, record, app, service)
    links.append(found)
    services: Sequence[ServiceWhy] = ()
    if record is not None and found.found is Found.OK:
        names = [service] if service else sorted(record.app.services)
        if caller is None:
            services = [_service(case, record, name) for name in names]
        else:
            services = [_from_caller(case, record, name, caller) for name in names]
    told = _told(app, links, services)
    return told if caller is None else dataclasses.replace(told, caller=str(caller))


def with_links(told: Why, before: Sequence[Link], found: Mapping[str, Sequence[Link]]) -> Why:
    """The same way with what the caller saw itself: links before all others, and `found` of services by name, after theirs."""
    services = []
    for item in told.services:
        links = (*item.links, *found.get(item.service, ()))
        services.append(dataclasses.replace(item, links=links, verdict=verdict(links)))
    made = _told(told.app, (*before, *told.links), services)
    return dataclasses.replace(made, caller=told.caller)


def _told(app: str, links: Sequence[Link], services: Sequence[ServiceWhy]) -> Why:
    every = worst([verdict(links), *(item.verdict for item in services)])
    firsts = [first_broken(part) for part in (links, *(item.links for item in services))]
    hurt = [found for item, found in zip(services, firsts[1:]) if item.verdict is every]
    text, then, place = next((found for found in (firsts[0], *hurt) if found[0]), ("", "", ""))
    return Why(app, every, tuple(links), tuple(services), text, then, next_on=place)


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
    may = serves_or_unheard(case, record, name)
    paths = path_links(case, record, name, beside_all(case, record, name))
    reach = reach_of(case.survey, record, name)
    published = published_links(case, record, reach)
    answers = any(link.found is not Found.BROKEN for link in published)
    way = may and paths.whole

    def is_part(link: Link) -> bool:
        if link.step in BEFORE_ADDRESS:
            return may
        return answers if link.step is Step.PUBLISHED else way

    links = partly(together([*instances, *paths.links, *published]), is_part)
    return ServiceWhy(name, verdict(links), links, spots_of(reach), hints(case, record, reach))


def _from_caller(case: Case, record: AppRecord, name: str, caller: ServiceName) -> ServiceWhy:
    """Where it can call nobody, or may not, the rest of the way is looked at all the same."""
    calling, called = caller_of(case, record, name, caller), ServiceName(record.app.name, name)
    instances = instance_links(case, record, name, calling.hosts)
    may = serves_or_unheard(case, record, name)
    rights = calling.links
    if has_address(record.app.services[name]):
        beside = beside_caller(case, record, name, caller)
        paths = path_links(case, record, name, beside, calling.hosts)
    else:
        paths = _by_engine(case, record, name, caller, calling.hosts)
        rights = [_no_right_helps(link, called) for link in rights]
    by_address = paths.whole and bool(calling.knowing - paths.broken_from)
    way = may and (by_address or bool(calling.beside))

    def is_part(link: Link) -> bool:
        if link.step is Step.RIGHT:
            return link.partly
        if link.step is Step.CALLER:
            return calling.partly
        if link.step is Step.NAMES and link.partly:
            return True
        return may if link.step in BEFORE_ADDRESS else way

    links = partly(together([*rights, *instances, *paths.links]), is_part)
    told = (*refused(case, called, calling), *unheard_notes(case, record, name))
    return ServiceWhy(name, verdict(links), links, hints=told)


def _by_engine(
    case: Case, record: AppRecord, name: str, caller: ServiceName, callers: frozenset[str]
) -> Paths:
    """Of a service without an address: from hosts where it serves beside this caller, on a network of both, the engine's own names lead to it."""
    service = record.app.services[name]
    known = engine_names(record, name, caller) if may_serve(service) else ()
    heard = {host_id for host_id in callers if case.is_ready(host_id)}
    near = serving_hosts(case, record, name) & heard if known else set()
    untold = unheard_hosts(case, record, name) & callers if known else set()
    none = f"none: {why_no_address(service)}"
    if not (near or untold):
        return Paths([no_address(record, name)], False)
    beside = f"{none}; beside it on its host {', '.join(known)} leads to it, by the engine's own names, also for UDP"
    links = [ok(Step.ADDRESS, beside, case.host(host_id)) for host_id in near]
    links += [unknown(Step.ADDRESS, beside, "", case.host(host_id)) for host_id in untold]
    why_none = f"{none}; and beside it on its host none serves"
    links += [no_address(record, name, why_none, case.host(one)) for one in heard - near]
    return Paths(links, True, frozenset(heard - near))


def _no_right_helps(link: Link, called: ServiceName) -> Link:
    """To use what has no address is refused by a plan: that it has none is the cause."""
    if link.step is not Step.RIGHT or link.found is not Found.BROKEN:
        return link
    return unknown(Step.RIGHT, f"none helps as long as {called} has no service address")


__all__ = ["Case", "why", "with_links"]
