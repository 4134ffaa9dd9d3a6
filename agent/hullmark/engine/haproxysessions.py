"""Connections that are open in a proxy's workers, and their end.

A worker tells all that it has (`show sess`), each by an address in its memory, which is another connection's a moment after that one ended. So what is to be
ended is looked at once more, and then ended at once (Management Guide, section 9.3).

Which host a connection came from the worker keeps in a table (`CALLS`, with keys of `HOST_ID/NUMBER/ADDRESS:PORT`), from the connection's first moment and for as
long as it lasts. Its number is only told where a connection is looked at by itself, so that is done only where one of a host that is looked for is in the table,
and first with those that come from the same place.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Optional

from hullmark.engine.haproxyruntime import Sockets
from hullmark.model.proxyconnection import Connection
from hullmark.model.proxyplan import ASK, CALLS, PUB, SVC, TLS, kind_of

_KINDS = (SVC, ASK, PUB, TLS)
_LINE = re.compile(r"(0x[0-9a-f]+): proto=\S+ src=(\S+) fe=(\S+) be=(\S+) srv=(\S+) ")
_WHOLE = re.compile(r"(0x[0-9a-f]+): \[[^\]]*\] id=([0-9]+) proto=\S+ source=(\S+)")
_FRONTEND = re.compile(r"  frontend=(\S+) ")
_KEY = re.compile(r" key=(\S+)/([0-9]+)/(\S+) use=[1-9]")
AT_ONCE = 50
"""Commands in one line, which is 16 KB at most. From the second look at a connection to its end there is no more time than these take.

Of 8,800 connections, half of them from other hosts, all were told in 0.08 s, in 0.3 s with a look at the 870 of one host; their end took another 0.3 s. Meanwhile
another connection's answers took 0.2 ms instead of 0.1, now and then 40 to 120 (2 cores that others worked on too, HAProxy 2.6)."""


def connections_of(sockets: Sockets, hosts: Collection[str]) -> Iterator[Connection]:
    """In all workers, former ones too. Of those that came from other hosts `host` is set only where it is none of `hosts`. Raises ProxyUnavailable."""
    for worker in (0, *sockets.processes().former):
        found = list(connections_in(sockets.tell_worker(worker, "show sess"), worker))
        came = [one for one in found if one.frontend == TLS]
        others = _of_others(sockets, worker, hosts) if came else {}
        yield from (one for one in found if one.frontend != TLS)
        yield from _with_hosts(sockets, came, others)


def open_in(sockets: Sockets, worker: int, mark: str) -> int:
    """How many this worker has to servers whose name has `mark` in it. Raises ProxyUnavailable."""
    found = connections_in(sockets.tell_worker(worker, "show sess"), worker)
    return sum(mark in one.server for one in found)


def end(sockets: Sockets, connections: Iterable[Connection]) -> Iterator[Connection]:
    """Each that was still there, as soon as it is no more. Raises ProxyUnavailable."""
    by_worker: dict[int, list[Connection]] = defaultdict(list)
    for one in connections:
        by_worker[one.worker].append(one)
    for worker, all_of_it in by_worker.items():
        for some in _in_parts(all_of_it):
            seen = _looked_at(sockets, worker, some)
            left = [one for one in some if _is_same(one, seen.get(one.key))]
            sockets.tell_all(worker, [f"shutdown session {one.key}" for one in left])
            yield from left


def connections_in(text: str, worker: int = 0) -> Iterator[Connection]:
    """From the answer to `show sess`."""
    for key, place, frontend, backend, server in _LINE.findall(text):
        if kind_of(frontend) in _KINDS:
            yield Connection(worker, key, frontend, backend, place, server)


def calls_in(text: str) -> Mapping[str, tuple[str, str]]:
    """From the answer to `show table`: by the number of a connection that is open its host and the place that it comes from."""
    return {number: (host, place) for host, number, place in _KEY.findall(text)}


def seen_in(text: str) -> Mapping[str, Connection]:
    """From answers to `show sess KEY`, by key: only what tells one from another."""
    found: dict[str, Connection] = {}
    key = ""
    for line in text.splitlines():
        begin, frontend = _WHOLE.match(line), _FRONTEND.match(line)
        if begin is not None:
            key, number, place = begin.groups()
            found[key] = Connection(0, key, "", "", place, number=number)
        elif frontend is not None and key:
            found[key] = replace(found[key], frontend=frontend.group(1))
            key = ""
    return found


def _of_others(
    sockets: Sockets, worker: int, hosts: Collection[str]
) -> Mapping[str, tuple[str, str]]:
    calls = calls_in(sockets.tell_worker(worker, f"show table {CALLS}"))
    return {number: (host, place) for number, (host, place) in calls.items() if host not in hosts}


def _with_hosts(
    sockets: Sockets, came: list[Connection], others: Mapping[str, tuple[str, str]]
) -> Iterator[Connection]:
    """No more of them are looked at once all that are looked for are found."""
    places = {place for _, place in others.values()}
    wanted = set(others)
    for some in _in_parts(sorted(came, key=lambda one: one.place not in places)):
        seen = _looked_at(sockets, some[0].worker, some) if wanted else {}
        for one in some:
            number = seen[one.key].number if one.key in seen else ""
            is_wanted = number in wanted
            wanted.discard(number)
            yield replace(one, host=others[number][0], number=number) if is_wanted else one


def _in_parts(connections: list[Connection]) -> Iterator[list[Connection]]:
    return (connections[at : at + AT_ONCE] for at in range(0, len(connections), AT_ONCE))


def _looked_at(
    sockets: Sockets, worker: int, some: Iterable[Connection]
) -> Mapping[str, Connection]:
    return seen_in(sockets.tell_all(worker, [f"show sess {one.key}" for one in some]))


def _is_same(one: Connection, seen: Optional[Connection]) -> bool:
    if seen is None or (one.frontend, one.place) != (seen.frontend, seen.place):
        return False
    return one.number in ("", seen.number)
