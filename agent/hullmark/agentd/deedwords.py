"""What is recorded of a deed before it is done: what it is about, and what of its request matters to a reader.

Never a variable's value, an option's value or a label: secrets may be in all of them. Of a command that somebody runs in a
container all words are: what was run is what the record is for.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from hullmark.agentd.asked import Asked
from hullmark.engine.protocol import Deed, DeedKind
from hullmark.model.audit import Entry
from hullmark.model.names import parse_container_name

NAME = "name"
"""The field with the engine's own name of what it is about."""
RESTART = "restart"
"""The field with the restart policy that was asked for."""
BECAME = "became"
"""The field with the one that the engine has afterwards."""


def entry_of(deed: Deed, asked: Asked) -> Entry:
    """An event of success; what is to be another stage or outcome says so by `replace`."""
    return Entry(
        deed.kind.value,
        subject_of(deed),
        by=asked.by,
        actor=asked.actor,
        origin=asked.origin,
        reason=asked.reason,
        ticket=asked.ticket,
        request_id=asked.request_id,
        epoch=asked.epoch,
        container_id=deed.container_id,
        image_digest=_digest(deed),
        fields=dict(_fields(deed, asked)),
    )


def subject_of(deed: Deed) -> str:
    """`shop/api.2` for a container of ours, else the name."""
    if deed.kind.value.startswith("container."):
        instance = parse_container_name(deed.name)
        return str(instance) if instance is not None else deed.name
    return deed.name


def _fields(deed: Deed, asked: Asked) -> Iterator[tuple[str, str]]:
    yield NAME, deed.name
    if asked.app:
        yield "app", asked.app
    if asked.approved_by:
        yield "approved_by", asked.approved_by
    if asked.break_glass:
        yield "break_glass", asked.break_glass
    if deed.request is not None:
        yield "spec", deed.request.spec_hash
    body = deed.body
    if deed.kind is DeedKind.CONTAINER_CREATE:
        yield "image", str(body.get("Image", ""))
    elif deed.kind is DeedKind.CONTAINER_START:
        yield "image", str(_part(body, "Config").get("Image", ""))
        yield "image_id", str(body.get("Image", ""))
    elif deed.kind is DeedKind.CONTAINER_UPDATE:
        yield RESTART, _restart(_part(body, "RestartPolicy"))
    elif deed.kind is DeedKind.CONTAINER_EXEC:
        yield "command", shlex.join(map(str, body.get("Cmd", ())))
        yield "user", str(body.get("User", ""))
    elif deed.kind in (DeedKind.VOLUME_CREATE, DeedKind.NETWORK_CREATE):
        yield "driver", str(body.get("Driver", ""))


def _digest(deed: Deed) -> str:
    """Of the image that is named by one."""
    if deed.request is not None and deed.request.bundle.container.digest:
        return deed.request.bundle.container.digest
    if deed.kind is DeedKind.IMAGE_PULL:
        named = deed.name
    elif deed.kind is DeedKind.CONTAINER_START:
        named = str(_part(deed.body, "Config").get("Image", ""))
    else:
        named = str(deed.body.get("Image", "")) if deed.request is not None else ""
    return named.partition("@")[2]


def _restart(policy: Mapping[str, Any]) -> str:
    name, attempts = str(policy.get("Name", "")), int(policy.get("MaximumRetryCount") or 0)
    return f"{name}:{attempts}" if attempts else name


def _part(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = body.get(key)
    return found if isinstance(found, Mapping) else {}
