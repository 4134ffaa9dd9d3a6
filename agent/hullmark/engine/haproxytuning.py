"""What a running worker is told without a reload: its servers, who is admitted, who may call. Nothing here cuts a connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from hullmark.engine.haproxyruntime import Running, Sockets, changes_of, entries_in
from hullmark.model.proxyplan import PEER

Wanted = Mapping[str, Mapping[str, tuple[str, int]]]
"""Of each backend, by a server's name: the words that add it, and its weight."""

_DONE = ("", "New server registered.", "Server deleted.")


def tune_servers(sockets: Sockets, wanted: Wanted) -> tuple[int, str]:
    """How many commands it took, and what HAProxy said against one of them: then a reload has to do it."""
    running = sockets.servers()
    count = 0
    for command in server_commands(running, wanted):
        said = sockets.tell(command)
        is_left = command.startswith("del ") and said not in _DONE
        if said not in _DONE and not is_left:
            return count, f"{command.split(' ssl ')[0]}: {said}"
        count += not is_left
    return count, ""


def tune_table(
    sockets: Sockets, kind: str, table: Path, wanted: Mapping[str, str]
) -> tuple[int, str]:
    """`kind`: `map` or `acl`. As `tune_servers`."""
    answer = sockets.tell(f"show {kind} {table}")
    count = 0
    for command in changes_of(table, kind, entries_in(answer), wanted):
        said = sockets.tell(command)
        if said not in _DONE:
            return count, f"{command}: {said}"
        count += 1
    return count, ""


def server_commands(running: Mapping[str, Mapping[str, Running]], wanted: Wanted) -> Iterator[str]:
    """New ones first: a backend is never without one that it is to have."""
    for backend, servers in wanted.items():
        known = running.get(backend, {})
        for name, (words, weight) in servers.items():
            place = f"{backend}/{name}"
            if name not in known:
                yield f"add server {place} {words} weight {weight}"
                if " check " in words:
                    yield f"enable health {place}"
                yield f"enable server {place}"
            else:
                yield from _again(place, known[name], weight)
    for backend, known in running.items():
        for name in sorted(set(known) - set(wanted.get(backend, {}))):
            if backend != PEER:
                place = f"{backend}/{name}"
                if not known[name].in_maintenance:
                    yield f"disable server {place}"
                yield f"del server {place}"


def _again(place: str, known: Running, weight: int) -> Iterator[str]:
    if known.weight != weight:
        yield f"set server {place} weight {weight}"
    if known.in_maintenance:
        yield f"enable server {place}"
