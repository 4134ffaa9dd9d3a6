"""What a host's policy will turn away is said when an app is planned, and when it is applied."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hullmark.masterd import foresight
from hullmark.model.api import ApplyAnswer, PlanAnswer
from hullmark.model.host import CallerRule
from hullmark.model.observed import HostState
from hullmark.model.wire import from_wire
from tests.unit.masterd.serving import Served, serve
from tests.unit.masterd.test_services_api import Agent

TOLD = (
    "shop/api (scope out) does not get to shop/db from other hosts:"
    " services.from of host h2 (50-pci.yaml:3) turns it away"
)


def service(host: str) -> dict[str, object]:
    return {
        "container": {
            "image": "x:1",
            "pull_policy": "never",
            "networks": [{"network": "default"}],
            "expose": ["80/tcp"],
        },
        "deploy": {"placement": {"constraints": [f"node.hostname == {host}"]}},
    }


APP = {
    "name": "shop",
    "services": {"api": service("h1"), "db": service("h2")},
    "networks": {"default": {}},
}


def test_a_flow_that_a_host_turns_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foresight, "WITHIN_S", 0.01)  # these agents judge no plans

    async def test(served: Served) -> None:
        for number in (1, 2):
            agent = Agent(served, await served.enroll(f"h{number}"), f"10.0.0.{number}")
            rules = (CallerRule("*", ("cde",), "50-pci.yaml:3"),) if number == 2 else ()
            facts = dataclasses.replace(agent.facts, hostname=f"h{number}", caller_rules=rules)
            await agent.report(HostState(facts))
        status, found = await served.local("POST", "/v1/plan", {"app": APP})
        assert status == 200, found
        assert TOLD in from_wire(PlanAnswer, found).warnings
        status, found = await served.local("PUT", "/v1/apps/shop", {"app": APP, "request_id": "r"})
        assert status == 200, found
        assert TOLD in from_wire(ApplyAnswer, found).warnings

    serve(tmp_path, test)
