"""Declared flows that a host's policy turns away: marked as such, and foretold."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hullmark.core.flows import flows
from hullmark.core.schedule import Plan, plan
from hullmark.core.servicescopes import RULE, admitted, of_policy, refusal
from hullmark.core.turnedaway import warnings
from hullmark.model.app import App, Attachment, ContainerSpec, Network, Placement, PortSpec, Service
from hullmark.model.app import DeploySpec as Deploy
from hullmark.model.directory import Admission, ServiceName
from hullmark.model.host import CallerRule, HostFacts, HostRecord
from hullmark.model.observed import HostState
from hullmark.model.orders import Assignment, InstanceId
from hullmark.model.policy import ANY, CDE, OUT, Exemption, Policy, Rule
from hullmark.model.records import HostAssignments
from hullmark.model.snapshot import Snapshot
from tests.unit.core import fleets

CLOSED = (CallerRule("*", (CDE,), "50-pci.yaml:3"),)
HOSTS = [HostRecord("id1", "web1", 1.0), HostRecord("id2", "web2", 1.0)]


def on(host: str, scope: str, **more: Any) -> Service:
    container = ContainerSpec(
        "x:1", networks=(Attachment("back"),), expose=("80",), scope=scope, **more
    )
    return Service(container, Deploy(placement=Placement((f"node.hostname == {host}",))))


def shop(**services: Service) -> App:
    return App("shop", services, {"back": Network()})


def cluster(rules: tuple[CallerRule, ...] = CLOSED) -> Snapshot:
    """The second host's policy has the rules."""
    facts = {key: HostFacts(hostname=name) for key, name in (("id1", "web1"), ("id2", "web2"))}
    facts["id2"] = dataclasses.replace(facts["id2"], caller_rules=rules, proxy_version="2.6")
    return fleets.snapshot({}, HOSTS, {key: HostState(each) for key, each in facts.items()})


def placed(app: App) -> Plan:
    """One instance of each service where it is to be: a scheduler asks more of a host for scope cde."""
    found: dict[str, list[Assignment]] = {}
    for key, service in app.services.items():
        (constraint,) = service.deploy.placement.constraints
        (host_id,) = (one.host_id for one in HOSTS if constraint.endswith(f" {one.name}"))
        found.setdefault(host_id, []).append(Assignment(InstanceId(app.name, key, 1, 1), "h"))
    return Plan({key: HostAssignments(tuple(each)) for key, each in found.items()})


def foretold(there: Snapshot, app: App) -> list[str]:
    return list(warnings(fleets.applied(there, app), app.name, placed(app)))


def test_a_caller_of_another_scope_is_foretold_with_the_host_and_its_file() -> None:
    app = shop(api=on("web1", ""), db=on("web2", ""))
    (found,) = foretold(cluster(), app)
    assert found == (
        "shop/api (scope out) does not get to shop/db from other hosts:"
        " services.from of host web2 (50-pci.yaml:3) turns it away"
    )
    assert foretold(cluster(()), app) == []


@pytest.mark.parametrize(
    ("api", "rules", "refused"),
    [
        (on("web1", CDE), CLOSED, 0),
        (on("web2", ""), CLOSED, 0),
        (on("web1", ""), (*CLOSED, CallerRule("shop/db", ("out",), "a:1")), 0),
        (on("web1", ""), (*CLOSED, CallerRule("shop/db", None, "a:1")), 0),
        (on("web1", ""), (*CLOSED, CallerRule("bank", None, "a:1")), 1),
        (on("web1", ""), (CallerRule("*", (), ""),), 1),
    ],
)
def test_who_is_let_in_is_not(api: Service, rules: tuple[CallerRule, ...], refused: int) -> None:
    found = foretold(cluster(rules), shop(api=api, db=on("web2", "")))
    assert len(found) == refused


def test_without_a_plan_one_is_made() -> None:
    app = shop(api=on("web1", ""), db=on("web2", ""))
    there = fleets.applied(cluster(), app)
    assert plan(there).unplaced == ()
    assert list(warnings(there, "shop")) == foretold(cluster(), app) != []
    assert list(warnings(there, "bank")) == [], "of another app's flows"


def test_one_asker_of_a_host_that_is_allowed_is_enough() -> None:
    app = shop(api=on("web1", ""), pay=on("web1", CDE), db=on("web2", ""))
    assert not [one for one in foretold(cluster(), app) if "to shop/db" in one]
    alone = shop(api=on("web1", ""), db=on("web2", ""))
    assert [one for one in foretold(cluster(), alone) if "to shop/db" in one]


def test_a_published_port() -> None:
    db = dataclasses.replace(
        on("web2", ""), ports=(PortSpec(80, 443, 443),), ingress=("node.hostname == web1",)
    )
    (found,) = foretold(cluster(), shop(db=db))
    assert found.startswith("who comes by the published port 443 does not get to shop/db")


def test_flows_name_the_hosts() -> None:
    app = shop(api=on("web1", ""), db=on("web2", ""))
    there = fleets.applied(cluster(), app)
    now = dataclasses.replace(there, assignments=placed(app).hosts)
    said = {(one.caller, one.service): one.refused_by for one in flows(now)}
    assert said["shop/api", "shop/db"] == ("web2 (50-pci.yaml:3)",)
    assert said["shop/db", "shop/api"] == ()


@pytest.mark.parametrize("scopes", [("cde",), ("out",), ("",), ("", "cde"), ()])
@pytest.mark.parametrize("app", ["shop", "bank"])
@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(scope=CDE, scope_file="/etc/hullmark/policy.d/50-pci.yaml", scope_line=3),
        Policy(scope=CDE, given={RULE: Rule(RULE, ANY)}),
        Policy(scope=OUT, given={RULE: Rule(RULE, ())}),
        Policy(scope=CDE, exemptions=(Exemption("bank", {RULE: Rule(RULE, ("published",))}),)),
        Policy(given={RULE: Rule(RULE, ("out",))}, exemptions=(Exemption("*/db", {}),)),
    ],
)
def test_what_the_leader_is_told_judges_as_the_host_does(
    policy: Policy, app: str, scopes: tuple[str, ...]
) -> None:
    _, refused = admitted(policy, [Admission("h2", ServiceName(app, "db"), scopes)])
    rules = of_policy(policy)
    asking = scopes or ("nobody",)
    if scopes:
        assert (refusal(rules, app, "db", asking) is not None) == bool(refused)
    assert all("/" not in rule.place for rule in rules)
