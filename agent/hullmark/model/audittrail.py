"""Questions about the audit logs, and their answers: for people, by the masters' API.

    GET    /v1/audit          -> JSON lines: records, each byte for byte as it stands in its log
                                 ?log=&by=&app=&container=&request=&ticket=&kind=&outcome=&since=&until=&limit=&follow=
    GET    /v1/audit/heads    -> JSON lines: entries of the file of heads of the master that is asked   ?log=
    GET    /v1/audit/trace    -> Trace        ?what=

A master answers from its own log and from what it was sent of all others'. Any master answers for its own file of heads, also one
that stands by.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Query:
    """Which records are asked for; what is empty is not looked at. `log` is a log's name, or the name of its host or master.
    `kind` is a whole kind or its first part (`container`). `container` is the beginning of an id. `since` and `until` are RFC 3339
    in UTC, as records have it."""

    log: str = ""
    by: str = ""
    app: str = ""
    container: str = ""
    request: str = ""
    ticket: str = ""
    kind: str = ""
    outcome: str = ""
    since: str = ""
    until: str = ""


@dataclass(frozen=True)
class Place:
    """Where a record is."""

    log: str
    seq: int


@dataclass(frozen=True)
class TracedRequest:
    """What a person, a machine or a host asked a master for. `outcome` is `pending` where none is recorded. `generation` is the
    app's that it made, 0 for none; `approved_by` the second person, where change control asked for one. `places` are its records, oldest first."""

    request_id: str
    kind: str
    subject: str
    at: str
    by: str
    actor: str
    origin: str
    outcome: str
    master: str
    ticket: str = ""
    reason: str = ""
    epoch: str = ""
    generation: int = 0
    places: tuple[Place, ...] = ()
    approved_by: str = ""


@dataclass(frozen=True)
class TracedDeed:
    """One thing that was done to a container: `kind` as records have it. `pid` is that of the container's first process, at
    its start; 0: not known."""

    kind: str
    at: str
    outcome: str
    by: str
    request_id: str = ""
    pid: int = 0
    reason: str = ""
    epoch: str = ""
    places: tuple[Place, ...] = ()


@dataclass(frozen=True)
class TracedContainer:
    """A container of one host, `host` being that one's name. `request_id` and `by`: because of whose request it was created, as
    the host has it recorded."""

    container_id: str
    name: str
    host: str
    log: str
    app: str
    instance: str
    generation: int = 0
    image_digest: str = ""
    request_id: str = ""
    by: str = ""
    deeds: tuple[TracedDeed, ...] = ()


@dataclass(frozen=True)
class TracedFailure:
    """What a host did not do, so that there is no container of it: refused, or failed, `times` times with the same words. `at` is the
    first time, `last` the last."""

    kind: str
    subject: str
    host: str
    log: str
    outcome: str
    at: str
    last: str
    times: int = 1
    reason: str = ""
    by: str = ""
    request_id: str = ""


@dataclass(frozen=True)
class Trace:
    """`whole` False: there is more than is shown. `logs` are those that were looked through."""

    what: str
    requests: tuple[TracedRequest, ...] = ()
    containers: tuple[TracedContainer, ...] = ()
    logs: tuple[str, ...] = ()
    whole: bool = True
    failures: tuple[TracedFailure, ...] = ()
