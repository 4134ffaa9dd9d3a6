"""What stands behind the cluster, as `hullmark status` shows it: who leads, who would follow, and the store.

leader    m1  epoch 1.41, 12 d        standby m2  ready
store     etcd 2/3   witness w1 silent 14 min
          one more loss -> read-only; running apps unaffected
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hullmark.cli.table import wrapped
from hullmark.cli.words import age, one_line
from hullmark.model.api import ClusterStatus
from hullmark.model.redundancy import FRESH_S, MasterView, StoreCondition, StoreMember

INDENT = " " * 10
GAP = " " * 8


def lines(status: ClusterStatus, columns: int) -> Iterator[str]:
    """`columns` 0: as wide as needed."""
    lead = f"leader    {_leader(status)}"
    standbys = [_standby(view, status.master) for view in status.masters if view.role != "leader"]
    if standbys and (not columns or len(lead) + len(GAP) + len(standbys[0]) <= columns):
        lead += GAP + standbys.pop(0)
    yield lead
    for text in standbys:
        yield from wrapped(text, columns, INDENT)
    yield f"store     {one_line(_store(status))}"
    if status.redundancy:
        yield from wrapped(status.redundancy, columns, INDENT)


def _leader(status: ClusterStatus) -> str:
    if not status.master:
        return "none"
    return one_line(f"{status.master}  epoch {status.epoch}, {age(status.leading_s)}")


def _standby(view: MasterView, leader: str) -> str:
    """Why it is not the leader, where that is not just that another is."""
    if view.role == "absent" or view.seen_s > FRESH_S:
        return one_line(f"standby {view.name}  absent {age(view.seen_s)}")
    if view.is_ready(leader):
        return one_line(f"standby {view.name}  ready")
    return one_line(f"standby {view.name}  not ready: {view.why}")


def _store(status: ClusterStatus) -> str:
    condition = status.store_condition
    if condition is None or not condition.members:
        return status.store
    answering = sum(member.answers for member in condition.members)
    text = f"{condition.kind} {answering}/{len(condition.members)}"
    silent = [_silent(member, condition, status.masters) for member in condition.members]
    told = ", ".join(filter(None, silent))
    return f"{text}   {told}" if told else text


def _silent(member: StoreMember, condition: StoreCondition, masters: Sequence[MasterView]) -> str:
    """The witness is the one member of the store that is on no master's machine, as far as names tell."""
    if member.answers:
        return ""
    names = {view.name for view in masters}
    elsewhere = [other.name for other in condition.members if other.name not in names]
    noun = "witness" if len(names) > 1 and elsewhere == [member.name] else "member"
    return f"{noun} {member.name} silent {age(member.silent_s)}"
