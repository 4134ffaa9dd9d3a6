"""The cluster at a glance: its hosts, and whether all is well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Optional

from hullmark.core.absence import brake, in_maintenance, is_ready, time_left
from hullmark.core.coverage import numbers
from hullmark.core.drain import drain
from hullmark.model.api import AppSummary, HostGroup, HostView
from hullmark.model.epoch import Epoch
from hullmark.model.host import Availability, HostRecord
from hullmark.model.observed import NO_STATE
from hullmark.model.postureview import ControlNumbers
from hullmark.model.snapshot import Snapshot

START_AGENT = "systemctl start hullmark-agent, or: service hullmark-agent start, or in a clone: hullmark agent run"
"""How another host's agent was installed isn't known here."""


def host_views(snapshot: Snapshot, silent_after_s: float) -> tuple[HostView, ...]:
    """All enrolled hosts, by name."""
    found = []
    for host in sorted(snapshot.hosts.values(), key=lambda host: (host.name, host.host_id)):
        state = snapshot.observed.get(host.host_id, NO_STATE)
        heard_s = snapshot.heard_s.get(host.host_id)
        orders = snapshot.assignments.get(host.host_id)
        found.append(
            HostView(
                host_id=host.host_id,
                name=host.name,
                state=_host_state(snapshot, host.host_id, silent_after_s),
                heard_s=None if heard_s is None else round(heard_s, 3),
                instances=0 if orders is None else len(orders.assignments),
                labels=host.labels,
                facts=state.facts,
                problems=state.problems,
                availability=host.availability,
                maintenance=host.maintenance if in_maintenance(snapshot, host.host_id) else None,
                drain=_drain(snapshot, host),
                controls=_controls(snapshot, host.host_id, silent_after_s),
            )
        )
    return tuple(found)


def _controls(snapshot: Snapshot, host_id: str, silent_after_s: float) -> Optional[ControlNumbers]:
    posture = snapshot.observed.get(host_id, NO_STATE).posture
    if posture is None:
        return None
    return numbers(posture, heard=_host_state(snapshot, host_id, silent_after_s) == "ready")


def _drain(snapshot: Snapshot, host: HostRecord) -> str:
    drains = host.availability is Availability.DRAINING
    return drain(snapshot, host.host_id).text if drains else ""


_GROUPS = ("ok", "draining", "cordoned", "maintenance", "troubled", "silent", "lost", "never")


def host_groups(hosts: Sequence[HostView], now: float) -> tuple[HostGroup, ...]:
    """Each host once, by what is said of it first."""
    numbers = Counter("ok" if host.word == "ready" else host.word for host in hosts)
    works = [host.maintenance for host in hosts if host.maintenance is not None]
    details = {}
    if works:
        first = min(works, key=lambda work: work.until)
        over = time_left(first.until, now)
        details["maintenance"] = ", ".join(filter(None, (first.ticket, over)))
        if len(works) > 1:
            details["maintenance"] = f"first {details['maintenance']}"
    return tuple(
        HostGroup(word, numbers[word], details.get(word, "")) for word in _GROUPS if numbers[word]
    )


def _host_state(snapshot: Snapshot, host_id: str, silent_after_s: float) -> str:
    heard_s = snapshot.heard_s.get(host_id)
    if heard_s is None or host_id not in snapshot.observed:
        return "never"
    if not is_ready(snapshot, host_id):
        return "lost"
    return "silent" if heard_s > silent_after_s else "ready"


@dataclass(frozen=True)
class Outlook:
    """`state`, `notes` and `next` of `api.ClusterStatus`."""

    state: str
    notes: tuple[str, ...]
    next: str


def outlook(
    snapshot: Snapshot,
    hosts: Sequence[HostView],
    apps: Sequence[AppSummary],
    others: Sequence[Finding] = (),
    claims: Sequence[tuple[str, Epoch]] = (),
    invited: Sequence[str] = (),
    masters: Sequence[Finding] = (),
    redundancy: Sequence[Finding] = (),
) -> Outlook:
    """What is wrong, worst first, and the next thing to type. `others` are told after hosts and apps. `claims` are hosts that obey a later epoch
    than this leader's, with that epoch. `invited` are hosts with an invite that can still be used. `masters` and
    `redundancy` are what is wrong with who leads, and with what stands behind it (`core.pair`)."""
    findings = [
        *masters,
        *_claim_findings(snapshot, claims, len(hosts)),
        *(finding for finding in redundancy if finding[0]),
        *_brake_findings(snapshot),
        *(_host_findings(snapshot, hosts) if hosts else _no_host_findings(apps, invited)),
        *_drain_findings(snapshot, hosts),
        *_app_findings(apps),
        *_invite_findings(invited if hosts else ()),
        *others,
        *(finding for finding in redundancy if not finding[0]),
    ]
    return judged(findings)


Finding = tuple[int, str, str]
"""(0 worth knowing, 1 degraded, 2 failed; the note; what to do)"""


def judged(findings: Sequence[Finding]) -> Outlook:
    weights = {weight for weight, _, _ in findings}
    state = "failed" if 2 in weights else "degraded" if 1 in weights else "ok"
    remedies = [remedy for _, _, remedy in findings if remedy]
    return Outlook(state, tuple(note for _, note, _ in findings), remedies[0] if remedies else "")


def _claim_findings(
    snapshot: Snapshot, claims: Sequence[tuple[str, Epoch]], hosts: int
) -> Iterable[Finding]:
    """One host of several may be wrong, or lie; when all say so, this master is in the wrong."""
    for name, epoch in claims:
        note = (
            f"host {name} obeys epoch {epoch}, later than this leader's {snapshot.leader.epoch}: "
            "this master's store may be an old copy"
        )
        if len(claims) < hosts:
            yield 1, note, f"look at the log of host {name}: which master did it obey?"
        else:
            yield 2, note, "stop this master and look for the one that leads"


def _no_host_findings(apps: Sequence[AppSummary], invited: Sequence[str]) -> Iterable[Finding]:
    remedy = f"hullmark agent enroll --token-file FILE   (on {invited[0]})" if invited else ""
    note = "no host is enrolled" + (f"; invited: {', '.join(invited)}" if invited else "")
    yield 1 if apps else 0, note, remedy or "hullmark invite HOST"


def _invite_findings(invited: Sequence[str]) -> Iterable[Finding]:
    for name in invited:
        yield 0, f"host {name} is invited; its token has not been used yet", ""


def _brake_findings(snapshot: Snapshot) -> Iterable[Finding]:
    found = brake(snapshot)
    if found is not None:
        yield 1, found.note, "check the network between master and hosts"


def _drain_findings(snapshot: Snapshot, hosts: Sequence[HostView]) -> Iterable[Finding]:
    for host in hosts:
        if host.availability is Availability.DRAINING:
            progress = drain(snapshot, host.host_id)
            remedy = f"hullmark ps   (what stays on {host.name})" if progress.stays else ""
            yield 0, f"host {host.name} is draining: {host.drain}", remedy


def _host_findings(snapshot: Snapshot, hosts: Sequence[HostView]) -> Iterable[Finding]:
    """Of hosts in maintenance silence is expected."""
    for host in hosts:
        if host.maintenance is not None and host.state != "ready":
            yield 0, f"host {host.name} is in maintenance, and {host.state}", ""
    hosts = [host for host in hosts if host.maintenance is None]
    away = [host for host in hosts if host.state in ("lost", "never")]
    weight = 2 if len(away) == len(hosts) else 1
    for host in away:
        remedy = f"{START_AGENT}   (on {host.name})"
        if _is_new(snapshot, host):
            yield 1, f"host {host.name} is enrolled and not heard yet", remedy
            continue
        text = "has not been heard since this leader began"
        if host.heard_s is not None:
            text = f"has been silent for {host.heard_s:.0f} s; what runs there goes on"
        yield weight, f"host {host.name} {text}", remedy
    for host in hosts:
        if host.state == "silent":
            yield 1, f"host {host.name} has been silent for {host.heard_s or 0:.0f} s", ""
        for problem in host.problems:
            yield 1, f"host {host.name}: {problem.message}", problem.remedy


def _is_new(snapshot: Snapshot, host: HostView) -> bool:
    """Whether it was enrolled under this leader, and never heard: no former leader heard it either."""
    record = snapshot.hosts.get(host.host_id)
    return (
        host.state == "never" and record is not None and record.enrolled_at >= snapshot.leader.since
    )


def _app_findings(apps: Sequence[AppSummary]) -> Iterable[Finding]:
    for app in apps:
        why = next((line for service in app.services for line in service.why), "")
        if app.state in ("degraded", "failed"):
            ask = "explain" if app.state == "degraded" else "ps"
            yield 1, f"app {app.name} {app.state}: {why}", f"hullmark {ask} {app.name}"
        elif app.state == "changing":
            yield 0, f"app {app.name} is changing" + (f": {why}" if why else ""), ""


def orphan_findings(orphans: int) -> Iterable[Finding]:
    if orphans:
        noun = "container" if orphans == 1 else "containers"
        yield 0, f"{orphans} {noun} of ours that no order names; kept", "hullmark orphans"
