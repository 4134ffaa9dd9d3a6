"""What a host's policy says of ports, on the host and at the leader."""

from __future__ import annotations

import json
from typing import Optional

import pytest

from hullmark.core import portrules
from hullmark.model import wire
from hullmark.model.host import NO_PORT_RULES, PortRules
from hullmark.model.policy import Exemption, Policy, Rule

POLICY = Policy(
    given={
        "ports.published": Rule("ports.published", ("443", "8000-8999/tcp"), "a.yaml", 3),
        "ports.approved": Rule("ports.approved", ("22", "53/udp"), "a.yaml", 4),
        "privileged": Rule("privileged", False, "a.yaml", 5),
    },
    exemptions=(
        Exemption("edge/web", {"ports.published": Rule("ports.published", None, "b.yaml", 2)}),
        Exemption("old", {"privileged": Rule("privileged", True, "b.yaml", 5)}),
    ),
)


def told() -> PortRules:
    """As the leader has it."""
    sent = json.loads(json.dumps(wire.to_wire(portrules.of_policy(POLICY))))
    return wire.from_wire(PortRules, sent)


def test_only_what_is_said_of_ports_is_told() -> None:
    assert told() == portrules.of_policy(POLICY)
    assert set(told().given) == {"ports.published", "ports.approved"}
    assert [one.pattern for one in told().exemptions] == ["edge/web"]
    assert portrules.of_policy(Policy()) == NO_PORT_RULES


@pytest.mark.parametrize(
    ("service", "port", "protocol", "allowed"),
    [
        ("shop/web", 443, "tcp", True),
        ("shop/web", 8999, "tcp", True),
        ("shop/web", 8999, "udp", False),
        ("shop/web", 80, "tcp", False),
        ("edge/web", 80, "tcp", True),
        ("edge/db", 80, "tcp", False),
    ],
)
def test_a_port_of_a_service(service: str, port: int, protocol: str, allowed: bool) -> None:
    app, _, name = service.partition("/")
    assert portrules.allows(told(), app, name, port, protocol, "") is allowed
    assert portrules.allows(NO_PORT_RULES, app, name, port, protocol, "")


def test_the_address_counts_too() -> None:
    rules = PortRules({"ports.addresses": ("10.0.0.0/8",)})
    assert portrules.allows(rules, "shop", "web", 80, "tcp", "10.1.2.3")
    assert not portrules.allows(rules, "shop", "web", 80, "tcp", "")


@pytest.mark.parametrize(
    ("rules", "port", "protocol", "approved"),
    [
        (NO_PORT_RULES, 22, "tcp", None),
        (portrules.of_policy(POLICY), 22, "tcp", True),
        (portrules.of_policy(POLICY), 53, "udp", True),
        (portrules.of_policy(POLICY), 53, "tcp", False),
    ],
)
def test_a_port_of_a_program(
    rules: PortRules, port: int, protocol: str, approved: Optional[bool]
) -> None:
    assert portrules.approves(rules, port, protocol) is approved
