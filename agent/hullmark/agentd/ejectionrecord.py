"""The record of an ejection: who did it, and each change of the engine that it made.

It goes into the log of the agent, which has gone by then. What was open there is looked at first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from hullmark.agentd.asked import LOCAL, Asked, asking
from hullmark.agentd.gate import words_of
from hullmark.agentd.guard import Guard
from hullmark.errors import AuditUnavailable
from hullmark.model.audit import Actor, Entry, Outcome, Stage

KIND = "host.eject"


@contextmanager
def recorded(guard: Guard, host_id: str, host: str, person: str) -> Iterator[None]:
    """Raises AuditUnavailable where the log can't be written; nothing of the engine was changed then."""
    asked = Asked(person, Actor.HUMAN, LOCAL, reason="the host leaves its cluster", essential=True)
    intent = Entry(
        KIND,
        f"host {host}",
        Stage.INTENT,
        Outcome.PENDING,
        by=person,
        actor=Actor.HUMAN,
        origin=LOCAL,
    )
    guard.auditing.serve(host_id)
    try:
        of = _begin(guard, intent)
        with asking(asked):
            try:
                yield
            except BaseException as error:
                _end(guard, intent, of, Outcome.FAILURE, words_of(error))
                raise
        _end(guard, intent, of, Outcome.SUCCESS, "")
    finally:
        guard.auditing.close()


def _begin(guard: Guard, intent: Entry) -> int:
    try:
        return guard.auditing.intend(intent, essential=True)
    except AuditUnavailable as error:
        raise AuditUnavailable(
            f"the host is ejected, and its containers' restart policies are not changed yet: {error.message}",
            remedy="free space or mend the disk, then repeat this: it goes on where it was",
        ) from error


def _end(guard: Guard, intent: Entry, of: int, outcome: Outcome, why: str) -> None:
    guard.auditing.conclude(
        replace(intent, stage=Stage.OUTCOME, outcome=outcome, reason=why, of=of)
    )
