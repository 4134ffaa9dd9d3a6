"""Whether this host's logs arrive elsewhere, and whether others' arrive here.

    this host: canary ── /dev/log ──▶ its log daemon ──▶ ... ──▶ the log host's files
                                                                       │ its agent finds the nonce
    this host's check ◀── leader keeps it for some minutes ◀── receipt ┘

Nobody but the log host and this one knows the nonce. The log host reads only what its `controls.receipts` names.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Optional

from hullmark import log
from hullmark.agentd import pulse
from hullmark.agentd.link import Link
from hullmark.errors import HullmarkError, NotFound
from hullmark.host.eye import Eye
from hullmark.host.incoming import Incoming
from hullmark.host.probes import forwarding
from hullmark.model import canary
from hullmark.model.control import Reading, Trouble
from hullmark.model.outage import Receipt, ReceiptsAnswer, ReceiptsRequest
from hullmark.model.protocol import RECEIPTS_PATH

SYSLOG = "/dev/log"
PRIORITY = 13  # user.notice (RFC 5424, 6.2.1)
TURN_S = 2.0
ANSWER_S = 10.0
AWAITED_MOST = 30
"""Canaries of this host that are asked about; older ones are given up."""
FOUND_MOST = 2000
NO_MASTER, NOT_ASKED = "this host is in no cluster", "not asked yet"
OLD_LEADER = "the leader is of a version that keeps no receipts"

_log = log.get("forwarding")


class Forwarding:
    """For as long as the process lives. `serve` names the host and the leader's line; `run` is one thread's, `look` anybody's."""

    def __init__(
        self,
        patterns: tuple[str, ...],
        wall: Callable[[], float] = time.time,
        syslog: str = SYSLOG,
    ) -> None:
        self._incoming = Incoming(patterns) if patterns else None
        self._wall = wall
        self._syslog = syslog
        self._lock = threading.Lock()
        self._host_id = ""
        self._link: Optional[Link] = None
        self._awaited: OrderedDict[str, float] = OrderedDict()
        self._found: OrderedDict[str, Receipt] = OrderedDict()
        self._trouble = NO_MASTER
        self._asked_since = 0.0
        self._newest, self._seen_by = 0.0, ""

    def serve(self, host_id: str, link: Optional[Link]) -> None:
        """From now on; None where the host is in no cluster."""
        with self._lock:
            self._host_id, self._link = host_id, link
            self._awaited.clear()
            self._asked_since = self._newest = 0.0
            self._trouble = NO_MASTER if link is None else NOT_ASKED

    # -- the check

    def look(self, eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
        configured = forwarding.configured(eye)
        if given.get("forwards") != "yes" and not configured.text:
            return (configured,)
        sent = self._send(eye)
        with self._lock:
            facts = {
                "newest": f"{self._newest:.3f}",
                "asked_since": f"{self._asked_since:.3f}",
                "seen_by": self._seen_by,
                "awaited": str(len(self._awaited)),
            }
            trouble = self._trouble
        facts["asked"] = "no" if trouble in (NO_MASTER, NOT_ASKED) else "yes"
        receipts = Reading(
            "receipts",
            "what the leader has of other hosts",
            errors=trouble,
            trouble=Trouble.FAILED if trouble else Trouble.NONE,
            facts=facts,
            at=self._wall(),
        )
        return configured, sent, receipts

    def _send(self, eye: Eye) -> Reading:
        nonce, at = eye.nonce(), self._wall()
        with self._lock:
            text = canary.make(self._host_id or socket.gethostname(), nonce)
        stamp = time.strftime("%b %e %H:%M:%S", time.localtime(at))
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
                door.settimeout(2.0)
                door.connect(self._syslog)
                door.send(f"<{PRIORITY}>{stamp} hullmark: {text}".encode())
        except OSError as error:
            return Reading("sent", self._syslog, errors=str(error), trouble=Trouble.FAILED, at=at)
        with self._lock:
            self._awaited[nonce] = at
            while len(self._awaited) > AWAITED_MOST:
                self._awaited.popitem(last=False)
        return Reading("sent", self._syslog, text=text, facts={"nonce": nonce}, at=at)

    # -- the loop

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            self._gather()
            self._exchange()
            pulse.rest(stopping, TURN_S)

    def _gather(self) -> None:
        """Canaries of others in what arrives here."""
        if self._incoming is None:
            return
        for text in self._incoming.read(Eye(timeout_s=TURN_S)):
            if canary.MARK not in text:
                continue
            for one in canary.find(text):
                with self._lock:
                    self._found[one.nonce] = Receipt(one.host, one.nonce, "", self._wall())
                    while len(self._found) > FOUND_MOST:
                        self._found.popitem(last=False)

    def _exchange(self) -> None:
        with self._lock:
            link = self._link
            found, asked = tuple(self._found.values()), tuple(self._awaited)
        if link is None or not (found or asked):
            return
        try:
            request = ReceiptsRequest(found, asked)
            answer, _ = link.call(RECEIPTS_PATH, request, ReceiptsAnswer, ANSWER_S)
        except HullmarkError as error:
            said = OLD_LEADER if isinstance(error, NotFound) else error.message
            with self._lock:
                if self._link is link:
                    self._trouble = said
            return
        self._take(link, found, answer)

    def _take(self, link: Link, found: tuple[Receipt, ...], answer: ReceiptsAnswer) -> None:
        now = self._wall()
        with self._lock:
            if self._link is not link:
                return
            for receipt in found:
                self._found.pop(receipt.nonce, None)
            # A leader that has just begun knows nothing of what arrived before, nor this host of what it did not ask about.
            since = now if self._trouble or not self._asked_since else self._asked_since
            self._asked_since = max(since, min(answer.known_since, now))
            self._trouble = ""
            for receipt in answer.receipts:
                sent_at = self._awaited.pop(receipt.nonce, 0.0)
                if sent_at > self._newest:
                    self._newest, self._seen_by = sent_at, receipt.seen_by
