"""Which services are refused by name here with which nothing on this host has to do.

The proxy is loaded anew for each that comes or goes anywhere in the cluster, and ends connections that are left after some such loads. So of what changes of
these services alone only so much comes at once: `AT_ONCE` changes, and one more for each `EVERY_S` that has passed. With anything else that the proxy listens on
it always does.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Callable

from hullmark.model.directory import OtherEntry
from hullmark.model.proxy import ProxySight

EVERY_S = 600.0
AT_ONCE = 4
"""Somebody who brings an app up, and mends it, is not to wait; with these a proxy is far from the 20 loads after which connections end."""


class OtherServices:
    """Of one thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._held: tuple[OtherEntry, ...] = ()
        self._listened: tuple[object, ...] = ()
        self._paid_until = -math.inf  # each change that came alone took EVERY_S more

    def settled(self, sight: ProxySight) -> ProxySight:
        """The sight with those that are to be refused now. The addresses of those that are gone stay on the host, or the proxy could not be started."""
        told, listened, now = sight.directory, _listened(sight), self._clock()
        is_alone = listened == self._listened
        is_due = not is_alone or self._paid_until - now <= (AT_ONCE - 1) * EVERY_S
        if told.others != self._held and (is_due or self._is_taken(told.others)):
            self._held = told.others
            if is_alone:
                self._paid_until = max(self._paid_until, now) + EVERY_S
        self._listened = listened
        kept = (one.address for one in self._held)
        addresses = tuple(dict.fromkeys((*told.addresses, *kept)))
        return replace(sight, directory=replace(told, others=self._held, addresses=addresses))

    def _is_taken(self, others: tuple[OtherEntry, ...]) -> bool:
        """Whether an address is another service's now, under whose name nobody is to be refused there."""
        names = {one.address: one.name for one in self._held}
        return any(names.get(one.address, one.name) != one.name for one in others)


def _listened(sight: ProxySight) -> tuple[object, ...]:
    """What else the proxy is loaded anew for."""
    services = (
        (one.name, one.address, one.ports, tuple(sorted(one.networks)), one.users)
        for one in sight.directory.services
    )
    place = sight.addresses, sight.tls_address, sight.tls_port, sight.certificate
    return sight.bridges, sight.directory.published, place, tuple(services)
