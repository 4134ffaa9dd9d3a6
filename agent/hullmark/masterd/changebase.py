"""What a change was made for: if that is another by the time that it is approved, the approval was for something else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from hullmark.errors import NotFound
from hullmark.masterd.view import View
from hullmark.model.changecontrol import OF_APPS, ChangeKind, ControlRecord
from hullmark.model.host import HostRecord
from hullmark.model.loadline import LoadLineRecord
from hullmark.model.moments import day
from hullmark.model.names import APPS, CONTROL_KEY, HOSTS, LOADLINE_KEY
from hullmark.model.records import AppRecord
from hullmark.model.wire import canonical, to_wire
from hullmark.store.protocol import Compare

NEW = frozenset({ChangeKind.APPLY})
"""May be for an app that there isn't."""
OF_HOSTS = frozenset(
    {
        ChangeKind.AVAILABILITY,
        ChangeKind.LABELS,
        ChangeKind.MAINTENANCE,
        ChangeKind.HOST_REMOVE,
    }
)


@dataclass(frozen=True)
class Base:
    """`sha256` is of what it is for, `stood` says that to people. `compares` hold as long as it is this."""

    sha256: str = ""
    stood: str = ""
    compares: tuple[Compare, ...] = ()


def base_of(view: View, kind: ChangeKind, names: Mapping[str, str], body: Any) -> Base:
    """As it is now. Raises NotFound, Conflict for an app that is being removed."""
    if kind in OF_APPS:
        return _app(view, kind, names["app"])
    if kind is ChangeKind.CHANGE_CONTROL:
        return _base([view.control], _control_words(view.control), [CONTROL_KEY], view)
    if kind is ChangeKind.MARK:
        return _base([view.loadline], _mark_words(view.loadline), [LOADLINE_KEY], view)
    if kind in OF_HOSTS:
        return _hosts(view, kind, names, body)
    return Base()


def _app(view: View, kind: ChangeKind, name: str) -> Base:
    record = view.apps.get(name)
    if record is None and kind not in NEW:
        view.app(name)
    return _base([record], _app_words(record), [APPS + name], view)


def _hosts(view: View, kind: ChangeKind, names: Mapping[str, str], body: Any) -> Base:
    wanted = list(dict.fromkeys(getattr(body, "hosts", ()) or [names["host"]]))
    by_name = {host.name: host for host in view.hosts.values()}
    missing = [name[:253] for name in wanted if name not in by_name]
    if missing and kind is ChangeKind.HOST_REMOVE:
        return _base([["no such host", *missing]], "not enrolled", [], view)  # its invites go
    if missing:
        raise NotFound(f"there is no host {', '.join(missing)}", remedy="hullmark hosts")
    hosts = [by_name[name] for name in wanted]
    # A certificate is renewed, and maintenance ends, by itself.
    said = [[host.host_id, host.availability.value, dict(host.labels)] for host in hosts]
    keys = [HOSTS + host.host_id for host in hosts]
    return _base(said, "; ".join(map(_host_words, hosts))[:1000], keys, view)


def _base(values: Iterable[Any], stood: str, keys: Iterable[str], view: View) -> Base:
    data = canonical([value if isinstance(value, list) else to_wire(value) for value in values])
    compares = tuple(Compare(key, view.modified(key)) for key in keys)
    return Base(hashlib.sha256(data).hexdigest(), stood, compares)


def _app_words(record: Optional[AppRecord]) -> str:
    if record is None:
        return "no such app"
    going = ", being removed" if record.removing else ""
    return f"generation {record.generation} of {day(record.change.at)} by {record.change.by}{going}"


def _host_words(host: HostRecord) -> str:
    labels = ", ".join(f"{key}={value}" for key, value in sorted(host.labels.items()))
    return f"{host.name}: {host.availability.value}{', ' if labels else ''}{labels}"


def _mark_words(record: LoadLineRecord) -> str:
    change = record.change
    if change is None:
        return f"no mark, {len(record.overrides)} overrides"
    number = len(record.line.require)
    return (
        f"{number} controls of {day(change.at)} by {change.by}, {len(record.overrides)} overrides"
    )


def _control_words(record: Optional[ControlRecord]) -> str:
    if record is None:
        return "no change control"
    return f"{len(record.document.rules)} rules of {day(record.change.at)} by {record.change.by}"
