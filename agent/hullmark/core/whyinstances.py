"""The first part of the way to a service: its place, the agents of its hosts, their engines, its containers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hullmark.core import absence
from hullmark.core.explain import explanation
from hullmark.core.grades import Grade, Graded, Grader
from hullmark.core.roster import Placed
from hullmark.core.whycase import Case
from hullmark.core.whylinks import broken, ok, unknown
from hullmark.model.directory import ServiceName
from hullmark.model.explanation import SlotExplanation
from hullmark.model.observed import REFUSED_BY_POLICY, HostProblem
from hullmark.model.records import AppRecord
from hullmark.model.why import Link, Step

AGENT = "systemctl status hullmark-agent, or: service hullmark-agent status"
ENGINE = "systemctl status docker, or: systemctl status podman.socket"
NOT_SCHEDULED = "not scheduled yet"
ORDERS = (
    "audit.unwritable",
    "certificate.invalid",
    "host.refused",
    "order.refused",
    "policy.invalid",
    "state.damaged",
)
"""Codes of problems with which a host starts nothing new."""


def instance_links(case: Case, record: AppRecord, service: str) -> Sequence[Link]:
    name = ServiceName(record.app.name, service)
    placed = case.survey.roster.placed(name.app, service)
    hosts = sorted({item.host_id for item in placed} & case.snapshot.hosts.keys())
    others = sorted(case.needing(name).keys() - set(hosts))
    idle = {item.host_id for item in placed if not case.survey.serves(item)}
    return [
        *_placement(case, record, service),
        *(_agent(case, host_id) for host_id in (*hosts, *others)),
        *(link for host_id in hosts if host_id in idle for link in _orders(case, host_id)),
        *(link for host_id in hosts for link in _engine(case, host_id)),
        *_containers(case, record, service),
    ]


def served(case: Case, record: AppRecord, service: str) -> Sequence[Placed]:
    """The instances that serve, as far as is known."""
    placed = case.survey.roster.placed(record.app.name, service)
    return [item for item in placed if case.survey.serves(item)]


def _placement(case: Case, record: AppRecord, service: str) -> Iterator[Link]:
    target = f"{record.app.name}/{service}"
    told = explanation(case.snapshot, case.unplaced, record, service, case.blind_s).services[0]
    nowhere = [slot for slot in told.slots if not slot.host]
    if not told.wanted and not nowhere:
        yield broken(Step.PLACEMENT, "no instance of it is wanted", f"hullmark scale {target}=1")
        return
    for slot in nowhere:
        if slot.why == NOT_SCHEDULED:
            text = "some instances are not scheduled yet"
            yield unknown(Step.PLACEMENT, text, f"hullmark explain {target}")
        else:
            then = slot.commands[0] if slot.commands else f"hullmark explain {target}"
            yield broken(Step.PLACEMENT, f"{slot.name} has no place: {_reason(slot)}", then)
    if not nowhere:
        yield ok(Step.PLACEMENT, f"{told.wanted} wanted, each has a host")


def _reason(slot: SlotExplanation) -> str:
    filters = "; ".join(item.text for item in slot.refusals)
    return f"{slot.why} ({filters})" if filters else slot.why


def _agent(case: Case, host_id: str) -> Link:
    snapshot, host = case.snapshot, case.host(host_id)
    if absence.is_ready(snapshot, host_id):
        return ok(Step.AGENT, "heard", host)
    if host_id in snapshot.heard_s and host_id not in snapshot.observed:
        return unknown(Step.AGENT, "heard, but its state is not known yet", "", host)
    if host_id in snapshot.heard_s:
        text = f"not heard for more than {snapshot.lost_after_s:.0f} s"
        return broken(Step.AGENT, text, AGENT, host, there=True)
    text = "not heard since this leader began"
    if absence.is_lost(snapshot, host_id):
        return broken(Step.AGENT, text, AGENT, host, there=True)
    return unknown(Step.AGENT, text, AGENT, host, there=True)


def _problems(case: Case, host_id: str) -> tuple[HostProblem, ...]:
    state = case.snapshot.observed.get(host_id)
    return state.problems if state is not None and case.is_ready(host_id) else ()


def _orders(case: Case, host_id: str) -> Iterator[Link]:
    for problem in _problems(case, host_id):
        if problem.code in ORDERS:
            then = problem.remedy or AGENT
            yield broken(Step.ORDERS, problem.message, then, case.host(host_id), there=True)


def _engine(case: Case, host_id: str) -> Iterator[Link]:
    if not case.is_ready(host_id):
        return
    found = [item for item in _problems(case, host_id) if item.code in absence.ENGINE_AWAY]
    for problem in found:
        then = problem.remedy or ENGINE
        yield broken(Step.ENGINE, problem.message, then, case.host(host_id), there=True)
    if not found:
        yield ok(Step.ENGINE, "answers", case.host(host_id))


def _containers(case: Case, record: AppRecord, service: str) -> Iterator[Link]:
    """Of each slot the instance that counts, on hosts that can be seen."""
    grader = Grader(case.snapshot, case.survey.roster, case.blind_s)
    for posts in case.survey.roster.by_slot(record, service).values():
        graded = grader.best_first(record, posts)
        one = next((item for item in graded if case.survey.serves(item.placed)), graded[0])
        if absence.is_seen(case.snapshot, one.placed.host_id):
            yield _container(case, one)


def _container(case: Case, graded: Graded) -> Link:
    host = case.host(graded.placed.host_id)
    if case.survey.serves(graded.placed):
        return ok(Step.CONTAINER, "serves", host)
    if graded.grade is Grade.GOOD:
        return ok(Step.CONTAINER, "completed", host)
    instance = graded.placed.assignment.instance
    name = f"{instance.app}/{instance.service}.{instance.slot}"
    text = f"{name}: {graded.why}"
    if graded.grade is Grade.UNDER_WAY:
        return unknown(Step.CONTAINER, text, f"hullmark ps {instance.app}", host)
    ask = "explain" if graded.why.startswith(REFUSED_BY_POLICY) else "logs"
    target = name if ask == "logs" else f"{instance.app}/{instance.service}"
    return broken(Step.CONTAINER, text, f"hullmark {ask} {target}", host)
