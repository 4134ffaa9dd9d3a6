"""The rules that a pair keeps under faults, as pure functions of a history.

    for broken in check(history):
        print(broken)

Each rule has tests with histories that break it: a checker that finds nothing has to be one that would.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Callable

from tests.chaos.containers import doubled, name, restarted, stopped
from tests.chaos.record import History, Round, Try

ROUND_MOST_S = 20.0
"""A round's faults begin and are healed within this."""


@dataclass(frozen=True)
class Violation:
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


def one_leader(history: History) -> Iterator[str]:
    """Whatever names a leader of an epoch - the store, an agent's disk - names the same one, and the store's epochs rise."""
    leaders: dict[tuple[int, int], tuple[str, str]] = {}
    last = (0, 0)
    for reign in sorted(history.reigns, key=lambda one: one.revision):
        if reign.epoch < last or (reign.leader and reign.epoch == last):
            yield f"epoch {reign.epoch} was written at revision {reign.revision}, after {last}"
        last = max(last, reign.epoch)
        if reign.leader:
            known = leaders.setdefault(reign.epoch, (reign.leader, "the store"))
            if known[0] != reign.leader:
                yield f"epoch {reign.epoch} is of {known[0]} and of {reign.leader}"
    for held in history.obeyed:
        if held.leader:
            known = leaders.setdefault(held.epoch, (held.leader, held.host))
            if known[0] != held.leader:
                yield f"epoch {held.epoch}: {held.host} obeyed {held.leader}, {known[1]} says {known[0]}"
    known_epochs = {reign.epoch for reign in history.reigns}
    for epoch in sorted({held.epoch for held in history.obeyed if held.leader} - known_epochs):
        yield f"epoch {epoch} was obeyed, and is not in the store's history"


def agents_never_fall(history: History) -> Iterator[str]:
    """Neither what an agent's disk holds nor the epoch that it makes containers under ever gets lower, and orders of one
    epoch are not replaced by older ones."""
    held: dict[str, tuple[tuple[int, int], int]] = {}
    for one in sorted(history.obeyed, key=lambda each: each.at_s):
        now = one.epoch, one.revision
        before = held.get(one.host, now)
        if now < before:
            yield f"{one.host} held {before}, and then {now}"
        held[one.host] = max(before, now)
    made: dict[str, tuple[int, int]] = {}
    for act in sorted(history.happenings, key=lambda each: each.at_s):
        if act.action == "create":
            if act.epoch < made.get(act.host, act.epoch):
                yield f"{act.host} made {name(act)} under {act.epoch} after {made[act.host]}"
            made[act.host] = max(act.epoch, made.get(act.host, act.epoch))


def nothing_lost(history: History) -> Iterator[str]:
    """Each change that a client was told is done is in the store's history, once, in the generation that was told, and the
    leader serves that generation or a newer one afterwards."""
    yield from _generations_fall(history)
    made: dict[str, set[int]] = defaultdict(set)
    stored: dict[str, set[int]] = defaultdict(set)
    for spec in history.specs:
        made[spec.request_id].add(spec.generation)
        stored[spec.app].add(spec.generation)
    told: dict[str, set[int]] = defaultdict(set)
    for one in _done(history):
        told[one.request_id].add(one.generation)
        # A request that found the app as it asks for makes no generation of its own.
        if one.generation not in (made[one.request_id] or stored[one.app]):
            yield f"{one.app}: acknowledged generation {one.generation} ({one.request_id}) is lost"
    for what, found in (("carried out", made), ("answered", told)):
        for request_id, generations in found.items():
            if request_id and len(generations) > 1:
                yield f"request {request_id} was {what} differently: {sorted(generations)}"
    yield from _not_served(history)


def _generations_fall(history: History) -> Iterator[str]:
    newest: dict[str, int] = defaultdict(int)
    for spec in sorted(history.specs, key=lambda one: one.revision):
        if spec.generation < newest[spec.app]:
            yield f"{spec.app}: generation {spec.generation} was stored after {newest[spec.app]}"
        newest[spec.app] = max(newest[spec.app], spec.generation)


def _not_served(history: History) -> Iterator[str]:
    removed = {spec.app for spec in history.specs if not spec.replicas}
    for rest in history.rests:
        for one in _done(history):
            served = rest.generations.get(one.app, 0)
            if one.ended_s < rest.at_s and served < one.generation and one.app not in removed:
                yield f"{one.app}: {one.generation} was acknowledged, and {served} is served later"


