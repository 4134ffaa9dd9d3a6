"""What the gate refuses by the host's policy is told to the leader in the policy's words, and tried again seldom."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from hullmark.errors import HullmarkError, PolicyRefused
from hullmark.model.observed import REFUSED_BY_POLICY, Phase
from hullmark.model.orders import InstanceId
from tests.unit.agentd.fakes import Agent, bundle_of, orders_of

WEB = InstanceId("shop", "web", 1, 1)
WHY = "privileged: not allowed here (50-pci.yaml:12)"


def test_a_refused_creation_is_shown_as_such_and_made_once_it_is_allowed(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "agent")

    def trouble(method: str) -> Optional[HullmarkError]:
        return PolicyRefused(WHY) if method == "create" else None

    agent.engine.trouble = trouble
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.settle()
    agent.settle()
    state = agent.board.state
    assert state is not None
    (status,) = state.instances.values()
    assert (status.phase, status.detail) == (Phase.BACKOFF, REFUSED_BY_POLICY + WHY)
    assert agent.engine.running() == set()
    assert agent.kinds().count("instance.failed") == 1
    agent.engine.trouble = lambda method: None
    agent.clock.now += 120.0
    agent.settle()
    assert agent.engine.running() == {WEB.container_name}
