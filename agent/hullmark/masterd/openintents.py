"""What a master's process that was killed left open in its audit log: the next one looks what became of it, and records that."""

from __future__ import annotations

import asyncio
import dataclasses

from hullmark.masterd.auditing import Auditing
from hullmark.masterd.cluster import Cluster
from hullmark.model.audit import Entry, Outcome, Record, Stage
from hullmark.model.moments import NS_PER_S, nanoseconds

LOOK_S = 0.5
KEPT = frozenset(
    f"request.{name}"
    for name in (
        "apply",
        "scale",
        "remove",
        "move",
        "rollout",
        "set-labels",
        "set-availability",
        "start-maintenance",
        "end-maintenance",
        "remove-host",
        "revoke-token",
        "forget",
    )
)
"""Requests whose answers are written with what they change, so that the store tells whether they were carried out."""
KEPT_S = 80_000.0
"""For how long the store has such an answer, with a reserve: it is a day."""


async def resolve(auditing: Auditing, cluster: Cluster, now: float) -> None:
    """Ends when all are resolved. `now`: since 1970."""
    left = auditing.open_intents()
    if not left:
        return
    while not cluster.readable:  # noqa: ASYNC110  (once in a master's life)
        await asyncio.sleep(LOOK_S)
    for record in left:
        auditing.outcome_later(resolved(record, cluster.answered(record.entry.request_id), now))


def resolved(record: Record, answered_at: float, now: float) -> Entry:
    """`answered_at`: when the store has that the request was carried out; 0.0: it hasn't."""
    entry = record.entry
    how, why = Outcome.UNKNOWN, "the master's process ended before it was done"
    if answered_at:
        how, why = Outcome.SUCCESS, "the master's process ended; the store has that it was done"
    elif entry.kind in KEPT and entry.request_id and now - _at(record) < KEPT_S:
        how, why = Outcome.FAILURE, "the master's process ended; the store has nothing of it"
    return dataclasses.replace(
        entry, stage=Stage.OUTCOME, outcome=how, reason=why, of=record.seq, fields={}
    )


def _at(record: Record) -> float:
    found = nanoseconds(record.at)
    return 0.0 if found is None else found / NS_PER_S
