"""What a version of HAProxy can do of what a proxy would have it do. All else that is asked of it, each version since the oldest can.

Sources: `configuration.txt` and `management.txt` of 2.4, 2.5 and 2.6, and what the programs of Ubuntu 22.04 (2.4) and Debian 12 (2.6) take and refuse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hullmark.errors import Refused

Version = tuple[int, int]
_VERSION = re.compile(r"HA-?Proxy version (([0-9]+)\.([0-9]+)\S*)")
"""Up to version 2.3 it was HA-Proxy."""


@dataclass(frozen=True)
class Abilities:
    """`takes_servers`: as it runs, with checks and TLS (`add server`); else each new server takes a reload, once it is to get connections, and
    a container that comes back at another address is told as it runs. `tells_of_failures`: of connections that
    ended before they were one, in words of ours (`error-log-format`), and not each of them; else in its own words, and each. `silences`: what isn't
    HTTP, too (`tcp-request content set-log-level`).

    `most_former`: a worker of a former configuration lives as long as its last connection, and takes as much memory as the newest (27 MB at 100 services,
    80 MB at 1,000). One that saw so many reloads is ended with the connections that it has left."""

    takes_servers: bool = True
    tells_of_failures: bool = True
    silences: bool = True
    most_former: int = 20


ALL = Abilities()
OLDEST: Version = (2, 4)
_SINCE: Mapping[Version, Abilities] = {
    # Each new instance is a reload, so connections that last would else soon be ended.
    OLDEST: Abilities(False, False, False, most_former=50),
    (2, 6): ALL,
}


def abilities_of(said: str) -> Abilities:
    """`said`: what `haproxy -v` does. Raises Refused for a version that is too old, or none."""
    found = _VERSION.search(said)
    version = (int(found.group(2)), int(found.group(3))) if found else (0, 0)
    if version < OLDEST:
        name = (
            f"HAProxy {found.group(1)}"
            if found
            else "what calls itself HAProxy and tells no version"
        )
        raise Refused(f"{name} is too old for the proxy", remedy="install HAProxy 2.4 or later")
    return next(_SINCE[since] for since in sorted(_SINCE, reverse=True) if since <= version)
