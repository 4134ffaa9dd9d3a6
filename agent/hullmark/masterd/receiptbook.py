"""Receipts: which canaries of hosts were found by which other host. Kept in the leader's memory for some minutes.

A host is told only what it asks for by nonce, which nobody knows but itself and who reads its logs; never what it found itself.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace

from hullmark.model.outage import Receipt, ReceiptsAnswer, ReceiptsRequest

KEPT_S = 900.0
KEPT_MOST = 100_000
OF_ONE_HOST = 20_000


class Receipts:
    """Of one master. `wall` is seconds since 1970."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._since = wall()
        self._kept: OrderedDict[str, Receipt] = OrderedDict()
        self._by_host: dict[str, int] = {}

    def exchange(
        self, host_id: str, name: str, request: ReceiptsRequest, led_since: float
    ) -> ReceiptsAnswer:
        """What this host found is kept; what it asks about is answered. `led_since`: before that others were given receipts."""
        now = self._wall()
        self._forget(now)
        for found in request.found:
            self._keep(replace(found, seen_by=f"{host_id} {name}", at=now))
        known = tuple(self._told(host_id, request.asked))
        return ReceiptsAnswer(known, max(self._since, led_since))

    def _keep(self, receipt: Receipt) -> None:
        finder = receipt.seen_by.partition(" ")[0]
        if receipt.nonce in self._kept or self._by_host.get(finder, 0) >= OF_ONE_HOST:
            return
        if receipt.host_id == finder:
            return  # its own, which it may not vouch for, and which would hide who else found it
        if len(self._kept) >= KEPT_MOST:
            self._drop()
        self._kept[receipt.nonce] = receipt
        self._by_host[finder] = self._by_host.get(finder, 0) + 1

    def _told(self, host_id: str, asked: Iterable[str]) -> Iterable[Receipt]:
        for nonce in asked:
            receipt = self._kept.get(nonce)
            if receipt is not None and receipt.seen_by.partition(" ")[0] != host_id:
                yield replace(receipt, seen_by=receipt.seen_by.partition(" ")[2])

    def _forget(self, now: float) -> None:
        while self._kept and now - next(iter(self._kept.values())).at > KEPT_S:
            self._drop()

    def _drop(self) -> None:
        _, receipt = self._kept.popitem(last=False)
        finder = receipt.seen_by.partition(" ")[0]
        self._by_host[finder] -= 1
        if not self._by_host[finder]:
            del self._by_host[finder]
