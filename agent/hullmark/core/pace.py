"""The pace of one service's change: how many slots may begin now, and when time alone lets more begin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from hullmark.core.progress import Progress, Turn, pace_of
from hullmark.model.records import AppRecord


@dataclass(frozen=True)
class Pace:
    """Of one service, by slot. `replace`: its older instance may be stopped for its successor (stop-first), or
    get one beside it (start-first). `retire`: its older instance may go, because its successor has shown
    that it is good (start-first)."""

    replace: frozenset[int]
    retire: frozenset[int]


def places(record: AppRecord, item: Progress) -> Optional[int]:
    """How many more slots may be replaced now; None: all."""
    pace = pace_of(record, record.app.services[item.service])
    if not pace.parallelism:
        return None
    good = [s for s in item.of(Turn.GOOD) if s.serving_s]
    if any(slot.serving_s < pace.monitor_s + pace.delay_s for slot in good):
        return 0
    unseen = sum(not slot.known for slot in item.of(Turn.OLD))
    open_ = len(item.of(Turn.OPEN)) + item.missing + unseen
    free = pace.parallelism - open_ - len(item.of(Turn.FAILED))
    return max(free, 0 if open_ else 1)


def turns_s(record: AppRecord, item: Progress) -> Iterator[float]:
    """For each slot how long until it is good, or until its being good lets the next ones begin."""
    pace = pace_of(record, record.app.services[item.service])
    for slot in item.slots:
        if slot.turn is Turn.OPEN and slot.serves:
            yield pace.monitor_s - slot.serving_s
        elif slot.turn is Turn.GOOD and item.of(Turn.OLD):
            yield pace.monitor_s + pace.delay_s - slot.serving_s
