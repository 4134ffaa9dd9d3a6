"""What a running worker is told without a reload: its servers, who is admitted, who may call. Nothing here cuts a connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path

from hullmark import log
from hullmark.engine.haproxyabilities import ALL, Abilities
from hullmark.engine.haproxyruntime import Running, Sockets, changes_of, entries_in

Wanted = Mapping[str, Mapping[str, tuple[str, int]]]
"""Of each backend, by a server's name: the words that add it, and its weight."""

_log = log.get("proxy")
_DONE = ("", "New server registered.", "Server deleted.")
_MOVED = ("IP changed from ", "no need to change the addr")
"""How the answers to a new address begin."""


def tune_servers(sockets: Sockets, wanted: Wanted, abilities: Abilities = ALL) -> tuple[int, str]:
    """How many commands it took, and what HAProxy said against one of them: then a reload has to do it."""
    running = sockets.servers()
    count = 0
    for command in server_commands(running, wanted, abilities):
        said = sockets.tell(command)
        is_left = command.startswith("del ") and said not in _DONE
        if said not in _DONE and not is_left and not said.startswith(_MOVED):
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


def withdraw(sockets: Sockets, kind: str, table: Path, wanted: Mapping[str, str]) -> int:
    """Take out what is no right any more, and nothing else. How many there were. It needs neither a disk nor a program that starts."""
    running = entries_in(sockets.tell(f"show {kind} {table}"))
    kept = {key: value for key, value in wanted.items() if running.get(key) == value}
    gone = list(changes_of(table, kind, running, kept))
    for command in gone:
        said = sockets.tell(command)
        if said not in _DONE:
            _log.warning("a right was not taken back", command=command, why=said)
    return len(gone)


def new_servers(sockets: Sockets, wanted: Wanted) -> int:
    """How many the worker doesn't have of those that are to get connections."""
    running = sockets.servers()
    return sum(
        weight > 0 and name not in running.get(backend, {})
        for backend, servers in wanted.items()
        for name, (_, weight) in servers.items()
    )


def server_commands(
    running: Mapping[str, Mapping[str, Running]], wanted: Wanted, abilities: Abilities = ALL
) -> Iterator[str]:
    """New ones first: a backend is never without one that it is to have. Where servers can't be added and taken out while it runs, those that are to go stay
    until the next reload, and are given nothing; those that are to get nothing come with the next reload; and one may be at another address now."""
    for backend, servers in wanted.items():
        known = running.get(backend, {})
        for name, (words, weight) in servers.items():
            place = f"{backend}/{name}"
            if name not in known:
                if not abilities.takes_servers and not weight:
                    continue
                yield f"add server {place} {words} weight {weight}"
                if " check " in words:
                    yield f"enable health {place}"
                yield f"enable server {place}"
            else:
                if not abilities.takes_servers:
                    yield from _moved(place, known[name], words)
                yield from _again(place, known[name], weight)
    for backend, servers in wanted.items():
        known = running.get(backend, {})
        for name in sorted(set(known) - set(servers)):
            place = f"{backend}/{name}"
            if not known[name].in_maintenance:
                yield f"disable server {place}"
            if abilities.takes_servers:
                yield f"del server {place}"


def _moved(place: str, known: Running, words: str) -> Iterator[str]:
    address = words.partition(" ")[0].rpartition(":")[0].strip("[]")
    if known.address and ip_address(known.address) != ip_address(address):
        yield f"set server {place} addr {address}"


def _again(place: str, known: Running, weight: int) -> Iterator[str]:
    if known.weight != weight:
        yield f"set server {place} weight {weight}"
    if known.in_maintenance:
        yield f"enable server {place}"
