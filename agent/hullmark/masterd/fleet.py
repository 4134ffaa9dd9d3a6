"""The fleet: what agents say of themselves, and when they were last heard. Never stored, never trusted from disk.

A host's picture begins with a full report. A later report is merged only if it follows the one before in the same
life of the agent, and only if its digest agrees; otherwise the picture stays as it was (the host was like that
a moment ago, so nothing decided from it is wrong) and the agent is asked for all of it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Callable, Optional

from hullmark import log
from hullmark.core.absence import is_too_many
from hullmark.core.picture import Picture, merged
from hullmark.model.epoch import NO_EPOCH, Epoch
from hullmark.model.observed import HostState, Report

_log = log.get("fleet")

STALL_S = 2.0
"""Nobody looked at the fleet for this long: this process stood still (overloaded, stopped, or its machine paused),
and the hosts were not to blame. It is looked at with every tick."""
STALL_LEAST_S = 1.0
"""Two ticks. With a short `lost_after_s` half of that counts as a stall, so that one which is not noticed does not
cost a host its whole time; but not less than this."""
QUIET_SHARE = 0.55
"""Of `lost_after_s`: the silence that counts for the brake. A poll is held for at most 0.4 of `lost_after_s`, so a
host that is well is heard sooner. Hosts that fell silent together were last heard at most that far apart: when the
first of them is lost, each other one has been silent for at least 0.6 of `lost_after_s`, and all are counted."""


@dataclass
class _Contact:
    """One host as this leader knows it. `word` is the last state that was told: ready, silent or lost.
    `heard_at` of one that did not call yet is when this leader began to wait for it, and of one that got its time anew when
    that was; `spoke_at` is when it really called."""

    heard_at: float
    called: bool = True
    run: str = ""
    sequence: int = 0
    picture: Optional[Picture] = None
    in_step: bool = False
    comparable: bool = True
    word: str = "ready"
    epoch: Epoch = NO_EPOCH
    spoke_at: Optional[float] = None

    def silent_s(self, now: float) -> float:
        """Since it really called; or, of one that never did, since it has its time to."""
        return now - (self.heard_at if self.spoke_at is None else self.spoke_at)


@dataclass(frozen=True)
class Merged:
    """`changed`: the host's state is not what it was. `resend`: ask for all of it."""

    changed: bool = False
    resend: bool = False


@dataclass(frozen=True)
class Passage:
    """A host went over to another state: `silent`, `lost` or `ready` (it is back). `heard_s`: seconds since it really called before that."""

    host_id: str
    word: str
    heard_s: float


