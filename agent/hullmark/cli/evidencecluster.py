"""What masters give for a pack: records of all logs, what vouches for them, incidents, inventory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Optional, TypeVar

from hullmark.cli import auditheads
from hullmark.cli.client import Client
from hullmark.cli.evidencemaking import AFTER_S, BEFORE_S, SUMMED_S, Gathered, Period
from hullmark.cli.logparts import Part, filled, new_part
from hullmark.cli.options import Asked
from hullmark.errors import HullmarkError, InvalidInput, NotFound, UsageError
from hullmark.evidence import tables
from hullmark.model.api import AppList, ClusterStatus, HostList, HostView, InstanceList
from hullmark.model.auditline import place_of
from hullmark.model.evidence import RoleList
from hullmark.model.incidentapi import IncidentList, IncidentView
from hullmark.model.moments import moment
from hullmark.model.outage import Incident
from hullmark.model.people import TokenList
from hullmark.model.ports import PortList

AUDIT = "/v1/audit"
SLOW_S = 300.0
T = TypeVar("T")


def gather(asked: Asked, client: Client, host: str, when: Period, folder: Path) -> Gathered:
    """`host` empty: all of them. Raises UsageError for a host that isn't there, and what `client` raises."""
    status = client.ask(ClusterStatus, "/v1/status")
    hosts = client.ask(HostList, "/v1/hosts").hosts
    chosen = _chosen(hosts, host)
    found = Gathered(
        f"cluster {status.cluster_id}", {f"host:{one.host_id}": one.name for one in chosen}
    )
    logs = {**found.hosts, **{f"master:{one.name}": one.name for one in status.masters}}
    for log, name in logs.items():
        _records(client, found, new_part(log, name, folder), when)
    vouch(asked, client, found)
    _inventory(client, found, chosen)
    return found


def records_of(asked: Asked, client: Client, host: str, when: Period, folder: Path) -> Gathered:
    """One host's, with what masters vouch for, and nothing else."""
    chosen = _chosen(client.ask(HostList, "/v1/hosts").hosts, host)
    found = Gathered(host, {f"host:{one.host_id}": one.name for one in chosen})
    for log, name in found.hosts.items():
        _records(client, found, new_part(log, name, folder), when)
    vouch(asked, client, found)
    return found


def _chosen(hosts: tuple[HostView, ...], host: str) -> tuple[HostView, ...]:
    chosen = tuple(one for one in hosts if host in ("", one.name, one.host_id))
    if host and not chosen:
        known = ", ".join(one.name for one in hosts) or "none"
        raise UsageError(f"there is no host {host[:80]}", remedy=f"hosts of this cluster: {known}")
    return chosen


def _records(client: Client, found: Gathered, part: Part, when: Period) -> None:
    """Of the period and what is needed around it. A log whose times go back and forth is asked for whole."""
    around = {
        "log": part.log,
        "since": moment(max(0.0, when.begins - BEFORE_S)),
        "until": moment(when.ends + AFTER_S),
    }
    try:
        filled(part, client.raw_lines(AUDIT, around), when.ends + SUMMED_S)
        if part.gaps:
            part.begin_anew()
            filled(part, client.raw_lines(AUDIT, {"log": part.log}), when.ends + SUMMED_S)
    except NotFound:
        pass
    found.parts.append(part)
    if part.last:
        found.vouched.use(part.log, part.used)
    else:
        found.remarks.append(f"{part.of}: masters have no records of it from this period")


def vouch(asked: Asked, client: Client, found: Gathered) -> None:
    """What each master that is named vouches for; records up to there are fetched."""
    try:
        for address, lines in auditheads.asked_each(asked):
            try:
                found.vouched.take(lines)
            except (HullmarkError, InvalidInput) as error:
                found.remarks.append(
                    f"what {address} vouches for is not in this pack: {error.message}"
                )
    except HullmarkError as error:
        found.remarks.append(f"what masters vouch for could not be asked: {error.message}")
    for part in found.parts:
        for line in _after(client, part, found.vouched.last(part.log)):
            part.put(line, 0.0)


def _after(client: Client, part: Part, wanted: int) -> Iterator[bytes]:
    """Records after those that are there, up to the wanted one."""
    if part.last >= wanted or not part.last:
        return
    for line in client.raw_lines(AUDIT, {"log": part.log, "since": part.last_at}):
        place = place_of(line)
        if place is not None and place.seq > part.last:
            yield line
        if place is None or place.seq >= wanted:
            return


def _inventory(client: Client, found: Gathered, chosen: tuple[HostView, ...]) -> None:
    names = {one.name for one in chosen}

    def ask(cls: type[T], path: str) -> Optional[T]:
        return _asked(client, found, cls, path)

    found.tables.append(tables.hosts(chosen))
    apps, instances = ask(AppList, "/v1/apps"), ask(InstanceList, "/v1/instances")
    ports, tokens, roles = (
        ask(PortList, "/v1/ports"),
        ask(TokenList, "/v1/tokens"),
        ask(RoleList, "/v1/people"),
    )
    incidents = ask(IncidentList, "/v1/incidents")
    if apps is not None:
        found.tables.append(tables.apps(apps.apps))
    if instances is not None:
        found.tables.append(tables.images(one for one in instances.instances if one.host in names))
    if ports is not None:
        found.tables.append(tables.ports(one for one in ports.ports if one.host in names))
    if tokens is not None:
        found.tokens = tokens.tokens
    if roles is not None:
        found.roles = [(f"{one.kind} {one.name}", one.role) for one in roles.roles]
    if incidents is not None:
        found.incidents = incidents_of(incidents)
        if incidents.more:
            found.remarks.append(
                "there are older incidents than masters show at once: those are not told of"
            )


def _asked(client: Client, found: Gathered, cls: type[T], path: str) -> Optional[T]:
    try:
        return client.ask(cls, path, hold_s=SLOW_S)
    except HullmarkError as error:
        found.remarks.append(
            f"{path} was not answered, and what it tells is not here: {error.message}"
        )
        return None


def incidents_of(found: IncidentList) -> tuple[Incident, ...]:
    return tuple(incident_of(one) for one in found.incidents if not one.merged_into)


def incident_of(one: IncidentView) -> Incident:
    outages = {each.outage_id: each for each in one.outages}
    return Incident(
        one.number, one.function, outages, one.acknowledged_by, one.acknowledged_at, one.notes
    )
