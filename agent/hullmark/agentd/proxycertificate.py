"""The certificate of this host's proxy: made where there is none, anew when a third of its life is left, or it is not valid yet.

    certificate = ProxyCertificate(folder, proxy_folder, identity, problems, renew)
    certificate.when_changed(wake)     # called, without arguments, from its loop
    certificate.digest                 # of what the proxy is to use now; empty where there is nothing that it could use
    certificate.run                    # its loop, for a supervisor

`renew` is `renewal.in_a_process(config, proxy=True)`, `renewal.recorded` around it. Nothing is done where the proxy has no folder: it is not
installed. The one in use stays until the next is written, and what is written is for new connections only.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Callable, Optional

from hullmark import log
from hullmark.agentd import pulse
from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.identity import Identity
from hullmark.agentd.keptfile import read_kept
from hullmark.agentd.problems import Problems
from hullmark.agentd.proxyfiles import CERTIFICATE, RECORD, ProxyRecord
from hullmark.agentd.renewal import Life, Trying, due_in_s
from hullmark.errors import BrokenState

LOOK_S = 2.0
MISSING_S = 15.0
PROBLEM = "proxy.certificate"

_log = log.get("proxy-certificate")


class ProxyCertificate:
    """`digest` may be asked from any thread; the rest is one thread's."""

    def __init__(
        self,
        folder: Path,
        proxy_folder: Path,
        identity: Identity,
        problems: Problems,
        renew: Callable[[], None],
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._proxy_folder = proxy_folder
        self._identity = identity
        what = "the certificate of this host's proxy"
        self._trying = Trying(renew, problems, PROBLEM, what, wall, clock)
        self._wall = wall
        self._digest = ""
        self._changed: list[Callable[[], None]] = []

    def load(self) -> None:
        """Take what is there already, before the loop begins: an agent that was restarted must not take it for none meanwhile."""
        try:
            enrolled, _ = self._identity.usable()
        except BrokenState:
            return
        self._see(enrolled)

    @property
    def digest(self) -> str:
        return self._digest

    def when_changed(self, callback: Callable[[], None]) -> None:
        self._changed.append(callback)

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            wait_s = self.turn()
            pulse.rest(stopping, wait_s)

    def turn(self) -> float:
        """See that there is one. Returns the seconds until it is to be looked at again."""
        if not self._proxy_folder.is_dir():
            self._trying.unneeded()
            self._show("")
            return LOOK_S
        try:
            enrolled, _ = self._identity.usable()
        except BrokenState:
            return LOOK_S  # the sync says what is wrong; the proxy goes on with what it has
        record = self._usable(enrolled)
        if record is not None and not self._is_due(record):
            self._trying.unneeded()
            self._see(enrolled)
            return LOOK_S
        if record is not None and self._trying.held_s() > 0:
            self._see(enrolled)
            return LOOK_S
        return self._make(enrolled, record)

    def _make(self, enrolled: Enrolment, record: Optional[ProxyRecord]) -> float:
        again_s = self._trying.once(
            "this host's proxy has no certificate for other hosts"
            if record is None
            else "the certificate of this host's proxy can't be renewed",
            lambda: self._made(enrolled),
        )
        self._see(enrolled)
        if again_s is None or self._trying.held_s() > 0:
            return LOOK_S
        return min(again_s, self._most_s(record))

    def _made(self, enrolled: Enrolment) -> Optional[Life]:
        _log.info("the proxy has a new certificate")
        record = self._usable(enrolled)
        return None if record is None else (record.valid_from, record.valid_until)

    def _most_s(self, record: Optional[ProxyRecord]) -> float:
        """How long to wait at most before the next try: other hosts are not reached without one."""
        if record is None:
            return MISSING_S
        return max((record.valid_until - self._wall()) / 10, MISSING_S)

    def _is_due(self, record: ProxyRecord) -> bool:
        return due_in_s(record.valid_from, record.valid_until, self._wall()) <= 0

    def _usable(self, enrolled: Enrolment) -> Optional[ProxyRecord]:
        """What is known of the files that are there; None where there are none, or not those that were written for this host."""
        record = read_kept(ProxyRecord, self._folder / RECORD)
        if record is None:
            return None
        is_there = record.of(enrolled.cluster_id, enrolled.host_id, self._proxy_folder)
        return record if is_there else None

    def _see(self, enrolled: Enrolment) -> None:
        """Where another file than the one written last is there, and none can be made, the proxy goes on with what it has loaded."""
        record = self._usable(enrolled)
        if record is not None:
            self._show(record.sha256)
        elif not (self._proxy_folder / CERTIFICATE).exists():
            self._show("")

    def _show(self, digest: str) -> None:
        if digest == self._digest:
            return
        self._digest = digest
        for callback in self._changed:
            callback()
