"""The cluster at a glance: its hosts, and whether all is well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Optional

from hullmark.core.absence import brake, in_maintenance, is_awaited, is_lost, is_ready, time_left
from hullmark.core.coverage import numbers
from hullmark.core.drain import drain
from hullmark.core.roster import Roster
from hullmark.core.urgency import Urgency, of_app, of_problem
from hullmark.model.api import AppSummary, HostGroup, HostView
from hullmark.model.epoch import Epoch
from hullmark.model.host import Availability, HostRecord
from hullmark.model.observed import NO_STATE
from hullmark.model.postureview import ControlNumbers
from hullmark.model.snapshot import Snapshot

START_AGENT = "systemctl start hullmark-agent, or: service hullmark-agent start, or in a clone: hullmark agent run"
"""How another host's agent was installed isn't known here."""
TROUBLED = ("degraded", "failed")
"""States of apps."""


def host_views(snapshot: Snapshot, silent_after_s: float) -> tuple[HostView, ...]:
    """All enrolled hosts, by name."""
    found = []
    for host in sorted(snapshot.hosts.values(), key=lambda host: (host.name, host.host_id)):
        state = snapshot.observed.get(host.host_id, NO_STATE)
        heard_s = snapshot.told_s(host.host_id)
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
    if is_ready(snapshot, host_id):
        return "silent" if snapshot.heard_s[host_id] > silent_after_s else "ready"
    lost = is_lost(snapshot, host_id) and not is_awaited(snapshot, host_id)
    return "lost" if lost else "never"


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
    behind: Sequence[Ranked] = (),
) -> Outlook:
    """What is wrong, and the next thing to type, which is about the worst of it (`urgency`). `others` are told after hosts and apps. `claims` are hosts that obey a later epoch
    than this leader's, with that epoch. `invited` are hosts with an invite that can still be used. `masters` is what is wrong with who leads, `behind`
    with what stands behind it (`core.pair`), and with change control and the mark."""
    none = ranked(Urgency.HOSTS, _no_host_findings(apps, invited))
    findings = [
        *ranked(Urgency.MASTERS, masters),
        *_claim_findings(snapshot, claims, len(hosts)),
        *(one for one in behind if one[1][0]),
        *ranked(Urgency.HOSTS, _brake_findings(snapshot)),
        *(_host_findings(snapshot, hosts) if hosts else none),
        *ranked(Urgency.NOTED, _drain_findings(snapshot, hosts)),
        *_app_findings(snapshot, apps),
        *ranked(Urgency.NOTED, _invite_findings(invited if hosts else ())),
        *ranked(Urgency.CONTROLS, others),
        *(one for one in behind if not one[1][0]),
    ]
    return judged(findings)


Finding = tuple[int, str, str]
"""(0 worth knowing, 1 degraded, 2 failed; the note; what to do)"""
Ranked = tuple[Urgency, Finding]


def ranked(urgency: Urgency, findings: Iterable[Finding]) -> Iterable[Ranked]:
    """Nothing of it that is only worth knowing is urgent."""
    for finding in findings:
        yield urgency if finding[0] else Urgency.NOTED, finding


def judged(findings: Sequence[Ranked]) -> Outlook:
    """Told in this order; what to do is of the worst that has something, and of the first where several are as bad."""
    weights = {weight for _, (weight, _, _) in findings}
    state = "failed" if 2 in weights else "degraded" if 1 in weights else "ok"
    remedies = [(urgency, remedy) for urgency, (_, _, remedy) in findings if remedy]
    _, then = min(remedies, key=lambda one: one[0], default=(Urgency.NOTED, ""))
    return Outlook(state, tuple(note for _, (_, note, _) in findings), then)


def _claim_findings(
    snapshot: Snapshot, claims: Sequence[tuple[str, Epoch]], hosts: int
) -> Iterable[Ranked]:
    """One host of several may be wrong, or lie; when all say so, this master is in the wrong."""
    for name, epoch in claims:
        note = (
            f"host {name} obeys epoch {epoch}, later than this leader's {snapshot.leader.epoch}: "
            "this master's store may be an old copy"
        )
        if len(claims) < hosts:
            then = f"look at the log of host {name}: which master did it obey?"
            yield Urgency.OTHER, (1, note, then)
        else:
            then = "stop this master and look for the one that leads"
            yield Urgency.MASTERS, (2, note, then)


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


def _host_findings(snapshot: Snapshot, hosts: Sequence[HostView]) -> Iterable[Ranked]:
    """Of hosts in maintenance silence is expected."""
    for host in hosts:
        if host.maintenance is not None and host.state != "ready":
            yield Urgency.NOTED, (0, f"host {host.name} is in maintenance, and {host.state}", "")
    hosts = [host for host in hosts if host.maintenance is None]
    away = [host for host in hosts if host.state in ("lost", "never")]
    weight = 2 if len(away) == len(hosts) else 1
    for host in away:
        remedy = f"{START_AGENT}   (on {host.name})"
        if _is_new(snapshot, host):
            note = f"host {host.name} is enrolled and not heard yet"
            yield Urgency.HOSTS, (1, note, remedy)
            continue
        text = "has not been heard since this leader began"
        if host.heard_s is not None:
            text = f"has been silent for {host.heard_s:.0f} s"
        if host.heard_s is not None or host.state == "lost":
            text += "; what runs there goes on"
        yield Urgency.HOSTS, (weight, f"host {host.name} {text}", remedy)
    for host in hosts:
        if host.state == "silent":
            note = f"host {host.name} has been silent for {host.heard_s or 0:.0f} s"
            yield Urgency.HOSTS, (1, note, "")
        for problem in host.problems:
            note = f"host {host.name}: {problem.message}"
            yield of_problem(problem.code), (1, note, problem.remedy)


def _is_new(snapshot: Snapshot, host: HostView) -> bool:
    """Whether it was enrolled under this leader, and never heard: no former leader heard it either."""
    record = snapshot.hosts.get(host.host_id)
    return (
        host.state == "never" and record is not None and record.enrolled_at >= snapshot.leader.since
    )


def _app_findings(snapshot: Snapshot, apps: Sequence[AppSummary]) -> Iterable[Ranked]:
    roster = Roster.of(snapshot) if any(app.state in TROUBLED for app in apps) else None
    for app in apps:
        why = next((line for service in app.services for line in service.why), "")
        if roster is not None and app.state in TROUBLED:
            ask = "explain" if app.state == "degraded" else "ps"
            note = f"app {app.name} {app.state}: {why}"
            yield of_app(snapshot, roster, app), (1, note, f"hullmark {ask} {app.name}")
        elif app.state == "changing":
            note = f"app {app.name} is changing" + (f": {why}" if why else "")
            yield Urgency.NOTED, (0, note, "")


def orphan_findings(orphans: int) -> Iterable[Finding]:
    if orphans:
        noun = "container" if orphans == 1 else "containers"
        yield 0, f"{orphans} {noun} of ours that no order names; kept", "hullmark orphans"