def nothing_reordered(history: History) -> Iterator[str]:
    """Of two acknowledged changes of an app the one that was answered before the other was first sent has the lower generation."""
    begun: dict[str, float] = {}
    for one in history.tries:
        begun[one.request_id] = min(one.sent_s, begun.get(one.request_id, one.sent_s))
    done: dict[str, dict[str, Try]] = defaultdict(dict)
    for one in sorted(_done(history), key=lambda each: each.ended_s):
        done[one.app].setdefault(one.request_id, one)
    for app, changes in done.items():
        for first in changes.values():
            for then in changes.values():
                if first.ended_s < begun[then.request_id] and first.generation > then.generation:
                    yield (
                        f"{app}: {then.request_id} came after {first.request_id}, and is generation"
                        f" {then.generation}, not above {first.generation}"
                    )


def converged(history: History) -> Iterator[str]:
    """After each round what runs is what the store's newest records ask for, once each, and nothing else."""
    for number, one in enumerate(history.rounds):
        rests = [rest for rest in history.rests if one.begin_s <= rest.at_s <= one.end_s]
        if not rests:
            yield f"round {number} (seed {one.seed}) has no end"
            continue
        rest = rests[-1]
        if not rest.settled:
            yield f"round {number} (seed {one.seed}) did not come to rest: {rest.why}"
            continue
        wanted = sorted(_wanted(history, rest.generations))
        running = sorted((run.app, run.service, run.slot, run.generation) for run in rest.running)
        if running != wanted:
            yield f"round {number} (seed {one.seed}): {_difference(wanted, running)}"


def refused(history: History) -> Iterator[str]:
    """Nobody is answered by a service that it may not call, whatever became of proxies."""
    for rest in history.rests:
        for who in rest.intruders:
            yield f"{who} was answered at {rest.at_s:.1f}"


def something_happened(history: History) -> Iterator[str]:
    """A round with no proven fault, no acknowledged change, no container or no term in it says nothing; nor does one that
    took too long. A store's history with gaps says less than it seems to."""
    if not history.rounds:
        yield "there was no round"
    if not any(reign.leader for reign in history.reigns):
        yield "no term is in the store's history"
    if not history.specs:
        yield "no app is in the store's history"
    for number, one in enumerate(history.rounds):
        yield from (f"round {number} (seed {one.seed}): {what}" for what in _missing(history, one))


def _missing(history: History, one: Round) -> Iterator[str]:
    faults = [fault for fault in history.faults if one.begin_s <= fault.begin_s <= one.end_s]
    if not faults:
        yield "no fault"
    for fault in faults:
        if not fault.proof:
            yield f"nothing shows that {fault.name} of {fault.target} took effect"
    if (
        faults
        and max(fault.begin_s + fault.lasted_s for fault in faults) > one.begin_s + ROUND_MOST_S
    ):
        yield f"its faults lasted longer than {ROUND_MOST_S:g} s"
    for what, times in (
        ("no change was acknowledged", [done.ended_s for done in _done(history)]),
        ("no engine did anything", [act.at_s for act in history.happenings]),
        ("no agent was looked at", [held.at_s for held in history.obeyed]),
    ):
        if not any(one.begin_s <= at <= one.end_s for at in times):
            yield what


def _done(history: History) -> Iterator[Try]:
    return (one for one in history.tries if one.outcome == "done")


def _wanted(
    history: History, generations: Mapping[str, int]
) -> Iterator[tuple[str, str, int, int]]:
    """What the store's records of these generations ask for."""
    found = {(spec.app, spec.generation): spec for spec in history.specs}
    for app, generation in generations.items():
        spec = found.get((app, generation))
        for service, replicas in (spec.replicas if spec else {}).items():
            assert spec is not None
            for slot in range(1, replicas + 1):
                yield app, service, slot, spec.generations[service]


def _difference(
    wanted: list[tuple[str, str, int, int]], running: list[tuple[str, str, int, int]]
) -> str:
    missing = [one for one in wanted if one not in running]
    more = [one for one in running if one not in wanted or running.count(one) > 1]
    return f"missing {missing}, too much {more}"


RULES: tuple[Callable[[History], Iterator[str]], ...] = (
    one_leader,
    agents_never_fall,
    nothing_lost,
    nothing_reordered,
    restarted,
    stopped,
    doubled,
    converged,
    refused,
    something_happened,
)


def check(history: History) -> list[Violation]:
    """What is broken; nothing where all holds."""
    return [
        Violation(rule.__name__.replace("_", " "), what)
        for rule in RULES
        for what in dict.fromkeys(rule(history))
    ]
