"""Which hosts this one's proxy needs and has not reached, and since when."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from hullmark.model.directory import Directory, ServiceName
from hullmark.model.proxy import PeerLook


def needed(directory: Directory) -> Mapping[str, ServiceName]:
    """Hosts that serve what something here uses, offers or publishes, by id, with the first such service. One that is lost serves nothing any more,
    where others do."""
    found: dict[str, ServiceName] = {}
    for entry in sorted(directory.services, key=lambda one: one.name):
        for share in entry.elsewhere:
            if share.serving > 0:
                found.setdefault(share.host_id, entry.name)
    return found


def since(
    former: Mapping[str, float], looks: Iterable[PeerLook], now: float
) -> Mapping[str, float]:
    """By host id, when those that don't answer ceased to, on the clock of `now`. A worker that a reload began knows not for how long: then it is as
    was `former`; so it is while its first look is on its way."""
    found: dict[str, float] = {}
    for look in looks:
        known = former.get(look.host_id, math.inf)
        if look.answers is False:
            found[look.host_id] = min(known, now - look.since_s)
        elif look.answers is None and look.host_id in former:
            found[look.host_id] = known
    return found
