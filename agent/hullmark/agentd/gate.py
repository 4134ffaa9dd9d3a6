"""The agent's gate to the engine: each deed is judged, its intent recorded, done, and its outcome recorded.

    judged -> intent on the disk -> the engine's call -> outcome on the disk
       |            |
       |            └─ can't be written: AuditUnavailable, and nothing is done
       └─ forbidden: the refusal is recorded, PolicyRefused, and nothing is done

One deed is done whatever the log does: the stop of a container whose place another host may take (`Asked.anyhow`). It
waits a moment for its intent, and is recorded when it can be.

Before the first deed of a process it is looked what became of those that another one left in the middle (`aftermath`): later
it could not be told any more. Nothing passes while that can't be looked at.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Protocol

from hullmark.agentd.asked import Asked, current
from hullmark.agentd.auditing import Auditing
from hullmark.agentd.deedwords import BECAME, RESTART, entry_of
from hullmark.agentd.owndeeds import OwnDeeds
from hullmark.engine.protocol import Deed, DeedKind, Passage
from hullmark.errors import AuditUnavailable, HullmarkError, PolicyRefused, Unavailable
from hullmark.model.audit import Entry, Outcome, Stage

NO_SEQ = 0
"""In place of an intent's sequence number where there is no intent."""
NO_INTENT = "without_intent"
"""The field of a deed that was done though its intent was not on the disk by then. If it came there later, its own outcome says
that it was not begun: this record says what was done."""
ANYHOW_S = 1.0
"""How long a deed that is done anyhow waits for its intent to be on the disk."""


class Judge(Protocol):
    """What the host's own policy says of a deed. May be asked from any thread."""

    def judge(self, deed: Deed) -> None:
        """Raises PolicyRefused, naming the rule with its file and line; and what the engine says where what has to be known can't
        be looked up. Then too nothing is done."""
        ...

    def ended(self, deed: Deed) -> None:
        """A deed that it let pass is done, or won't be."""
        ...


class OpenJudge:
    """Refuses nothing: for a host without a policy, and for tests."""

    def judge(self, deed: Deed) -> None:
        """Nothing is forbidden."""

    def ended(self, deed: Deed) -> None:
        """Nothing waits for it."""


class RecordingGate:
    """A Gate. `settle` makes sure that no earlier process's deeds are open any more; it raises where it can't look."""

    def __init__(
        self, auditing: Auditing, judge: Judge, settle: Callable[[], None] = lambda: None
    ) -> None:
        self._auditing = auditing
        self.judge = judge
        self.settle = settle
        self.own = OwnDeeds()

    @contextmanager
    def passing(self, deed: Deed) -> Iterator[Passage]:
        asked = current()
        intent = entry_of(deed, asked)
        if not asked.anyhow:
            self.settle()
        self._judge(deed, intent)
        try:
            with self._recorded(deed, intent, asked) as passage:
                yield passage
        finally:
            self.judge.ended(deed)

    @contextmanager
    def _recorded(self, deed: Deed, intent: Entry, asked: Asked) -> Iterator[Passage]:
        number = self._intend(intent, deed, asked)
        passage = Passage(deed.container_id, intent.image_digest)
        try:
            with self.own.doing(deed, passage):
                yield passage
        except BaseException as error:
            self._end(intent, number(), passage, outcome_of(error), words_of(error))
            raise
        self._end(intent, number(), passage, *came_to(intent, passage))

    def _judge(self, deed: Deed, intent: Entry) -> None:
        try:
            self.judge.judge(deed)
        except HullmarkError as error:
            refused = isinstance(error, PolicyRefused)
            outcome = Outcome.REFUSED if refused else Outcome.FAILURE
            self._auditing.note(replace(intent, outcome=outcome, reason=error.message))
            raise

    def _intend(self, intent: Entry, deed: Deed, asked: Asked) -> Callable[[], int]:
        """Gives the intent's sequence number, `NO_SEQ` where it isn't recorded by then."""
        entry = replace(intent, stage=Stage.INTENT, outcome=Outcome.PENDING)
        if asked.anyhow:
            return self._intend_anyhow(entry)
        seq = self._auditing.intend(entry, essential=is_essential(deed, asked))
        return lambda: seq

    def _intend_anyhow(self, entry: Entry) -> Callable[[], int]:
        """Without waiting for a slow disk: others count on it that this is done in time."""
        found: list[int] = []

        def intend() -> None:
            with suppress(AuditUnavailable):
                found.append(self._auditing.intend(entry, essential=True))

        thread = threading.Thread(target=intend, name="intend", daemon=True)
        thread.start()
        thread.join(ANYHOW_S)
        return lambda: found[0] if found else NO_SEQ

    def _end(self, intent: Entry, of: int, passage: Passage, outcome: Outcome, why: str) -> None:
        entry = replace(
            intent,
            stage=Stage.OUTCOME if of else Stage.EVENT,
            outcome=outcome,
            reason=why,
            container_id=passage.container_id,
            image_digest=passage.image_digest,
            of=of,
            fields={**intent.fields, **passage.fields, **({} if of else {NO_INTENT: "yes"})},
        )
        self._auditing.conclude(entry)


def is_essential(deed: Deed, asked: Asked) -> bool:
    """A stop takes nothing new into the world, whoever asks for it."""
    return asked.essential or deed.kind is DeedKind.CONTAINER_STOP


def came_to(intent: Entry, passage: Passage) -> tuple[Outcome, str]:
    """Of a deed that raised nothing. An engine that can't change a restart policy leaves it and says nothing."""
    became = passage.fields.get(BECAME)
    if became is None or became == intent.fields.get(RESTART):
        return Outcome.SUCCESS, intent.reason
    return Outcome.FAILURE, f"the engine keeps the restart policy {became}"


def outcome_of(error: BaseException) -> Outcome:
    """Where no answer came, the engine may have done it."""
    return Outcome.UNKNOWN if isinstance(error, Unavailable) else Outcome.FAILURE


def words_of(error: BaseException) -> str:
    if isinstance(error, HullmarkError):
        return error.message
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
