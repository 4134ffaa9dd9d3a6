"""Which hosts a host's own policy lets use its services: the rule `services.from`, held against what the leader admits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Optional

from hullmark.model.directory import Admission
from hullmark.model.host import CallerRule
from hullmark.model.policy import ASKERS, CDE, OUT, PUBLISHED, Exemption, Policy, Rule

RULE = "services.from"
EVERY = "*"
"""A pattern that each service fits."""
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


def of_policy(policy: Policy) -> tuple[CallerRule, ...]:
    """The same, cut out of the policy for the leader."""
    return tuple(_cut(policy))


def _cut(policy: Policy) -> Iterator[CallerRule]:
    own = policy.given.get(RULE)
    if own is not None:
        yield CallerRule(EVERY, own.items, _place(own.file, own.line))
    elif policy.scope == CDE:
        yield CallerRule(EVERY, (CDE,), _place(policy.scope_file, policy.scope_line))
    for exemption in policy.exemptions:
        rule: Optional[Rule] = exemption.given.get(RULE)
        if rule is not None:
            yield CallerRule(exemption.pattern, rule.items, _place(rule.file, rule.line))


def refusal(
    rules: Iterable[CallerRule], app: str, service: str, scopes: Iterable[str]
) -> Optional[CallerRule]:
    """By which rule of a host a caller is turned away that has these scopes, as admissions have them; None where it is let in."""
    fitting = [one for one in rules if Exemption(one.pattern).fits(app, service)]
    if not fitting or fitting[-1].allowed is None:
        return None
    return None if {_asker(scope) for scope in scopes} & set(fitting[-1].allowed) else fitting[-1]


def _place(file: str, line: int) -> str:
    return f"{file.rpartition('/')[2]}:{line}" if file else ""


def _asker(scope: str) -> str:
    return scope or PUBLISHED
