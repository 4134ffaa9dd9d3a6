"""What redundancy a pair of masters and its store have left, and what of it is lost.

An embedded store has one master, and no redundancy that could be lost: nothing is said of it here. Of etcd a majority of
the members has to answer for anything to be changed; two masters are needed for one to follow the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Optional

from hullmark.model.durations import age
from hullmark.model.redundancy import FRESH_S, MasterView, StoreCondition, StoreMember

EMBEDDED = frozenset({"sqlite", "memory"})
MEMBERS_LEAST = 3
"""Of a store that goes on without one of them."""

SHOW_MASTER = "systemctl status hullmark-master   (on {name})"
SHOW_MEMBER = "systemctl status etcd   (on {name})"
NO_SECOND = "hullmark master invite NAME   (on the leader; then join with it on the second machine)"
MORE_MEMBERS = "add members: an etcd of three goes on without any one of them"


@dataclass(frozen=True)
class Loss:
    """One thing that is not as it should be. `code` stays the same as long as it lasts, `subject` is what it is of
    (`master m2`); `note` and `remedy` are for people."""

    code: str
    subject: str
    note: str
    remedy: str = ""


@dataclass(frozen=True)
class Redundancy:
    """`left` says what another loss would do; empty where there is nothing that could be lost. `lost` is redundancy
    that should be there, `troubles` what else is wrong with the store."""

    left: str = ""
    lost: tuple[Loss, ...] = ()
    troubles: tuple[Loss, ...] = ()


def redundancy(masters: Sequence[MasterView], condition: Optional[StoreCondition]) -> Redundancy:
    """As the master that asks sees it: of `masters`, the one that leads and every other one."""
    if condition is None or condition.kind in EMBEDDED:
        return Redundancy(troubles=() if condition is None else tuple(_troubles(condition)))
    lost = (*_lost_masters(masters), *_lost_members(condition))
    return Redundancy(_left(masters, condition), lost, tuple(_troubles(condition)))


def ready_standbys(masters: Sequence[MasterView]) -> tuple[MasterView, ...]:
    """Those that would follow the leader at once."""
    leader = _leader(masters)
    return tuple(view for view in masters if view.is_ready(leader))


def _leader(masters: Sequence[MasterView]) -> str:
    return next((view.name for view in masters if view.role == "leader"), "")


def spare_members(condition: StoreCondition) -> int:
    """How many more members may be lost before nothing can be changed; below 0: too many are already."""
    total = len(condition.members)
    answering = sum(member.answers for member in condition.members)
    return answering - (total // 2 + 1)


def _left(masters: Sequence[MasterView], condition: StoreCondition) -> str:
    leader = _leader(masters)
    unaffected = "running apps unaffected"
    if not condition.quorum or (condition.members and spare_members(condition) < 0):
        return f"read-only now; {unaffected}"
    if not leader:
        return f"no master leads now; {unaffected}"
    if condition.members and spare_members(condition) == 0:
        more = "one" if all(member.answers for member in condition.members) else "one more"
        return f"{more} loss -> read-only; {unaffected}"
    if not ready_standbys(masters):
        return f"loss of {leader} -> nothing can be changed; {unaffected}"
    return f"any one machine may be lost; {unaffected}"


def _lost_masters(masters: Sequence[MasterView]) -> Iterable[Loss]:
    if len(masters) < 2:
        note = "there is no second master: nobody follows where this one is lost"
        yield Loss("master.none", "masters", note, NO_SECOND)
    leader = _leader(masters)
    for view in masters:
        if view.role == "leader" or view.is_ready(leader):
            continue
        code, subject = f"master {view.name}", f"master {view.name}"
        remedy = SHOW_MASTER.format(name=view.name)
        if view.role == "absent" or view.seen_s > FRESH_S:
            yield Loss(code, subject, f"master {view.name} not seen for {age(view.seen_s)}", remedy)
        else:
            yield Loss(code, subject, f"standby {view.name} is not ready: {view.why}", remedy)


def _lost_members(condition: StoreCondition) -> Iterable[Loss]:
    total = len(condition.members)
    if 0 < total < MEMBERS_LEAST:
        noun = "member" if total == 1 else "members"
        note = f"the store has {total} {noun}: none may be lost"
        yield Loss("store.members", "store", note, MORE_MEMBERS)
    for member in condition.members:
        if not member.answers:
            code, subject = f"store member {member.name}", f"store member {member.name}"
            remedy = SHOW_MEMBER.format(name=member.name)
            yield Loss(code, subject, f"store member {silence(member)}", remedy)


def silence(member: StoreMember) -> str:
    """`w1 silent 14 min`"""
    return f"{member.name} silent {age(member.silent_s)}"


def _troubles(condition: StoreCondition) -> Iterable[Loss]:
    """What the store says of itself, but for members that don't answer: those are redundancy."""
    silent = [member.name for member in condition.members if not member.answers]
    for place, text in enumerate(condition.troubles):
        if any(_names(text, name) for name in silent):
            continue
        remedy = condition.remedies[place] if place < len(condition.remedies) else ""
        yield Loss(f"store {_lasting(text)}", "store", text, remedy)


def _names(text: str, member: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(member)}(?![\w.-])", text) is not None


def _lasting(text: str) -> str:
    """What stays the same of a trouble's text while the numbers in it move, such as `in 12 days` and `81 % of 2 GiB`."""
    return re.sub(r"(?<![\w.:/-])[0-9][0-9.,]*(?![\w.:/-])", "#", text)
