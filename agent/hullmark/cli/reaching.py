"""Whether published ports take connections from this machine: the one way to see a firewall that drops without a word."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

from hullmark.core.whylinks import ok, unknown
from hullmark.model.services import Spot
from hullmark.model.why import Found, Link, Step, Why

WITHIN_S = 1.0
SPOTS_MOST = 16
"""Of one service; so many connections are made at a time."""
AWAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)

Connect = Callable[[str, int], None]
"""Raises OSError."""


def connect(address: str, port: int) -> None:
    socket.create_connection((address, port), WITHIN_S).close()


def firewall_links(told: Why, connect: Connect = connect) -> Mapping[str, Sequence[Link]]:
    """By service. What this machine can't reach others may, so none of it breaks the whole way."""
    return {item.service: tuple(_tried(item.spots[:SPOTS_MOST], connect)) for item in told.services}


def _tried(spots: Sequence[Spot], connect: Connect) -> Iterable[Link]:
    if not spots:
        return ()
    with ThreadPoolExecutor(len(spots)) as threads:
        return list(threads.map(lambda spot: _link(spot, connect), spots))


def _link(spot: Spot, connect: Connect) -> Link:
    where = f"{spot.address}:{spot.port}"
    rules = f"hullmark ports --firewall nftables --host {spot.host}"
    try:
        connect(spot.address, spot.port)
    except socket.timeout:
        text = f"{where}: nothing comes back to this machine: a firewall drops it"
        return Link(Step.FIREWALL, Found.BROKEN, text, rules, (spot.host,), partly=True)
    except ConnectionRefusedError:
        text = f"{where} refuses this machine: nothing listens there, or a firewall rejects it"
        return Link(Step.FIREWALL, Found.BROKEN, text, rules, (spot.host,), partly=True)
    except OSError as error:
        why = "this machine has no way to it" if error.errno in AWAY else str(error)
        text = f"{where}: {why}; ask from another machine"
        return unknown(Step.FIREWALL, text, "", spot.host)
    return ok(Step.FIREWALL, f"{where} takes connections from this machine", spot.host)
