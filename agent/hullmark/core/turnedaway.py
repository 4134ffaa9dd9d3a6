"""Flows that an app declares, and that policies of hosts turn away: said when it is planned and applied, as nothing else shows before somebody calls."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Optional

from hullmark.core import schedule
from hullmark.core.flows import flows
from hullmark.core.portconflicts import listed
from hullmark.core.servicescopes import RULE
from hullmark.model.flows import Flow
from hullmark.model.observed import NO_STATE
from hullmark.model.snapshot import Snapshot


def warnings(future: Snapshot, app: str, made: Optional[schedule.Plan] = None) -> Iterator[str]:
    """Of flows from and to the app's services, where `made` places them. `future` has the app as it is to be; without a plan one is made, if any
    host has such a rule."""
    if not any(
        future.observed.get(host_id, NO_STATE).facts.caller_rules for host_id in future.hosts
    ):
        return
    made = schedule.plan(future) if made is None else made
    assignments = {**future.assignments, **made.hosts}
    for flow in flows(dataclasses.replace(future, assignments=assignments)):
        ends = {end.partition("/")[0] for end in (flow.caller, flow.service)}
        if flow.refused_by and app in ends:
            yield _told(flow)


def _told(flow: Flow) -> str:
    who = f"{flow.caller} (scope {flow.caller_scope})"
    if not flow.caller:
        who = f"who comes by the published port {', '.join(map(str, flow.published))}"
    where = listed(list(flow.refused_by))
    return f"{who} does not get to {flow.service} from other hosts: {RULE} of {where} turns it away"
