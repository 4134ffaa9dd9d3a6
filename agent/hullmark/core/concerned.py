"""Which hosts a change concerns, and what each would get: for asking them what they think of it before it is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from hullmark.core.schedule import Plan
from hullmark.model.app import Bundle, bundle
from hullmark.model.foresight import Intended
from hullmark.model.records import NO_ASSIGNMENTS, AppRecord
from hullmark.model.snapshot import Snapshot

Wanted = Mapping[str, Mapping[str, Intended]]
"""By host and service."""


def concerned(snapshot: Snapshot, record: AppRecord, plan: Plan) -> Wanted:
    """What each host would get of an app: what the plan places, and what it follows on hosts that have it already, which a
    rollout comes to later."""
    old = snapshot.apps.get(record.app.name)
    changed = {
        name
        for name, generation in record.generations.items()
        if old is None or old.generations.get(name) != generation
    }
    found: dict[str, dict[str, Intended]] = {}
    for host_id in sorted({*snapshot.assignments, *plan.hosts}):
        before = snapshot.assignments.get(host_id, NO_ASSIGNMENTS)
        known = {item.instance for item in before.assignments}
        after = plan.hosts.get(host_id, before)
        for item in (*after.assignments, *before.assignments):
            one = item.instance
            mine = one.app == record.app.name and one.service in record.app.services
            if mine and (one not in known or one.service in changed):
                intended = Intended(_light(bundle(record.app, one.service)), item.ports)
                found.setdefault(host_id, {}).setdefault(one.service, intended)
    return found


def _light(whole: Bundle) -> Bundle:
    configs = {
        name: dataclasses.replace(config, content_b64="") for name, config in whole.configs.items()
    }
    return dataclasses.replace(whole, configs=configs)
