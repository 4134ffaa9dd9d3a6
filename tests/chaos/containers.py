"""The rules about containers: none is stopped, started again or doubled because of a fault of the control side."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.chaos.record import Fault, Happening, History, Spec

BROKEN_S = 15.0
"""How long after a host was broken and came back its containers may still be found dead, and be started."""
TOGETHER_S = 15.0
"""How long two instances of a replaceable slot may run after the host that was lost is heard again: the agent finds the leader,
is told, and stops one within its grace."""
SOONER = 0.7
"""From this part of `lost_after` on a host that is not heard may lose instances: a fault's first moment is not the last
moment in which the host was heard, a poll's hold before it is."""
FOLLOWED_S = 5.0
"""How long a pair may take to have a leader that is heard. Where nobody at all could lead it begins to count once somebody can:
a master that comes back waits for the one that the record names, which may live, and only then follows it."""
NEVER = math.inf

Slot = tuple[str, str, int]


@dataclass(frozen=True)
class Life:
    """A container's run, until it died or its host was broken."""

    host: str
    container: str
    begin_s: float
    end_s: float


def restarted(history: History) -> Iterator[str]:
    """No container is started a second time, unless a fault broke its host, or its service's word is `stop` and no leader was
    heard there: the same container then goes on."""
    started: dict[str, float] = {}
    for act in _in_order(history):
        if act.action != "start":
            continue
        before = started.get(act.container)
        if (
            before is not None
            and not any(
                act.host in fault.broken and before <= fault.end_s and act.at_s >= fault.begin_s
                for fault in history.faults
            )
            and not (history.kinds.get(act.app) == "stop" and _lost(history, act))
        ):
            yield f"{name(act)} ({act.container[:12]} on {act.host}) was started again at {act.at_s:.1f}"
        started[act.container] = act.at_s


def stopped(history: History) -> Iterator[str]:
    """A container dies where its host was broken, where a client asked for something else, or where its host was not heard for
    `lost_after` and its service says so; for nothing else."""
    for act in _in_order(history):
        if act.action != "die" or _broken_then(history, act):
            continue
        if _asked_away(history, act) or _lost(history, act):
            continue
        yield f"{name(act)} ({act.container[:12]} on {act.host}) died at {act.at_s:.1f}"


def doubled(history: History) -> Iterator[str]:
    """No slot of `keep` or `stop` has two containers running at a time; one of `replace` only after its host was lost, and
    until a little after that host is heard again."""
    for slot, lives in _lives(history).items():
        for first, second in _overlaps(lives):
            begin, end = max(first.begin_s, second.begin_s), min(first.end_s, second.end_s)
            where = f"{first.host} and {second.host} from {begin:.1f} to {end:.1f}"
            kind = history.kinds.get(slot[0], "replace")
            if kind != "replace":
                yield f"{slot[0]}/{slot[1]}.{slot[2]} ({kind}) ran twice: {where}"
            elif not any(
                begin >= fault.begin_s and end <= fault.end_s + TOGETHER_S
                for fault in _losses(history)
                if not fault.control and {first.host, second.host}.intersection(fault.unheard)
            ):
                yield f"{slot[0]}/{slot[1]}.{slot[2]} ran twice with no host lost, or for too long: {where}"


def name(act: Happening) -> str:
    return f"{act.app}/{act.service}.{act.slot} g{act.generation}"


def _in_order(history: History) -> list[Happening]:
    return sorted(history.happenings, key=lambda act: act.at_s)


def _broken_then(history: History, act: Happening) -> bool:
    return any(
        act.host in fault.broken and fault.begin_s <= act.at_s <= fault.end_s + BROKEN_S
        for fault in history.faults
    )


def _asked_away(history: History, act: Happening) -> bool:
    """Whether a request sent before asks for another generation of it, or for fewer."""
    sent: dict[str, float] = {}
    for one in history.tries:
        sent[one.request_id] = min(one.sent_s, sent.get(one.request_id, one.sent_s))
    return any(
        _replaces(spec, act)
        for spec in history.specs
        if spec.app == act.app and sent.get(spec.request_id, NEVER) <= act.at_s
    )


def _replaces(spec: Spec, act: Happening) -> bool:
    """A removal leaves the generation as it was."""
    if spec.generation < act.generation or (spec.generation == act.generation and spec.replicas):
        return False
    wanted = spec.replicas.get(act.service, 0)
    return act.slot > wanted or spec.generations.get(act.service, 0) > act.generation


def _losses(history: History) -> list[Fault]:
    """Faults that left a host unheard for long enough to be lost. Those of one host that follow each other at once count as one,
    which is the control side's where all of them are. One in which nobody could lead is felt `FOLLOWED_S` longer: a `stop` that
    counts its ten seconds meanwhile is right. Where one of the pair could lead nothing is added."""
    found: list[Fault] = []
    for host in sorted({host for fault in history.faults for host in fault.unheard}):
        spans: list[Fault] = []
        for fault in sorted(map(_felt, history.faults), key=lambda one: one.begin_s):
            if host not in fault.unheard:
                continue
            if spans and fault.begin_s <= spans[-1].end_s + 0.5 * history.lost_after_s:
                last = spans[-1]
                end_s, control = max(last.end_s, fault.end_s), last.control and fault.control
                spans[-1] = replace(last, end_s=end_s, control=control)
            else:
                spans.append(replace(fault, unheard=(host,)))
        found += [
            span for span in spans if span.end_s - span.begin_s >= SOONER * history.lost_after_s
        ]
    return found


def _felt(fault: Fault) -> Fault:
    return replace(fault, end_s=fault.end_s + FOLLOWED_S) if fault.leaderless else fault


def _lost(history: History, act: Happening) -> bool:
    """Whether the loss of a host explains that this container ends. Of a replaceable slot it may be the one that was started
    elsewhere meanwhile. Where the control side was away only `stop` is a reason."""
    kind = history.kinds.get(act.app, "replace")
    if kind == "keep":
        return False
    return any(
        fault.begin_s + SOONER * history.lost_after_s <= act.at_s <= fault.end_s + TOGETHER_S
        and (act.host in fault.unheard if kind == "stop" else not fault.control)
        for fault in _losses(history)
    )


def _lives(history: History) -> dict[Slot, list[Life]]:
    ends = [(fault.begin_s, host) for fault in history.faults for host in fault.broken]
    begun: dict[str, Happening] = {}
    found: dict[Slot, list[Life]] = defaultdict(list)

    def end(act: Happening, at_s: float) -> None:
        broken = [when for when, host in ends if host == act.host and act.at_s <= when <= at_s]
        life = Life(act.host, act.container, act.at_s, min([at_s, *broken]))
        found[act.app, act.service, act.slot].append(life)

    for act in _in_order(history):
        if act.action == "start":
            if act.container in begun:
                end(begun.pop(act.container), act.at_s)
            begun[act.container] = act
        elif act.action in ("die", "destroy") and act.container in begun:
            end(begun.pop(act.container), act.at_s)
    for act in begun.values():
        end(act, NEVER)
    return found


def _overlaps(lives: list[Life]) -> Iterator[tuple[Life, Life]]:
    for number, first in enumerate(lives):
        for second in lives[number + 1 :]:
            apart = first.end_s <= second.begin_s or second.end_s <= first.begin_s
            if not apart and first.container != second.container:
                yield first, second
