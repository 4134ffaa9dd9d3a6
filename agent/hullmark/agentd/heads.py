"""The host's audit log is vouched for: its newest record's hash, signed, goes to each master within seconds, also to one that stands by.

What each master answered last is kept in `seals.json`. With it the host sees whether that master's own file of heads has only grown. One
that was put back to an earlier state is a problem of this host, `audit.master_rolled_back`, and isn't believed until it shows a file that
extends what is known here, or a person has looked into it and removed `seals.json`. In a new incarnation of the cluster, which is an
operator's signed word, a master may begin its file anew: that is only recorded. A master that refuses this host's own log is the problem `audit.refused`.

Nothing is sent while nothing is new, but for once an hour and after each change of leader: a master that was put back is then noticed by
hosts that have nothing to say, too.
"""

from __future__ import annotations

import hashlib
import random
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from hullmark import log
from hullmark.agentd import pulse
from hullmark.agentd.auditing import Auditing
from hullmark.agentd.identity import Identity
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.lines import Lines, Peer, Silent
from hullmark.agentd.link import Link
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.problems import Problems
from hullmark.agentd.waits import Waits
from hullmark.core.sealing import Relation, Seals, answered, offer
from hullmark.errors import (
    AuditUnavailable,
    BrokenState,
    Forbidden,
    HullmarkError,
    NotFound,
    Refused,
)
from hullmark.host.auditfile import AuditFile
from hullmark.model.audit import ALGORITHM, Entry, Head, Outcome, SignedHead
from hullmark.model.protocol import HEADS_PATH, HeadAnswer
from hullmark.pki import libcrypto, vouched
from hullmark.pki.files import read_document, read_private, write_document

FILE = "seals.json"
LOOK_S = 1.0
GAP_S = 2.0
"""Least time between two heads to one master: a burst of records costs a few."""
REFRESH_S = 3600.0
DOUBTED_S = 30.0
"""How soon a master that is not believed may show that it is the right one after all."""
SPREAD_S = 5.0
"""After a change of leader hosts come within this, not all at once."""
ANSWER_S = 10.0
RETRY_S = (1.0, 15.0)
OLD_S = 600.0
"""How soon a master of an older version, which knows nothing of this, is asked again."""
ROUNDS_MOST = 1000
MASTER_ROLLED_BACK = "audit.master_rolled_back"
MASTER_AS_BEFORE, MASTER_ANEW = "audit.master_as_before", "audit.master_begun_anew"
REFUSED, UNSEALED = "audit.refused", "audit.unsealed"
UNSEALED_AFTER_S = 60.0
LOOK_INTO_IT = "docs/operations/audit.md says how to find out what was done, and how to go on"

_log = log.get("heads")


@dataclass(frozen=True)
class Told:
    """Where it is told what is wrong: the host's problems, its events, its own record."""

    problems: Problems
    outbox: Outbox
    note: Callable[[Entry], None]


@dataclass
class _Place:
    """A URL: which master answers there, as far as is known; `trouble_since`: since when it answers that it does not seal."""

    name: str = ""
    next_at: float = 0.0
    waits: Waits = field(default_factory=lambda: Waits(*RETRY_S))
    trouble: str = ""
    trouble_since: float = 0.0


@dataclass(frozen=True)
class Sources:
    """`urls` are all masters', `file` is the log, `leader` who leads, as text; empty: not known yet; `incarnation` is the cluster's. The first raises BrokenState, the
    second AuditUnavailable."""

    urls: Callable[[], Sequence[str]]
    file: Callable[[], AuditFile]
    leader: Callable[[], str]
    incarnation: Callable[[], int] = lambda: 0


def sources_of(link: Link, auditing: Auditing, ledger: Ledger) -> Sources:
    def leader() -> str:
        held = ledger.held
        return f"{held.leader} {held.epoch}" if held.leader else ""

    return Sources(link.urls, lambda: auditing.file, leader, lambda: ledger.held.epoch.incarnation)


