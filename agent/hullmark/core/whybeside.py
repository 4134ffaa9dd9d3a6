"""Where a service is reached with no proxy at all: by containers beside its own, on a network of both, by the engine's own names."""

from __future__ import annotations

from collections.abc import Iterable

from hullmark.core.askers import networks_of
from hullmark.core.whycase import Case
from hullmark.core.whyinstances import served
from hullmark.model.directory import ServiceName
from hullmark.model.records import AppRecord


def beside_all(case: Case, record: AppRecord, service: str) -> frozenset[str]:
    """Ids of the hosts without a proxy where it serves, if all that is known to need it is beside it there; else none."""
    name = ServiceName(record.app.name, service)
    beside = (one for one in record.app.services if one != service)
    near = (one for one in beside if _common(record, service, ServiceName(name.app, one)))
    hosts = _without_proxy(case, record, service, near)
    return hosts if case.needing(name).keys() <= hosts - case.apart(name) else frozenset()


def beside_caller(
    case: Case, record: AppRecord, service: str, caller: ServiceName
) -> frozenset[str]:
    """Ids of the hosts without a proxy where it serves, if this caller is on a network with it; else none."""
    common = _common(record, service, caller)
    return _without_proxy(case, record, service, [caller.service]) if common else frozenset()


def engine_names(record: AppRecord, service: str, caller: ServiceName) -> tuple[str, ...]:
    """By which engines answer this caller with the instances beside it that are on a network with it, at any port of theirs, UDP too; a hosts file comes
    first, so not those that the caller has for something else."""
    common = _common(record, service, caller)
    if not common:
        return ()
    spec = record.app.services[caller.service].container
    taken = {text.partition(":")[0].strip() for text in spec.extra_hosts} | {spec.hostname}
    aliases = networks_of(record, record.app.services[service])
    known = [service, *(alias for key in sorted(common) for alias in aliases[key])]
    return tuple(name for name in dict.fromkeys(known) if name not in taken)


def serving_hosts(case: Case, record: AppRecord, service: str) -> frozenset[str]:
    """Ids of those where it is seen to serve."""
    return frozenset(item.host_id for item in served(case, record, service))


def unheard_hosts(case: Case, record: AppRecord, service: str) -> frozenset[str]:
    """Ids of those that have instances of it and are not heard."""
    placed = case.survey.roster.placed(record.app.name, service)
    return frozenset(item.host_id for item in placed if case.survey.is_unheard(item))


def _common(record: AppRecord, service: str, caller: ServiceName) -> frozenset[str]:
    """Keys of the app's own networks that both are on."""
    calling = record.app.services.get(caller.service) if caller.app == record.app.name else None
    if calling is None:
        return frozenset()
    there = networks_of(record, record.app.services[service])
    return frozenset(networks_of(record, calling).keys() & there.keys())


def _without_proxy(
    case: Case, record: AppRecord, service: str, calling: Iterable[str]
) -> frozenset[str]:
    """Where no container of these services knows it by its address: a proxy that is down is one all the same to who was made while it was there."""
    if not networks_of(record, record.app.services[service]):
        return frozenset()
    serving = serving_hosts(case, record, service)
    hosts = frozenset(one for one in serving if not case.survey.facts(one).proxy_version)
    if not hosts:  # mostly, and what calls it need not be looked at
        return hosts
    placed = (item for one in calling for item in case.survey.roster.placed(record.app.name, one))
    named = {item.host_id for item in placed if item.status is not None and item.status.named}
    return hosts - named
