"""A bridge's hardware address, kept as it is.

The kernel gives a bridge the lowest address of what is plugged into it, so that it is another when a container comes or goes, until somebody sets
one (`br_stp_recalculate_bridge_id` in its net/bridge/br_stp_if.c). Docker sets it, and netavark of Podman does from 1.9 on (its pull request 833).
Else a container that only calls sends into nothing then, until its kernel asks for the address again: up to 100 s.
"""

from __future__ import annotations

import json

from hullmark.errors import Refused
from hullmark.host.iproute import ip


def keep(name: str) -> None:
    """Set the address that the interface has, if it is a bridge. Raises Refused where that can't be done, or it is gone."""
    try:
        (link,) = json.loads(ip("-json", "-details", "link", "show", "dev", name))
        if link.get("linkinfo", {}).get("info_kind") == "bridge":
            ip("link", "set", "dev", name, "address", str(link["address"]))
    except (ValueError, KeyError) as error:
        raise Refused(f"what ip says of {name} can't be read: {error}") from error
