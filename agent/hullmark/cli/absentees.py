"""Saying, while something is waited for, that it waits for a host that is lost: that may be for as long as one waits. Each host is named once."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Optional

from hullmark.cli.client import Client
from hullmark.cli.words import age, moment
from hullmark.errors import HullmarkError
from hullmark.model.api import HostList, HostView, InstanceView

AFTER_S = 5.0
"""A host that is silent because its agent is being started anew is heard again by then."""
AGAIN_S = 5.0
"""What is not lost yet may be by then."""
NO_END_S = float("inf")


def unseen(instances: Iterable[InstanceView]) -> set[str]:
    """Names of hosts that say nothing of what is on them."""
    return {item.host for item in instances if item.host and not item.seen}


class Absentees:
    """`client` None: nothing is asked, nor said. `timeout_s`: for how long is waited in all."""

    def __init__(self, client: Optional[Client], timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._told: set[str] = set()
        self._due = time.monotonic() + AFTER_S
        self._open = False

    @property
    def left_s(self) -> float:
        """Until `awaited` is to be called again."""
        return max(0.0, self._due - time.monotonic()) if self._open else NO_END_S

    @property
    def is_due(self) -> bool:
        """Whether it takes so long that something may be said."""
        return time.monotonic() >= self._due

    def awaited(self, hosts: Iterable[str]) -> None:
        """Names of those that are not seen, and on which something is to come. The master is asked about them only once it takes long."""
        untold = set(hosts) - self._told
        self._open = self._client is not None and bool(untold)
        if self._client is None or not untold or not self.is_due:
            return
        self._due = time.monotonic() + AGAIN_S
        try:
            found = self._client.ask(HostList, "/v1/hosts").hosts
        except HullmarkError:
            return  # who waits asks again, and says what is wrong
        for host in found:
            if host.name in untold and host.state == "lost":
                self._told.add(host.name)
                sys.stderr.write(f"{self._line(host)}\n")
                sys.stderr.flush()

    def _line(self, host: HostView) -> str:
        since = "since before this leader began"
        if host.heard_s is not None:
            since = f"since {moment(time.time() - host.heard_s)}, {age(host.heard_s)} ago"
        ends = f"until it is heard, for {age(self._timeout_s)} at most (--timeout)"
        gone = f"only where it is gone for good: hullmark host remove {host.name} --force"
        return f"host {host.name} is lost {since}; this waits {ends}; {gone}"