class Fleet:
    """After a stall of this process every host that was not lost before gets its time anew, whoever looks first: a
    plan that is made before the next tick must not take the silence that we slept through for the hosts'. A host
    that was lost stays so until it calls."""

    def __init__(
        self, clock: Callable[[], float], *, silent_after_s: float, lost_after_s: float
    ) -> None:
        self._clock = clock
        self._silent_after_s = silent_after_s
        self._lost_after_s = lost_after_s
        self._stall_s = min(STALL_S, max(STALL_LEAST_S, lost_after_s / 2))
        self._contacts: dict[str, _Contact] = {}
        self._enrolled: dict[str, float] = {}
        self._observed: dict[str, HostState] = {}
        self._excused: frozenset[str] = frozenset()
        self._looked_at = self._waiting_since = clock()
        self._rests_at: Optional[float] = None
        self._restless_at = -math.inf

    @property
    def observed(self) -> Mapping[str, HostState]:
        """Replaced when it changes, never changed."""
        return self._observed

    def waited_s(self) -> float:
        """How long this leader has waited for hosts that it has not heard at all, without a stall."""
        return self._look() - self._waiting_since

    def calm_s(self) -> Optional[float]:
        """How long ago more hosts were silent than by chance; None: never."""
        now = self._look()
        counted = [one for key, one in self._contacts.items() if key not in self._excused]
        quiet_after_s = self._lost_after_s * QUIET_SHARE
        if is_too_many(sum(now - one.heard_at > quiet_after_s for one in counted), len(counted)):
            self._restless_at = now
        return None if math.isinf(self._restless_at) else now - self._restless_at

    def excuse(self, host_ids: frozenset[str]) -> None:
        """Hosts whose silence is expected now. One that no longer is gets its time anew from the moment at which
        that is noticed, by our own clock: the wall clock's steps don't count."""
        now = self._look()
        for host_id in self._excused - host_ids:
            contact = self._contacts.get(host_id)
            if contact is not None:
                contact.heard_at, contact.called, contact.word = now, True, "ready"
        self._excused = host_ids

    def forget(self, host_id: str) -> None:
        """It was removed from the cluster."""
        self._contacts.pop(host_id, None)
        self._enrolled.pop(host_id, None)
        self._observed = {key: kept for key, kept in self._observed.items() if key != host_id}

    def know(self, host_ids: Collection[str]) -> None:
        """Only these are enrolled. One that was removed must not count as silent; one that is new has its time to call from now on."""
        for host_id in [*self._contacts, *self._enrolled]:
            if host_id not in host_ids:
                self.forget(host_id)
        now = self._clock()
        for host_id in host_ids:
            if host_id not in self._contacts:
                self._enrolled.setdefault(host_id, now)

    def enrolled_s(self) -> dict[str, float]:
        """For how long this leader has waited, without a stall, for hosts that were enrolled in its time and that it has not heard."""
        now = self._look()
        return {
            host_id: now - max(at, self._waiting_since)
            for host_id, at in self._enrolled.items()
            if host_id not in self._contacts
        }

    def _look(self) -> float:
        """The time now, which ends a stall if there was one."""
        if self._rests_at is not None:
            return self._rests_at
        now = self._clock()
        late_s, self._looked_at = now - self._looked_at, now
        if late_s > self._stall_s:
            if self._contacts:
                _log.warning("this process stood still", late_s=round(late_s, 1))
            self._waiting_since = now
            for contact in self._contacts.values():
                if contact.word != "lost":
                    contact.heard_at = now
        return now

    def heard_s(self) -> dict[str, float]:
        """Seconds since each host was last heard, or got its time anew: what is decided follows from this."""
        now = self._look()
        return {
            host_id: now - contact.heard_at
            for host_id, contact in self._contacts.items()
            if contact.called
        }

    def spoke_s(self) -> dict[str, float]:
        """Seconds since each host really called: how old what it told is."""
        now = self._look()
        return {
            host_id: now - contact.spoke_at
            for host_id, contact in self._contacts.items()
            if contact.spoke_at is not None
        }

    def quiet(self) -> Mapping[str, tuple[str, float, bool]]:
        """Of each host that this leader heard or waits for: ready, silent or lost, as `tick` told it; for how many seconds it
        said nothing; whether it spoke within the time that it has. One may be ready and not have spoken: it got its time anew."""
        now = self._look()
        return {
            host_id: (
                contact.word,
                contact.silent_s(now),
                contact.spoke_at is not None and now - contact.spoke_at <= self._silent_after_s,
            )
            for host_id, contact in self._contacts.items()
        }

    def expect(self, host_ids: Iterable[str]) -> None:
        """Hosts enrolled under former leaders: each has its time to call, and is told where it doesn't."""
        now = self._waiting_since = self._looked_at = self._clock()
        for host_id in host_ids:
            self._contacts.setdefault(host_id, _Contact(now, called=False))

    def rest(self) -> None:
        """The term has ended. All stays as it was, for whoever asks a master that leads no more."""
        self._rests_at = self._look()

    def claims(self, epoch: Epoch) -> list[tuple[str, Epoch]]:
        """Hosts that say they obey a later epoch. Shown to people; a claim never raises ours."""
        return sorted(
            (host_id, contact.epoch)
            for host_id, contact in self._contacts.items()
            if contact.epoch > epoch
        )

    def hear(self, host_id: str, run: str) -> Optional[Passage]:
        """The host called; a passage where it had been silent."""
        now = self._look()
        contact = self._contacts.setdefault(host_id, _Contact(now))
        silent_s = contact.silent_s(now)
        contact.heard_at, contact.called, contact.spoke_at = now, True, now
        if contact.run != run:
            contact.run, contact.sequence, contact.in_step = run, 0, False
            contact.comparable = True
        if contact.word == "ready":
            return None
        contact.word = "ready"
        return Passage(host_id, "ready", silent_s)

    def lacks_state(self, host_id: str, run: str) -> bool:
        """Whether a full report of this life of the agent is still missing."""
        contact = self._contacts.get(host_id)
        return contact is None or contact.run != run or not contact.in_step

    def merge(self, report: Report) -> Merged:
        """Take in a report. A repeat of the last one changes nothing."""
        now = self._clock()
        contact = self._contacts.setdefault(report.host_id, _Contact(now, spoke_at=now))
        contact.epoch = report.epoch
        if report.full:
            return self._take_full(contact, report)
        if not contact.in_step or contact.run != report.run or contact.picture is None:
            return Merged(resend=True)
        if report.sequence == contact.sequence:
            return Merged()
        picture = merged(contact.picture, report)
        if report.sequence != contact.sequence + 1 or (
            contact.comparable and picture.digest() != report.digest
        ):
            contact.in_step = False
            return Merged(resend=True)
        return self._settle(contact, report, picture)

    def _take_full(self, contact: _Contact, report: Report) -> Merged:
        picture = merged(Picture(), report)
        # An agent of another version may count fields that we don't know. Its full report is the best
        # that can be had, and asking again would never end.
        contact.comparable = picture.digest() == report.digest
        if not contact.comparable:
            _log.warning("digest differs on a full report", host_id=report.host_id)
        contact.run, contact.in_step = report.run, True
        return self._settle(contact, report, picture)

    def _settle(self, contact: _Contact, report: Report, picture: Picture) -> Merged:
        before = contact.picture
        contact.picture, contact.sequence = picture, report.sequence
        if before is not None and before.state == picture.state:
            return Merged()
        self._observed = {**self._observed, report.host_id: picture.state}
        return Merged(changed=True)

    def tick(self) -> Iterable[Passage]:
        """Called about twice a second."""
        now = self._look()
        self.calm_s()
        passages = []
        for host_id, contact in self._contacts.items():
            heard_s = now - contact.heard_at
            word = "ready"
            if heard_s > self._lost_after_s:
                word = "lost"
            elif heard_s > self._silent_after_s:
                word = "silent"
            if word not in (contact.word, "ready") and contact.word != "lost":
                contact.word = word
                passages.append(Passage(host_id, word, contact.silent_s(now)))
        return passages
