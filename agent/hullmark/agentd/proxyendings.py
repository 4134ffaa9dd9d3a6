"""Connections through this host's proxy end when the right to them does: what is new is refused by the proxy itself, what is open is ended from here."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import Callable, Optional

from hullmark import log
from hullmark.agentd import pulse
from hullmark.agentd.asked import LOCAL
from hullmark.agentd.outbox import Outbox
from hullmark.core import proxyrights
from hullmark.core.proxyrights import Rights
from hullmark.engine.haproxy import Haproxy
from hullmark.engine.haproxyconfig import HANDSHAKE_S
from hullmark.model.audit import Entry
from hullmark.model.proxy import ProxySight

ENDED = "proxy.ended"
SUBJECT = "proxy"
TOLD_MOST = 20
"""Reasons of one time that are recorded each. Others are summed up."""
AGAIN_S = HANDSHAKE_S + 0.5
"""A former worker lets in by what it was told who had begun to shake hands: that is none of its connections yet when they are looked at."""

_log = log.get("proxy")


class Endings:
    """One thread's."""

    def __init__(
        self,
        haproxy: Haproxy,
        note: Callable[[Entry], None],
        outbox: Outbox,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._haproxy = haproxy
        self._note = note
        self._outbox = outbox
        self._clock = clock
        self._sight: Optional[ProxySight] = None
        self._settled: Optional[Rights] = None
        self._withdrawn: Optional[Rights] = None
        self._again_at = math.inf

    def follow(self, sight: ProxySight) -> None:
        """The proxy has this in force; to be called every few seconds. Nothing is asked of the proxy where nothing was withdrawn lately. Raises
        ProxyUnavailable: then what was withdrawn still is at the next time. An agent that begins looks at what was withdrawn without it."""
        if sight != self._sight:
            before, now = self._settled, proxyrights.rights_of(sight)
            if proxyrights.has_lost(before, now):
                self._end(before, now)
                self._withdrawn = proxyrights.either(self._withdrawn, before)
                self._again_at = self._clock() + AGAIN_S
            self._sight, self._settled = sight, now
        if self._settled is not None and self._clock() >= self._again_at:
            self._end(self._withdrawn, self._settled)
            self._withdrawn, self._again_at = None, math.inf

    def follow_withdrawn(self, sight: ProxySight) -> None:
        """As `follow`, where the proxy was told what was withdrawn by this and could not be told the rest: once it has, all is looked at again."""
        now = proxyrights.rights_of(sight)
        if sight != self._sight and proxyrights.has_lost(self._settled, now):
            self._end(self._settled, now)

    def _end(self, before: Optional[Rights], now: Rights) -> None:
        with pulse.elsewhere():
            self._end_all(before, now)

    def _end_all(self, before: Optional[Rights], now: Rights) -> None:
        found = {
            one: proxyrights.ending(before, now, one)
            for one in self._haproxy.connections(now.hosts)
        }
        ended: Counter[str] = Counter()
        try:
            for one in self._haproxy.end(one for one, why in found.items() if why):
                ended[found[one]] += 1
        finally:
            self._tell_all(ended)

    def _tell_all(self, ended: Counter[str]) -> None:
        told = ended.most_common()
        for why, count in told[:TOLD_MOST]:
            self._tell(why, count)
        if told[TOLD_MOST:]:
            more = sum(count for _, count in told[TOLD_MOST:])
            self._tell(f"{len(told) - TOLD_MOST} more of their kind", more)

    def _tell(self, why: str, count: int) -> None:
        words = f"{count} open connection{'s' if count > 1 else ''} ended: {why}"
        _log.warning("proxy", kind=ENDED, what=words)
        fields = {"connections": str(count)}
        self._note(Entry(ENDED, SUBJECT, origin=LOCAL, reason=words, fields=fields))
        self._outbox.add(ENDED, SUBJECT, words)