class Heads:
    """`run` and `turn` are one thread's."""

    def __init__(
        self,
        identity: Identity,
        lines: Lines,
        sources: Sources,
        told: Told,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._file = identity.folder / FILE
        self._identity = identity
        self._lines = lines
        self._sources = sources
        self._told = told
        self._clock = clock
        self._chance = chance
        self._places: dict[str, _Place] = {}
        self._offered_at: dict[str, float] = {}
        self._late = log.Lasting(
            _log,
            "what the masters sealed is not kept",
            "what the masters sealed is kept again",
            grave=True,
        )
        self._led_by = ""
        self._refused: dict[str, str] = {}
        self._seals = self._load()

    def run(self, stopping: threading.Event) -> None:
        self._show()
        while not stopping.is_set():
            self.turn()
            pulse.rest(stopping, LOOK_S)

    def turn(self) -> None:
        """Offer the newest head to each master that has not sealed it, where it is time."""
        self._look_for_acceptance()
        try:
            urls, head = self._sources.urls(), self._sources.file().head
        except (AuditUnavailable, BrokenState):
            return  # others say what is wrong
        if head.seq < 1:
            return
        self._note_leader()
        served: set[str] = set()
        for url in sorted(urls, key=self._is_in_trouble):
            place = self._places.setdefault(url, _Place())
            if place.name in served or not self._is_due(place, head):
                served.add(place.name)
                continue
            if self._clock() >= place.next_at:
                self._try(url, place, head)
                if not place.trouble:
                    served.add(place.name)
        self._show()

    def _is_in_trouble(self, url: str) -> bool:
        place = self._places.get(url)
        return place is not None and bool(place.trouble)

    def _note_leader(self) -> None:
        """Another one leads: each master is shown the head anew."""
        leader, before = self._sources.leader(), self._led_by
        if leader != before:
            self._led_by = leader
            if before:
                now = self._clock()
                late = now - REFRESH_S + self._chance() * SPREAD_S
                self._offered_at = dict.fromkeys(self._offered_at, late)
                for place in self._places.values():
                    place.next_at = min(place.next_at, late + REFRESH_S)

    def _is_due(self, place: _Place, head: Head) -> bool:
        if not place.name:
            return True
        relation, now = self._seals.of(place.name), self._clock()
        offered_at = self._offered_at.get(place.name, -REFRESH_S)
        if relation.rolled_back:
            return now - offered_at >= DOUBTED_S
        if relation.has_sealed(head):
            return now - offered_at >= REFRESH_S
        return now - offered_at >= GAP_S

    def _try(self, url: str, place: _Place, head: Head) -> None:
        """What fails is tried again later, at another URL of that master at once."""
        try:
            self._offer(url, place, self._signed(head))
        except NotFound:
            place.next_at, place.trouble = self._clock() + OLD_S, "it is older than this"
            return
        except HullmarkError as error:
            # What isn't heard, or isn't let in, is told elsewhere already.
            told_elsewhere = isinstance(error, (Silent, Forbidden, BrokenState))
            if not place.trouble:
                _log.info("not vouched for yet", why=error.message)
            if not place.trouble or told_elsewhere:
                place.trouble_since = self._clock()
            place.trouble = error.message
            place.next_at = self._clock() + place.waits.next()
            return
        place.trouble, place.next_at = "", 0.0
        place.waits.reset()

    def _signed(self, head: Head) -> SignedHead:
        """Raises BrokenState where key or certificate can't be used."""
        enrolled, _ = self._identity.usable()
        folder = self._identity.folder
        try:
            pem = (folder / enrolled.certificate_name).read_text()
            key = read_private(folder / enrolled.key_name)
        except (OSError, NotFound) as error:
            raise BrokenState(f"this host's key can't be read: {error}") from error
        first = pem.partition(ssl.PEM_FOOTER)[0] + ssl.PEM_FOOTER
        certificate = ssl.PEM_cert_to_DER_cert(first[first.index(ssl.PEM_HEADER) :] + "\n")
        signature = libcrypto.sign(key, vouched.of_head(head))
        return SignedHead(head, hashlib.sha256(certificate).hexdigest(), signature, ALGORITHM)

    def _offer(self, url: str, place: _Place, signed: SignedHead) -> None:
        relation = self._seals.of(place.name) if place.name else Relation()
        for _ in range(ROUNDS_MOST):
            answer, peer = self._lines.ask(
                url, HEADS_PATH, offer(relation, signed), HeadAnswer, ANSWER_S
            )
            if peer.name != place.name:
                # Known by its certificate only now: it is held against what it was before.
                place.name, relation = peer.name, self._seals.of(peer.name)
                another = peer.name in self._offered_at  # address of one that has it already
                if another and (relation.rolled_back or relation.has_sealed(signed.head)):
                    return
                if relation.known.number:
                    continue
            self._offered_at[peer.name] = self._clock()
            if answer.why:
                self._set_refused(peer.name, answer.why)
                raise Refused(answer.why)
            before, relation = relation, self._judged(relation, signed, answer, peer)
            if relation.rolled_back and self._sources.incarnation() > before.incarnation:
                self._note(MASTER_ANEW, peer.name, relation, Outcome.SUCCESS)
                relation = Relation()
            elif relation.rolled_back:
                if not before.rolled_back:
                    self._keep(self._seals.put(peer.name, relation))
                    self._note(MASTER_ROLLED_BACK, peer.name, relation, Outcome.FAILURE)
                return
            elif answer.seal is not None:
                self._refused.pop(peer.name, None)
                if before.rolled_back:
                    self._note(MASTER_AS_BEFORE, peer.name, before, Outcome.SUCCESS)
                now = replace(relation, incarnation=self._sources.incarnation())
                self._keep(self._seals.put(peer.name, now))
                return
        raise Refused(f"{url} does not come to an end with what it has to show")

    def _judged(
        self, relation: Relation, signed: SignedHead, answer: HeadAnswer, peer: Peer
    ) -> Relation:
        """Raises Refused for a seal that is no evidence."""
        seal = answer.seal
        if seal is not None and not (
            seal.master == peer.name
            and seal.algorithm == ALGORITHM
            and libcrypto.is_signed(peer.certificate, vouched.of_seal(seal), seal.signature)
        ):
            raise Refused(f"the seal of master {peer.name} is not signed by it")
        return answered(relation, signed, answer)

    def _set_refused(self, name: str, why: str) -> None:
        if self._refused.get(name) == why:
            return
        self._refused[name] = why
        self._told.note(
            Entry(REFUSED, f"master {name}", outcome=Outcome.FAILURE, reason=why, fields={})
        )
        self._told.outbox.add(REFUSED, f"master {name}", why)

    def _note(self, kind: str, name: str, relation: Relation, outcome: Outcome) -> None:
        """`relation`: what is known of the master, and was contradicted."""
        fields = {"number": str(relation.known.number), "link": relation.known.link}
        _log.error("a master is not as it was", kind=kind, master=name, why=relation.rolled_back)
        subject, why = f"master {name}", relation.rolled_back
        self._told.note(Entry(kind, subject, outcome=outcome, reason=why, fields=fields))
        self._told.outbox.add(kind, subject, why, **fields)

    def _show(self) -> None:
        """What is wrong now, as problems of the host."""
        back = {name: one.rolled_back for name, one in self._seals.masters.items()}
        now = self._clock()
        unsealed = {
            place.name or url: place.trouble
            for url, place in self._places.items()
            if place.trouble
            and now - place.trouble_since > UNSEALED_AFTER_S
            and place.name not in self._refused
            and place.next_at - now < OLD_S / 2
        }
        remove = f"; to go on with it as it is: rm {self._file}"
        self._problem(MASTER_ROLLED_BACK, back, "was put back to an earlier state", remove)
        self._problem(REFUSED, self._refused, "refuses this host's audit log", "")
        self._problem(UNSEALED, unsealed, "does not vouch for this host's audit log", "")

    def _problem(self, code: str, found: dict[str, str], what: str, more: str) -> None:
        texts = [f"master {name} {what}: {why}" for name, why in sorted(found.items()) if why]
        if texts:
            self._told.problems.set(code, "; ".join(texts), LOOK_INTO_IT + more)
        else:
            self._told.problems.clear(code)

    def _look_for_acceptance(self) -> None:
        """A person removed the file, and with it what was known."""
        if any(one.rolled_back for one in self._seals.masters.values()) and not self._file.exists():
            self._seals = Seals()
            self._offered_at.clear()

    def _load(self) -> Seals:
        try:
            return read_document(Seals, self._file) or Seals()
        except BrokenState as error:
            _log.error("what the masters sealed can't be read; it begins anew", why=error.message)
            return Seals()

    def _keep(self, seals: Seals) -> None:
        self._seals = seals
        try:
            write_document(self._file, seals)
        except OSError as error:
            why = error.strerror or str(error)
            self._late.failed(why, why)
        else:
            self._late.done()
