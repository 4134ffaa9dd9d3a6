"""What applying an app would change: names of what differs, never a value of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from hullmark.core.schedule import Unplaced
from hullmark.model.api import Difference, PlanAnswer
from hullmark.model.app import App, DeployMode, Service
from hullmark.model.explanation import SlotExplanation
from hullmark.model.records import AppRecord

MAX_TOLD = 50
"""Lines of one generation in its app's history."""


def compare(
    old: Optional[AppRecord], new: AppRecord, unplaced: Iterable[Unplaced] = ()
) -> PlanAnswer:
    """The difference between an app as it is and its next record (`generations.next_record`).
    `unplaced` is of a plan made with the new record."""
    alive = old if old is not None and not old.removing else None
    differences = tuple(_differences(alive, new))
    own = [item for item in unplaced if item.app == new.app.name]
    return PlanAnswer(
        changed=new is not old,
        generation=new.generation,
        differences=differences,
        unplaced=tuple(f"{item.service}.{item.slot}: " + "; ".join(item.reasons) for item in own),
        warnings=new.warnings,
        stuck=tuple(map(_stuck, own)),
    )


def _stuck(item: Unplaced) -> SlotExplanation:
    name = f"{item.app}/{item.service}" + (f".{item.slot}" if item.slot else "")
    why = "; ".join(item.reasons)
    return SlotExplanation(name, item.slot, item.generation, item.kept_on, why, item.refusals)


def told(differences: Iterable[Difference]) -> tuple[str, ...]:
    """One line each, for a record of what changed."""
    lines = []
    for item in differences:
        detail = f", {item.detail}" if item.detail else ""
        fields = f": {', '.join(item.fields)}" if item.fields else ""
        lines.append(f"{item.action} {item.subject}{detail}{fields}")
    if len(lines) > MAX_TOLD:
        lines[MAX_TOLD - 1 :] = [f"and {len(lines) - MAX_TOLD + 1} more"]
    return tuple(lines)


def _differences(old: Optional[AppRecord], new: AppRecord) -> Iterable[Difference]:
    before = {} if old is None else old.app.services
    for name in sorted({*before, *new.app.services}):
        if name not in new.app.services:
            yield Difference("remove", f"service {name}", _number(before[name]))
        elif name not in before:
            yield Difference("create", f"service {name}", _number(new.app.services[name]))
        elif old is not None:
            yield from _service(old, new, name)
    if old is not None:
        yield from _parts(old.app, new.app)


def _service(old: AppRecord, new: AppRecord, name: str) -> Iterable[Difference]:
    before, after = old.app.services[name], new.app.services[name]
    fields = tuple(changed_fields(before, after))
    subject = f"service {name}"
    if new.generations[name] != old.generations[name]:
        resources = tuple(_used_parts(old.app, new.app, after))
        detail = _number(after)
        if not fields and not resources:
            detail = "runs once for each generation"
        yield Difference("replace", subject, detail, fields + resources)
        return
    if before.deploy.replicas != after.deploy.replicas and after.deploy.mode is before.deploy.mode:
        detail = f"{before.deploy.replicas} to {after.deploy.replicas}"
        yield Difference("scale", subject, detail, ("deploy.replicas",))
        fields = tuple(field for field in fields if field != "deploy.replicas")
    if fields:
        yield Difference("change", subject, "no container is made again for it", fields)


def _number(service: Service) -> str:
    if service.deploy.mode is DeployMode.GLOBAL:
        return "one on each host"
    replicas = service.deploy.replicas
    return "1 instance" if replicas == 1 else f"{replicas} instances"


def _used_parts(old: App, new: App, service: Service) -> Iterable[str]:
    """Networks, volumes, configs and secrets of the service that are defined in another way now."""
    container = service.container
    used = {
        "networks": [place.network for place in container.networks],
        "volumes": [mount.source for mount in container.mounts],
        "configs": [ref.source for ref in container.configs],
        "secrets": [ref.source for ref in container.secrets],
    }
    for kind, keys in used.items():
        before, after = getattr(old, kind), getattr(new, kind)
        for key in sorted(set(keys)):
            if key in after and before.get(key) != after[key]:
                yield f"{kind}.{key}"


def _parts(old: App, new: App) -> Iterable[Difference]:
    """Parts of the app that came, went or changed. Volumes keep what is in them in every case."""
    for kind in ("networks", "volumes", "configs", "secrets"):
        before, after = getattr(old, kind), getattr(new, kind)
        for key in sorted({*before, *after}):
            subject = f"{kind[:-1]} {key}"
            if key not in before:
                yield Difference("create", subject)
            elif key not in after:
                kept = "not used any more; it stays on its hosts" if kind == "volumes" else ""
                yield Difference("change" if kept else "remove", subject, kept)
            elif before[key] != after[key]:
                fields = tuple(changed_fields(before[key], after[key]))
                kept = "one that exists already stays as it is" if kind == "volumes" else ""
                yield Difference("change", subject, kept, fields)


def changed_fields(before: Any, after: Any, at: str = "") -> Iterable[str]:
    """Dotted names of the fields in which two values of one dataclass differ; keys of mappings count
    as fields, and so a changed variable shows as `container.environment.NAME`."""
    if before == after:
        return
    if dataclasses.is_dataclass(before) and type(before) is type(after):
        for item in dataclasses.fields(before):
            inner = f"{at}.{item.name}" if at else item.name
            yield from changed_fields(getattr(before, item.name), getattr(after, item.name), inner)
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            if key not in before or key not in after:
                yield f"{at}.{key}"
            else:
                yield from changed_fields(before[key], after[key], f"{at}.{key}")
    else:
        yield at
