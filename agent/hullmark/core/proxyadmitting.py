"""Which hosts get what over TLS: what the leader admits. What this host's policy turns away was taken out before (`servicescopes`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hullmark.core import proxynames
from hullmark.model.directory import Admission, ServiceName
from hullmark.model.proxy import ProxySight
from hullmark.model.proxyplan import LAST, OWN, key_of, server_name_of


def admitted(sight: ProxySight) -> tuple[Admission, ...]:
    """Those of other hosts, whose ids are such."""
    return tuple(
        one
        for one in sorted(set(sight.directory.admissions))
        if proxynames.is_host_id(one.host_id) and one.host_id != sight.host_id
    )


def offered(
    sight: ProxySight,
    admissions: Iterable[Admission],
    ports: Mapping[ServiceName, tuple[int, ...]],
) -> set[tuple[ServiceName, int]]:
    """What other hosts may come to ask for: what runs here, also while nobody is admitted, as who is changes without a reload; and what somebody is
    admitted for, also while none of it runs here any more."""
    names = {one.name for one in admissions} | {one.name for one in sight.members}
    return {(name, port) for name in names for port in ports.get(name, ())}


def table(
    host_id: str, admissions: Iterable[Admission], ports: Mapping[ServiceName, tuple[int, ...]]
) -> dict[str, str]:
    """From `HOST_ID@SERVER NAME` to a backend."""
    found = {}
    for one in admissions:
        for port in ports.get(one.name, ()):
            for kind in (OWN, LAST):
                asked = server_name_of(one.name, port, host_id, last=kind == LAST)
                found[f"{one.host_id}@{asked}"] = key_of(kind, one.name, port)
    return dict(sorted(found.items()))
