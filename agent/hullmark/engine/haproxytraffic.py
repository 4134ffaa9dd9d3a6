"""What HAProxy counts, as the cluster tells it: by service and port; and which other hosts answer. Columns: Management Guide, section 9.1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Callable, Optional

from hullmark.model.directory import ServiceName
from hullmark.model.orders import InstanceId
from hullmark.model.proxy import ContainerLook, ContainerPort, Down, PeerLook, PortTraffic
from hullmark.model.proxyplan import (
    ASK,
    OWN,
    PEER,
    PUB,
    RESORT,
    SVC,
    TELLING,
    TLS,
    WEB,
    kind_of,
    subject_of,
)

Row = Mapping[str, str]
_FRONTEND, _BACKEND, _SERVER = "0", "1", "2"
_PASSED = ("L4OK", "L6OK", "L7OK", "L7OKC")


def traffic_of(rows: Iterable[Row], addresses: Mapping[str, str]) -> tuple[PortTraffic, ...]:
    """`rows` of frontends, backends and servers; `addresses` of frontends, by their names."""
    all_rows = list(rows)
    found: dict[tuple[ServiceName, int], PortTraffic] = {}
    for row in all_rows:
        kind, count = kind_of(row["pxname"]), _COUNTS.get(row["type"])
        if count is not None and kind in (SVC, ASK, PUB, WEB, OWN):
            name, port = subject_of(row["pxname"])
            known = found.get((name, port), PortTraffic(name, port))
            address = addresses.get(row["pxname"], "") if kind in (SVC, ASK) else ""
            found[name, port] = count(replace(known, address=known.address or address), row)
    members = _members(all_rows)
    return tuple(_with_members(one, members) for _, one in sorted(found.items()))


def strangers_of(rows: Iterable[Row]) -> int:
    """Connections to the TLS port that ended before it was known who calls. HAProxy counts failed handshakes, without those that ended for silence; and all that
    came, how many of them came to a session, and how many are open. Neither is ever too much."""
    for row in rows:
        if row["pxname"] == TLS and row["type"] == _FRONTEND:
            ended = _number(row, "conn_tot") - _number(row, "stot") - _number(row, "scur")
            return max(_number(row, "ssl_failed_handshake"), ended)
    return 0


def _count_frontend(known: PortTraffic, row: Row) -> PortTraffic:
    return replace(
        known,
        open=known.open + _number(row, "scur"),
        connections=known.connections + _number(row, "stot"),
        bytes_in=known.bytes_in + _number(row, "bin"),
        bytes_out=known.bytes_out + _number(row, "bout"),
        refused=known.refused + _number(row, "dreq") + _number(row, "dses"),
    )


def _count_backend(known: PortTraffic, row: Row) -> PortTraffic:
    return replace(
        known,
        queue_ms=max(known.queue_ms, _number(row, "qtime")),
        connect_ms=max(known.connect_ms, _number(row, "ctime")),
        retries=known.retries + _number(row, "wretr"),
        redispatches=known.redispatches + _number(row, "wredis"),
        errors=known.errors + _number(row, "econ"),
    )


_COUNTS: Mapping[str, Callable[[PortTraffic, Row], PortTraffic]] = {
    _FRONTEND: _count_frontend,
    _BACKEND: _count_backend,
}


def _members(rows: list[Row]) -> dict[str, list[tuple[Down, bool]]]:
    """By backend: who it is, and whether it answers. One that gets no new connections on purpose is none."""
    heard = {row["svname"]: row["check_status"] for row in rows if row["pxname"] == PEER}
    found: dict[str, list[tuple[Down, bool]]] = {}
    for row in rows:
        is_member = row["type"] == _SERVER and not row["svname"].endswith(RESORT)
        if is_member and row["pxname"] != PEER and _number(row, "weight"):
            status = row["status"].split()[0]
            if status in ("UP", "DOWN", "no", "NOLB"):
                why = heard.get(row["svname"]) or row["check_status"]
                down = Down(member_of(row["pxname"], row["svname"]), why.lstrip("* "))
                found.setdefault(row["pxname"], []).append((down, status != "DOWN"))
    return found


def _with_members(
    known: PortTraffic, members: Mapping[str, list[tuple[Down, bool]]]
) -> PortTraffic:
    rest = f":{known.name.app}:{known.name.service}:{known.port}"
    here = next((members[kind + rest] for kind in TELLING if kind + rest in members), [])
    down = tuple(sorted(each for each, is_up in here if not is_up))
    return replace(known, up=len(here) - len(down), members=len(here), down=down)


def peers_of(rows: Iterable[Row]) -> tuple[PeerLook, ...]:
    """`rows` of the servers in which other hosts are looked at."""
    return tuple(_peer(row) for row in rows if row["pxname"] == PEER and row["type"] == _SERVER)


def _peer(row: Row) -> PeerLook:
    answers, came_to = _outcome(row)
    host_id = member_of(row["pxname"], row["svname"])
    return PeerLook(host_id, answers, _number(row, "lastchg"), came_to)


def _outcome(row: Row) -> tuple[Optional[bool], str]:
    """A server that begins is up until its first check is over, and one that was up is until several failed."""
    came_to = row["check_status"].lstrip("* ")
    is_down = row["status"].split()[:1] == ["DOWN"]
    return False if is_down else True if came_to in _PASSED else None, came_to


def short_of(rows: Iterable[Row], members: Mapping[str, int]) -> list[str]:
    """`rows` of backends. Which of them have fewer servers that answer than `members` says."""
    return [row["pxname"] for row in rows if _number(row, "act") < members[row["pxname"]]]


def containers_of(rows: Iterable[Row]) -> tuple[ContainerLook, ...]:
    """`rows` of servers. Those of containers that may be given connections."""
    found = []
    for row in rows:
        is_given = _number(row, "weight") and row["status"].split()[0] in ("UP", "DOWN")
        if row["type"] == _SERVER and is_given and _is_container(row["svname"]):
            _, port = subject_of(row["pxname"])
            name = member_of(row["pxname"], row["svname"])
            found.append(ContainerLook(ContainerPort(name, port), *_outcome(row)))
    return tuple(found)


def member_of(backend: str, server: str) -> str:
    """Another host's id, or the container's name."""
    slot, generation = _parts(server)
    if not _is_container(server):
        return slot
    name, _ = subject_of(backend)
    return InstanceId(name.app, name.service, int(slot), int(generation[1:])).container_name


def _is_container(server: str) -> bool:
    slot, generation = _parts(server)
    return slot.isdigit() and generation[:1] == "g" and generation[1:].isdigit()


def _parts(server: str) -> tuple[str, str]:
    slot, _, rest = server.partition("-")
    return slot, rest.partition("-")[0]


def _number(row: Row, column: str) -> int:
    text = row.get(column) or "0"
    return int(text) if text.isdigit() else 0
