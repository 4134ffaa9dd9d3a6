"""A service that is reached all the way, and changes to what is known of it: each breaks one link.

Three hosts with a proxy each: `shop/api` runs on h1 and h2, `shop/web`, which calls it, on h3. All of them answer port 8080 for `api`.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Mapping
from typing import Any, Optional

from hullmark.core.directory import all_heard, tabled
from hullmark.core.schedule import plan
from hullmark.core.serviceview import Survey
from hullmark.core.why import Case, why
from hullmark.model.app import (
    App,
    Attachment,
    ContainerSpec,
    DeploySpec,
    Network,
    PortSpec,
    Service,
)
from hullmark.model.directory import ServiceName
from hullmark.model.host import PROXY, HostFacts, HostRecord, Listener
from hullmark.model.observed import Health, HostProblem, HostState, InstanceStatus, Phase
from hullmark.model.orders import Assignment, InstanceId
from hullmark.model.proxy import PortTraffic, Traffic
from hullmark.model.records import HostAssignments
from hullmark.model.snapshot import Snapshot
from hullmark.model.why import Why
from tests.unit.core.fleets import CHANGE, CLUSTER, LEADER, next_record

API, WEB = ServiceName("shop", "api"), ServiceName("shop", "web")
HOSTS = {"id1": API, "id2": API, "id3": WEB}
SLOTS = {"id1": 1, "id2": 2, "id3": 1}
COMMANDS = ("docker", "hullmark", "journalctl", "pgrep", "podman", "ps", "ss", "systemctl")
ADDRESS, PUBLISHED = "10.214.0.2", 8080
BACK = (Attachment("back"),)


def app(replicas: int = 2) -> App:
    api = Service(
        ContainerSpec("api", expose=("80",), networks=BACK),
        DeploySpec(replicas=replicas),
        (PortSpec(80, PUBLISHED, PUBLISHED),),
    )
    web = Service(ContainerSpec("web", networks=BACK))
    return App("shop", {"api": api, "web": web}, {"back": Network()})


def facts(number: str) -> HostFacts:
    listeners = (Listener(PUBLISHED, "tcp", f"10.0.0.{number}", PROXY),)
    return HostFacts(
        addresses=(f"10.0.0.{number}",),
        listeners=listeners,
        proxy_version="2.6.12",
        proxy_address=f"10.0.0.{number}",
        proxy_port=7443,
    )


def instance(host_id: str) -> InstanceId:
    return InstanceId(HOSTS[host_id].app, HOSTS[host_id].service, SLOTS[host_id], 1)


def state(host_id: str) -> HostState:
    one = instance(host_id)
    status = InstanceStatus(one, Phase.RUNNING, Health.HEALTHY, container_id=f"c-{host_id}")
    return HostState(facts(host_id[2:]), {one.container_name: status})


def snapshot() -> Snapshot:
    return Snapshot(
        CLUSTER,
        LEADER,
        {"shop": next_record(None, app(), CHANGE)},
        {key: HostRecord(key, f"h{key[2:]}", 1.0) for key in HOSTS},
        {key: HostAssignments((Assignment(instance(key), "s"),)) for key in HOSTS},
        {key: state(key) for key in HOSTS},
        dict.fromkeys(HOSTS, 1.0),
        waited_s=100.0,
        now=1000.0,
        addresses={str(API): ADDRESS},
        address_range="10.214.0.0/16",
    )


def traffic(host_id: str) -> Traffic:
    return Traffic((PortTraffic(API, 80, ADDRESS, up=2, members=2),))


def whole() -> Case:
    traffics = {key: traffic(key) for key in HOSTS}
    return with_snapshot(Case(Survey.of(snapshot(), None), traffic=traffics))


# what may be otherwise


def with_snapshot(case: Case, **changes: Any) -> Case:
    """Planned anew: what has no place any more is told, and hosts have accepted what they were told."""
    changed = dataclasses.replace(case.snapshot, **changes)
    table = tabled(changed) if all_heard(changed) else None
    return dataclasses.replace(
        case,
        survey=Survey.of(changed, table),
        unplaced=plan(changed).unplaced,
        accepted={} if table is None else dict(table.digests),
    )


def with_service(case: Case, name: str = "api", **changes: Any) -> Case:
    """The app asks for it otherwise, without another generation."""
    record = case.snapshot.apps["shop"]
    changed = dataclasses.replace(record.app.services[name], **changes)
    services = {**record.app.services, name: changed}
    app = dataclasses.replace(record.app, services=services)
    return with_snapshot(case, apps={"shop": dataclasses.replace(record, app=app)})


def with_state(case: Case, change: Callable[[HostState], HostState], *host_ids: str) -> Case:
    observed = dict(case.snapshot.observed)
    observed.update({key: change(observed[key]) for key in host_ids})
    return with_snapshot(case, observed=observed)


def with_facts(case: Case, *host_ids: str, **changes: Any) -> Case:
    def change(was: HostState) -> HostState:
        return dataclasses.replace(was, facts=dataclasses.replace(was.facts, **changes))

    return with_state(case, change, *host_ids)


def with_problem(case: Case, problem: HostProblem, *host_ids: str) -> Case:
    return with_state(case, lambda was: dataclasses.replace(was, problems=(problem,)), *host_ids)


def with_status(case: Case, *host_ids: str, **changes: Any) -> Case:
    def change(was: HostState) -> HostState:
        changed = {name: dataclasses.replace(one, **changes) for name, one in was.instances.items()}
        return dataclasses.replace(was, instances=changed)

    return with_state(case, change, *host_ids)


def with_traffic(case: Case, changes: Mapping[str, Traffic]) -> Case:
    return dataclasses.replace(case, traffic={**case.traffic, **changes})


def with_port(case: Case, *host_ids: str, **changes: Any) -> Case:
    """What the proxies of these hosts say of the service's port."""
    found = {
        key: Traffic(tuple(dataclasses.replace(one, **changes) for one in case.traffic[key].ports))
        for key in host_ids
    }
    return with_traffic(case, found)


def walked(case: Case, app: str, service: str = "", caller: Optional[ServiceName] = None) -> Why:
    """The way, of which each command can be pasted as it is."""
    told = why(case, app, service, caller)
    for link in (*told.links, *(link for found in told.services for link in found.links)):
        assert is_pasted(link.next), link.next
        assert not link.there or link.next_on == (link.hosts[0] if link.next else "")
    assert is_pasted(told.next)
    return told


def is_pasted(command: str) -> bool:
    """Whether a shell takes it: nothing, or programs that are known here, the next one where the first fails or to be read from it."""
    words = list(shlex.shlex(command, posix=True, punctuation_chars=True))
    begun = [word for word, before in zip(words, ["||", *words]) if before in ("||", "|")]
    rest = [word for word in words if word in ("or", "or:", "then") or word[0] in "();&<>`"]
    known = all(word in (*COMMANDS, "grep", "service", "tail") for word in begun)
    return not command or (known and begun[0] in COMMANDS and not rest)
