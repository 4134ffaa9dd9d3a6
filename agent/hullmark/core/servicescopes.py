"""Which hosts a host's own policy lets use its services: the rule `services.from`, held against what the leader admits."""

from __future__ import annotations

from collections.abc import Iterable

from hullmark.model.directory import Admission
from hullmark.model.policy import ASKERS, CDE, OUT, PUBLISHED, Policy

RULE = "services.from"
ALL_SCOPES = (CDE, OUT, "")
"""As admissions have them, the last one that of a published port."""


def admitted(
    policy: Policy, admissions: Iterable[Admission]
) -> tuple[tuple[Admission, ...], tuple[Admission, ...]]:
    """Those that stand, and those that are refused here. Of a host with several askers for a service one that is allowed is enough: which
    of them a connection is from, only that host knows."""
    kept: list[Admission] = []
    refused: list[Admission] = []
    for one in admissions:
        allowed = set(accepted(policy, one.name.app, one.name.service))
        asking = {_asker(scope) for scope in one.scopes}
        (kept if asking & allowed else refused).append(one)
    return tuple(kept), tuple(refused)


def accepted(policy: Policy, app: str, service: str) -> tuple[str, ...]:
    """Of ASKERS. Where no file says, a host of cardholder data has its services used from such hosts only."""
    rule = policy.rules_for(app, service).given.get(RULE)
    if rule is None:
        return (CDE,) if policy.scope == CDE else ASKERS
    return ASKERS if rule.items is None else rule.items


def _asker(scope: str) -> str:
    return scope or PUBLISHED
