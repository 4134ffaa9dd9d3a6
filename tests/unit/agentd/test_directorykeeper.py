"""Whose directory a host takes over, and what it goes on with while nobody tells it another."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hullmark.agentd.directorykeeper import DirectoryKeeper
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.problems import Problems
from hullmark.model.directory import NO_DIRECTORY, Directory, ServiceEntry, ServiceName
from hullmark.model.epoch import Epoch
from tests.unit.agentd.fakes import CLUSTER, EPOCH, HOST, Agent, shows_itself

DB = ServiceEntry(ServiceName("shop", "db"), "10.214.0.1", (5432,))


def directory_of(
    digest: str = "d1", *, epoch: Epoch = EPOCH, leader: str = "m1", entry: ServiceEntry = DB
) -> Directory:
    return Directory(epoch, leader, digest, "10.214.0.0/16", (entry.address,), (entry,))


class Told:
    """Counts how often it was called."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path / "agent")


@pytest.fixture
def told(agent: Agent) -> Told:
    told = Told()
    agent.keeper.when_changed(told)
    return told


def again(agent: Agent) -> Agent:
    """The same host after a restart of its agent, its leader as it is."""
    return Agent(agent.folder, leader=agent.leader)


def test_a_poll_brings_it_once_and_whoever_plans_hears_of_it(agent: Agent, told: Told) -> None:
    agent.leader.directory = directory_of()
    assert [agent.sync.turn() for _ in range(3)] == [0, 0, 0]
    assert agent.keeper.current == agent.leader.directory
    assert told.times == 1
    assert [poll.directory for poll in agent.leader.polls] == ["", "d1", "d1"]


def test_it_survives_a_restart_without_a_leader(agent: Agent) -> None:
    agent.leader.directory = directory_of()
    agent.sync.turn()
    agent.leader.down = True
    assert again(agent).keeper.current == agent.leader.directory


def test_a_leader_that_gives_none_leaves_what_there_is(agent: Agent, told: Told) -> None:
    agent.leader.directory = directory_of()
    agent.sync.turn()
    agent.leader.directory = None
    shows_itself(agent.ledger, Epoch(1, 2), "m2")
    agent.sync.turn()
    assert agent.keeper.current.services == (DB,)
    assert told.times == 1


@pytest.mark.parametrize(
    ("epoch", "leader"),
    [(Epoch(1, 1), "m1"), (Epoch(1, 2), "m1"), (Epoch(1, 3), "m2")],
    ids=["of a lower epoch", "of another leader", "of one that has not shown itself"],
)
def test_only_the_leader_that_polls_have_shown_is_believed(
    agent: Agent, told: Told, epoch: Epoch, leader: str
) -> None:
    assert not shows_itself(agent.ledger, Epoch(1, 2), "m2")
    assert agent.keeper.accept(directory_of(epoch=Epoch(1, 2), leader="m2"))
    assert not agent.keeper.accept(directory_of("other", epoch=epoch, leader=leader))
    assert agent.keeper.current.digest == "d1"
    assert again(agent).keeper.current.digest == "d1", "nor is it on the disk"
    assert told.times == 1


def test_a_range_that_is_none_is_not_believed(agent: Agent) -> None:
    agent.sync.turn()
    assert not agent.keeper.accept(dataclasses.replace(directory_of(), range="10.214.0.0/99"))
    assert agent.keeper.accept(dataclasses.replace(directory_of(), range="10.214.0.0/16"))


def test_an_answer_later_than_its_lease_is_dropped(agent: Agent) -> None:
    agent.sync.turn()
    agent.leader.directory = directory_of()
    began = agent.clock.now
    agent.leader.began = lambda: began
    agent.clock.now += 10.1
    assert agent.sync.turn() > 0
    assert agent.keeper.current == NO_DIRECTORY
    agent.leader.began = agent.clock
    assert agent.sync.turn() == 0
    assert agent.keeper.current.digest == "d1"


def test_nothing_is_taken_over_for_a_life_of_the_agent_that_is_over(agent: Agent) -> None:
    agent.sync.turn()
    agent.ledger.close()
    assert not agent.keeper.accept(directory_of())
    assert agent.keeper.current == NO_DIRECTORY


def test_a_damaged_file_is_as_none_and_said_until_the_next_one(agent: Agent) -> None:
    agent.leader.directory = directory_of()
    agent.sync.turn()
    path = agent.folder / "directory.json"
    path.write_bytes(path.read_bytes().replace(b"10.214.0.1", b"10.214.0.2"))
    later = again(agent)
    assert later.keeper.current == NO_DIRECTORY
    assert later.problem_codes() == {"directory.damaged"}
    assert later.sync.turn() == 0
    assert later.keeper.current.services == (DB,)
    assert later.problem_codes() == set()
    assert again(agent).keeper.current.services == (DB,)


def test_what_was_told_in_another_cluster_is_left_alone(agent: Agent) -> None:
    agent.leader.directory = directory_of()
    agent.sync.turn()
    problems = Problems()
    ledger = Ledger(agent.folder, "c2", HOST, problems, Outbox("host box"))
    keeper = DirectoryKeeper(agent.folder, ledger, problems)
    keeper.load()
    assert keeper.current == NO_DIRECTORY
    assert not problems.all()
    assert ledger.held.cluster_id != CLUSTER


def test_a_disk_that_takes_no_writing_does_not_keep_a_revocation_out(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    agent.sync.turn()
    assert agent.keeper.accept(directory_of("d1"))
    with monkeypatch.context() as patch:
        patch.setattr("hullmark.agentd.directorykeeper.write_private", full)
        assert agent.keeper.accept(directory_of("d2"))
    assert (agent.keeper.current.digest, told.times) == ("d2", 2)
    assert agent.problem_codes() == {"directory.write"}
    assert again(agent).keeper.current == NO_DIRECTORY, "the former one would take it back"
    assert agent.keeper.accept(directory_of("d3"))
    assert agent.problem_codes() == set()
