"""The first part of the way to a service: its place, the agents of its hosts, their engines, its containers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Optional

from hullmark.core import absence
from hullmark.core.grades import Grade, Graded
from hullmark.core.roster import Placed
from hullmark.core.whycase import Case
from hullmark.core.whycommands import AGENT, AGENT_LOG, engine, first_whole, with_remedy
from hullmark.core.whylinks import broken, ok, unknown
from hullmark.model.directory import ServiceName
from hullmark.model.explanation import SlotExplanation
from hullmark.model.observed import REFUSED_BY_POLICY, HostProblem, to_type
from hullmark.model.records import AppRecord
from hullmark.model.why import Link, Step

NOT_SCHEDULED = "not scheduled yet"
OBSERVES, POLICY = "mode.observe", "policy.invalid"
"""Codes of problems that have a command of their own."""
CHECK_POLICY = "hullmark config check policy"
ORDERS = (
    "audit.unwritable",
    "certificate.invalid",
    "host.refused",
    "order.refused",
    POLICY,
    "state.damaged",
)
"""Codes of problems with which a host starts nothing new."""


def own_links(case: Case, record: AppRecord, service: str) -> Sequence[Link]:
    """Whether its instances have hosts and run there, and nothing of those hosts."""
    return [*_placement(case, record, service), *_containers(case, record, service)]


def instance_links(
    case: Case, record: AppRecord, service: str, callers: Optional[Collection[str]] = None
) -> Sequence[Link]:
    """`callers`: ids of hosts that it is called from, where not all that need it are meant. A host that is lost is a broken link where the rest of the way is
    seen to be there; where nobody who is heard serves, or calls, nothing is known to be broken."""
    name = ServiceName(record.app.name, service)
    placed = case.survey.roster.placed(name.app, service)
    hosts = sorted({item.host_id for item in placed} & case.snapshot.hosts.keys())
    needing = case.needing(name).keys() if callers is None else set(callers)
    others = sorted(needing - set(hosts))
    idle = {item.host_id for item in placed if not case.survey.serves(item)}
    seen = bool(served(case, record, service))
    seen = seen and (not callers or any(case.is_ready(host_id) for host_id in callers))
    return [
        *_placement(case, record, service),
        *(_agent(case, host_id, is_broken=seen) for host_id in (*hosts, *others)),
        *(link for host_id in hosts if host_id in idle for link in _orders(case, host_id)),
        *(link for host_id in hosts for link in _engine(case, host_id)),
        *(link for host_id in others if callers is not None for link in _engine(case, host_id)),
        *_containers(case, record, service),
    ]


def served(case: Case, record: AppRecord, service: str) -> Sequence[Placed]:
    """The instances that serve, as far as is known."""
    placed = case.survey.roster.placed(record.app.name, service)
    return [item for item in placed if case.survey.serves(item)]


def serves_or_unheard(case: Case, record: AppRecord, service: str) -> bool:
    """Whether one serves, as far as is known, or is where nobody can tell."""
    placed = case.survey.roster.placed(record.app.name, service)
    return any(case.survey.serves(item) or case.survey.is_unheard(item) for item in placed)


def _placement(case: Case, record: AppRecord, service: str) -> Iterator[Link]:
    target = f"{record.app.name}/{service}"
    told = case.explained(record, service)
    nowhere = [slot for slot in told.slots if not slot.host]
    if not told.wanted and not nowhere:
        yield broken(Step.PLACEMENT, "no instance of it is wanted", f"hullmark scale {target}=1")
        return
    for slot in nowhere:
        if slot.why == NOT_SCHEDULED:
            text = "some instances are not scheduled yet"
            yield unknown(Step.PLACEMENT, text, f"hullmark explain {target}")
        else:
            then = first_whole(slot.commands, f"hullmark explain {target}")
            yield broken(Step.PLACEMENT, f"{slot.name} has no place: {_reason(slot)}", then)
    if not nowhere:
        yield ok(Step.PLACEMENT, f"{told.wanted} wanted, each has a host")


def _reason(slot: SlotExplanation) -> str:
    filters = "; ".join(item.text for item in slot.refusals)
    return f"{slot.why} ({filters})" if filters else slot.why


def _agent(case: Case, host_id: str, *, is_broken: bool) -> Link:
    """`is_broken`: of a host that is lost."""
    snapshot, host = case.snapshot, case.host(host_id)
    if absence.is_ready(snapshot, host_id):
        return ok(Step.AGENT, "heard", host)
    if host_id in snapshot.heard_s and host_id not in snapshot.observed:
        return unknown(Step.AGENT, "heard, but its state is not known yet", "", host)
    if host_id in snapshot.heard_s:
        text = f"not heard for more than {snapshot.lost_after_s:.0f} s"
    else:
        text = "not heard since this leader began"
    if not absence.is_lost(snapshot, host_id):
        return unknown(Step.AGENT, text, AGENT, host, there=True)
    if is_broken:
        return broken(Step.AGENT, text, AGENT, host, there=True)
    text = f"{text}; its containers and its proxy may be well"
    return unknown(Step.AGENT, text, AGENT, host, there=True)


def _problems(case: Case, host_id: str) -> tuple[HostProblem, ...]:
    state = case.snapshot.observed.get(host_id)
    return state.problems if state is not None and case.is_ready(host_id) else ()


def _orders(case: Case, host_id: str) -> Iterator[Link]:
    for problem in _problems(case, host_id):
        if problem.code in ORDERS:
            then = CHECK_POLICY if problem.code == POLICY else AGENT_LOG
            text = with_remedy(problem.message, problem.remedy)
            yield broken(Step.ORDERS, text, then, case.host(host_id), there=True)


def _engine(case: Case, host_id: str) -> Iterator[Link]:
    if not case.is_ready(host_id):
        return
    found = [item for item in _problems(case, host_id) if item.code in absence.ENGINE_AWAY]
    for problem in found:
        then = engine(case.survey.facts(host_id).engine)
        if problem.code == OBSERVES:
            then = "hullmark config show agent"
        text = with_remedy(problem.message, problem.remedy)
        yield broken(Step.ENGINE, text, then, case.host(host_id), there=True)
    if not found:
        yield ok(Step.ENGINE, "answers", case.host(host_id))


def _containers(case: Case, record: AppRecord, service: str) -> Iterator[Link]:
    """Of each slot the instance that counts, on hosts that can be seen."""
    for posts in case.survey.roster.by_slot(record, service).values():
        graded = case.grader.best_first(record, posts)
        one = next((item for item in graded if case.survey.serves(item.placed)), graded[0])
        if absence.is_seen(case.snapshot, one.placed.host_id):
            yield _container(case, one)


def _container(case: Case, graded: Graded) -> Link:
    host = case.host(graded.placed.host_id)
    if case.survey.serves(graded.placed) and not to_type(graded.why):
        return ok(Step.CONTAINER, "serves", host)
    if graded.grade is Grade.GOOD:
        return ok(Step.CONTAINER, "completed", host)
    instance = graded.placed.assignment.instance
    service = f"{instance.app}/{instance.service}"
    name = f"{service}.{instance.slot}"
    text = f"{name}: {graded.why}"
    if graded.grade is Grade.UNDER_WAY:
        return unknown(Step.CONTAINER, text, f"hullmark ps {instance.app}", host)
    if to_type(graded.why):
        return broken(Step.CONTAINER, text, to_type(graded.why), host, there=True)
    status = graded.placed.status
    has_none = status is None or not status.container_id
    ask = "explain" if has_none or graded.why.startswith(REFUSED_BY_POLICY) else "logs"
    target = name if ask == "logs" and instance.slot else service
    return broken(Step.CONTAINER, text, f"hullmark {ask} {target}", host)
