"""A host that only observes: every order is refused and recorded once, and what was accepted before is kept."""

from __future__ import annotations

import json
from pathlib import Path

from hullmark.agentd.declining import WHY, DecliningLedger, NoCommands
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.outbox import Outbox
from hullmark.model.audit import Actor, Entry, Outcome
from hullmark.model.epoch import Epoch
from hullmark.model.orders import InstanceId
from tests.unit.agentd.fakes import CLUSTER, HOST, Agent, bundle_of, orders_of, shows_itself

WEB = InstanceId("shop", "web", 1, 1)


class Observing(Agent):
    """An agent whose orders are declined."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.entries: list[Entry] = []
        self.ledger = DecliningLedger(
            self.folder, CLUSTER, HOST, self.problems, self.outbox, self.entries.append
        )
        self.ledger.load()
        self.sync = self.with_chance(lambda: 0.0)


def test_orders_are_refused_once_and_recorded(tmp_path: Path) -> None:
    agent = Observing(tmp_path / "agent")
    agent.leader.orders = orders_of([(WEB, bundle_of())], epoch=Epoch(1, 3), revision=8)
    assert [agent.sync.turn() for _ in range(4)] == [0.0] * 4, "it is polled on as ever"
    (entry,) = agent.entries
    assert (entry.kind, entry.outcome, entry.reason) == ("order.refused", Outcome.REFUSED, WHY)
    assert (entry.by, entry.actor, entry.epoch) == ("m1", Actor.MASTER, "1.3")
    assert entry.fields == {"revision": "8", "assignments": "1"}
    (event,) = agent.outbox.peek()
    assert (event.kind, "mode observe" in event.message) == ("order.refused", True)
    assert agent.leader.polls[-1].revision == 8, "so that the leader does not offer them again"
    assert agent.ledger.standing.orders.assignments == ()
    assert not list((tmp_path / "agent").glob("state-*.json"))
    agent.leader.orders = orders_of([(WEB, bundle_of())], epoch=Epoch(1, 3), revision=9)
    agent.sync.turn()
    assert [one.fields["revision"] for one in agent.entries] == ["8", "9"]
    assert agent.problem_codes() == set()


def test_what_was_accepted_before_is_kept_and_gone_on_with(tmp_path: Path) -> None:
    before = Agent(tmp_path / "agent")
    before.leader.orders = orders_of([(WEB, bundle_of())], revision=8)
    before.sync.turn()
    agent = Observing(tmp_path / "agent")
    agent.leader.orders = orders_of(epoch=Epoch(1, 2), revision=1)
    shows_itself(agent.ledger, Epoch(1, 2), "m1")
    for _ in range(3):
        agent.sync.turn()
    assert len(agent.entries) == 1
    after = Ledger(agent.folder, CLUSTER, HOST, agent.problems, Outbox("host box"))
    after.load()
    assert after.standing.orders == before.leader.orders
    again = Agent(agent.folder, leader=agent.leader)
    again.sync.turn()
    assert again.ledger.standing.orders == agent.leader.orders


def test_an_older_leader_is_not_believed_either(tmp_path: Path) -> None:
    agent = Observing(tmp_path / "agent")
    agent.leader.orders = orders_of(epoch=Epoch(1, 3), revision=8)
    agent.sync.turn()
    agent.leader.orders = orders_of(epoch=Epoch(1, 2), leader="m2", revision=99)
    assert agent.sync.turn() > 0
    assert agent.problem_codes() == {"order.refused"}
    assert agent.entries[-1].reason != WHY
    agent.ledger.close()
    assert not agent.ledger.accept(orders_of(epoch=Epoch(1, 4)))


def test_commands_in_containers_are_refused_and_recorded(tmp_path: Path) -> None:
    agent = Observing(tmp_path / "agent")
    given = {"app": "shop", "service": "web", "slot": "1", "command": '["id"]'}
    (line,) = NoCommands(agent.ledger, agent.outbox, agent.entries.append).lines(given)
    told = json.loads(line)
    assert (told["kind"], told["error"]) == ("Refused", WHY)
    assert agent.entries[-1].fields == {"order": "exec", "instance": "shop.web.1"}
    assert [event.kind for event in agent.outbox.peek()] == ["order.refused"]
