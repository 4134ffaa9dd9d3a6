"""Records as a master gives them: asked for, read, and followed across a change of leader."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Optional

from hullmark.cli.client import Client
from hullmark.cli.words import duration
from hullmark.errors import (
    HullmarkError,
    InvalidInput,
    MasterUnavailable,
    StaleEpoch,
    UsageError,
)
from hullmark.model.audit import Record
from hullmark.model.auditline import parse, place_of
from hullmark.model.moments import NS_PER_S, moment, nanoseconds

PATH = "/v1/audit"
AGAIN_S = 1.0
OVERLAP_S = 60.0
"""How far back a follower asks again after a break: clocks differ, and what it has seen is left out."""


def followed(client: Client, query: Mapping[str, object]) -> Iterator[bytes]:
    """Without end: asked again where an answer breaks off."""
    seen: dict[str, int] = {}
    newest = moment(time.time())
    asked = {**query, "follow": True}
    began = False
    while True:
        try:
            for line in client.raw_lines(PATH, asked):
                began = True
                record = record_of(line)
                if record.seq > seen.get(record.log, 0):
                    seen[record.log] = record.seq
                    newest = max(newest, record.at)
                    yield line
        except (MasterUnavailable, StaleEpoch):
            if not began:
                raise
        time.sleep(AGAIN_S)
        at_ns = nanoseconds(newest) or 0
        asked = {**query, "limit": 0, "follow": True, "since": moment(at_ns / NS_PER_S - OVERLAP_S)}


def of_one_log(lines: Iterable[bytes]) -> Iterator[bytes]:
    """For who means to verify them. Raises UsageError at the first of another log: a host and a master may have the same name."""
    log = ""
    for line in lines:
        place = place_of(line)
        found = "" if place is None else place.log
        log = log or found
        if found != log:
            raise UsageError(
                f"two logs go by this name: {log} and {found}; what was written is not whole",
                remedy=f"--log {log}, or --log {found}",
            )
        yield line


def names_of(client: Client) -> Mapping[str, str]:
    """Of hosts, by log; a log of a master has its name."""
    from hullmark.model.api import HostList

    try:
        found = client.ask(HostList, "/v1/hosts").hosts
    except HullmarkError:
        return {}
    return {f"host:{host.host_id}": host.name for host in found}


def query_of(filters: Mapping[str, Optional[str]]) -> dict[str, object]:
    """Of a command's options. Raises UsageError."""
    found: dict[str, object] = {name: text for name, text in filters.items() if text}
    for name in ("since", "until"):
        if filters.get(name):
            found[name] = _moment(str(filters[name]), f"--{name}")
    since, until = (nanoseconds(str(found.get(name, ""))) for name in ("since", "until"))
    if since is not None and until is not None and until <= since:
        raise UsageError(
            f"--until is {found['until']}, and --since is {found['since']}: nothing is between them",
            remedy="the earlier one is --since, as in --since 2d --until 1d",
        )
    return found


def _moment(text: str, option: str) -> str:
    if nanoseconds(text) is not None:
        return text
    try:
        return moment(time.time() - duration(text, option))
    except UsageError:
        raise UsageError(
            f"{option}: neither a duration nor a time: {text[:40]!r}",
            remedy="such as 15m, 2h30m, 90d or 2026-11-24T01:30:00Z",
        ) from None


def record_of(line: bytes) -> Record:
    """Raises MasterUnavailable for what is none."""
    try:
        return parse(line)
    except InvalidInput as error:
        raise MasterUnavailable(
            "the master gave something that is no record", remedy="hullmark audit verify, there"
        ) from error


def document(line: bytes) -> dict[str, Any]:
    """A record with every field written out."""
    record = record_of(line)
    entry = record.entry
    return {
        "seq": record.seq,
        "log": record.log,
        "boot": record.boot,
        "at": record.at,
        **{name: getattr(entry, name) for name in ("kind", "subject", "by", "origin", "reason")},
        "stage": entry.stage.value,
        "outcome": entry.outcome.value,
        "actor": entry.actor.value,
        "ticket": entry.ticket,
        "request_id": entry.request_id,
        "epoch": entry.epoch,
        "container_id": entry.container_id,
        "image_digest": entry.image_digest,
        "of": entry.of,
        "fields": dict(entry.fields),
        "prev": record.prev,
        "hash": record.hash,
    }
