"""What a host's policy says of ports: cut out of it for the leader, and held against ports that are open or declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Optional

from hullmark.core.judgedlimits import has_port, judge_ports
from hullmark.core.judgement import Case
from hullmark.model.directory import ServiceName
from hullmark.model.host import PortExemption, PortRules
from hullmark.model.orders import PublishedPort
from hullmark.model.policy import Exemption, Policy, Rule, Sights

APPROVED, PUBLISHED = "ports.approved", "ports.published"
KEYS = (PUBLISHED, "ports.addresses", APPROVED)


def of_policy(policy: Policy) -> PortRules:
    """Its rules about ports, without the files that they are in."""
    exemptions = (
        PortExemption(one.pattern, _cut(one.given)) for one in policy.exemptions if _cut(one.given)
    )
    return PortRules(_cut(policy.given), tuple(exemptions))


def _cut(given: Mapping[str, Rule]) -> dict[str, Optional[tuple[str, ...]]]:
    return {key: given[key].items for key in KEYS if key in given}


def allows(
    rules: PortRules, app: str, service: str, port: int, protocol: str, address: str
) -> bool:
    """Whether the service may have this port of the host: the very judgement that its engine's calls get."""
    if not (rules.given or rules.exemptions):
        return True
    case = _case(rules, app, service)
    judge_ports(case, {f"{port}/{protocol}": [{"HostIp": address, "HostPort": str(port)}]})
    return not case.found


def names(rules: PortRules, service: ServiceName, port: PublishedPort) -> bool:
    """Whether a rule names the port among those that the service may have. Where there is no such rule none is named, though each is allowed."""
    allowed = _case(rules, service.app, service.service).rules[PUBLISHED].items
    return allowed is not None and _names(allowed, port.published, port.protocol)


def _case(rules: PortRules, app: str, service: str) -> Case:
    exemptions = (Exemption(one.pattern, _rules(one.given)) for one in rules.exemptions)
    policy = Policy(given=_rules(rules.given), exemptions=tuple(exemptions))
    return Case(Sights(app=app, service=service), policy)


def _rules(given: Mapping[str, Optional[tuple[str, ...]]]) -> dict[str, Rule]:
    return {key: Rule(key, value) for key, value in given.items()}


def approves(rules: PortRules, port: int, protocol: str) -> Optional[bool]:
    """Whether a program of the host itself may listen there; None where the policy says nothing of that."""
    approved = rules.given.get(APPROVED)
    return None if approved is None else _names(approved, port, protocol)


def _names(items: Iterable[str], port: int, protocol: str) -> bool:
    return any(has_port(item, port, protocol) for item in items)
