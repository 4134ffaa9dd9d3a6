"""Whether containers of ours listen only where they declared it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Optional

from hullmark.core.checks.described import engine_untold, excused, joined, loaded, of_each
from hullmark.core.checks.judge import Seen, error, failed, not_understood, untold
from hullmark.model.control import Finding, Reading
from hullmark.model.loopback import is_loopback

EPHEMERAL_FROM = 32768
"""Where the kernel gives a UDP socket a port by itself, it is of a caller, not of a listener (ip(7), ip_local_port_range)."""
REMEDY = "declare the port in the Compose file (`expose`, or `ports`), stop what listens there, or excuse it with `except`"
UNTOLD = "no leader has told this host yet which ports its services have"


def listeners(seen: Seen) -> Finding:
    finding = engine_untold(seen)
    if finding is not None:
        return finding
    wrong: list[str] = []
    unclear: list[str] = []
    for name, reading in of_each(seen, "listeners"):
        trouble = untold(reading)
        if trouble is not None:
            return trouble
        said = _understood(reading)
        if said is None:
            return not_understood(reading)
        found = [one for one in _undeclared(said) if not excused(seen.texts("except"), name, one)]
        words = [f"{name} listens on {one}, which it did not declare" for one in found]
        (wrong if said["told"] else unclear).extend(words)
    if wrong:
        return failed(joined(wrong), REMEDY)
    return error(f"{joined(unclear)}; {UNTOLD}") if unclear else seen.passed()


def _understood(reading: Reading) -> Optional[Mapping[str, Any]]:
    said = loaded(reading)
    if not isinstance(said, dict):
        return None
    sockets, declared = said.get("sockets"), said.get("declared")
    if not isinstance(sockets, list) or not isinstance(declared, list):
        return None
    fine = all(
        isinstance(one, list) and len(one) == 3 and isinstance(one[2], int) for one in sockets
    )
    return said if fine and isinstance(said.get("told"), bool) else None


def _undeclared(said: Mapping[str, Any]) -> Iterator[str]:
    declared = {str(one) for one in said["declared"]}
    ports = {
        (port, str(protocol))
        for protocol, address, port in said["sockets"]
        # Nobody else is in a network of its own, and an engine's name server answers there.
        if said.get("network") == "host" or not is_loopback(str(address))
    }
    for port, protocol in sorted(ports):
        text = f"{port}/{protocol}"
        if text not in declared and not (protocol == "udp" and port >= EPHEMERAL_FROM):
            yield text
