"""Files for load balancers: written when something changed, left alone while no leader is to be believed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Optional

import pytest

from hullmark.agentd.endpointexport import PROBLEM, EndpointExport, files_of
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.problems import Problems
from hullmark.config import load_agent
from hullmark.core.endpointfiles import hosts_file, json_text
from hullmark.errors import HullmarkError, MasterUnavailable
from hullmark.model.directory import ServiceName
from hullmark.model.epoch import Epoch
from hullmark.model.services import (
    ENDPOINTS_PATH,
    EndpointsAnswer,
    EndpointsRequest,
    Published,
    ServiceReach,
    Spot,
)
from tests.unit.agentd.fakes import CLUSTER, EPOCH, HOST


def services(*addresses: str) -> tuple[ServiceReach, ...]:
    spots = tuple(Spot(f"h{one[-1]}", one, 80, 1) for one in addresses)
    return (ServiceReach(ServiceName("shop", "web"), published=(Published(80, 80, spots=spots),)),)


class Bench:
    """A leader that answers what it is told to, and an agent that has seen it in a poll."""

    def __init__(self, folder: Path) -> None:
        self.problems = Problems()
        self.ledger = Ledger(folder, CLUSTER, HOST, self.problems, Outbox("host box"))
        assert not self.ledger.seen(EPOCH, "m1", None, None)
        self.hosts, self.json = folder / "hosts", folder / "services.json"
        self.told = services("10.0.0.1")
        self.more: dict[str, Any] = {"ready": True}
        self.error: Optional[HullmarkError] = None
        self.requests: list[EndpointsRequest] = []
        files = {self.hosts: hosts_file, self.json: json_text}
        self.export = EndpointExport(self, self.ledger, self.problems, files)  # type: ignore[arg-type]

    def call(
        self, path: str, body: EndpointsRequest, answer: Any, timeout_s: float
    ) -> tuple[EndpointsAnswer, float]:
        assert path == ENDPOINTS_PATH
        self.requests.append(body)
        if self.error is not None:
            raise self.error
        digest = str(hash(self.told))
        known = {"epoch": EPOCH, "leader": "m1", "digest": digest, "services": self.told}
        same = body.digest == digest
        return EndpointsAnswer(**{**known, "same": same, **self.more}), 0.0


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_files_are_written_and_replaced_only_when_something_changed(bench: Bench) -> None:
    bench.export.turn()
    assert "10.0.0.1\tweb.shop" in bench.hosts.read_text()
    assert '"address": "10.0.0.1"' in bench.json.read_text()
    before = bench.hosts.stat().st_ino
    bench.export.turn()
    assert bench.requests[-1].digest
    assert bench.hosts.stat().st_ino == before, "nothing changed, so nothing is written"
    bench.told = services("10.0.0.2")
    bench.export.turn()
    assert bench.hosts.stat().st_ino != before
    assert "10.0.0.1" not in bench.hosts.read_text()
    assert bench.hosts.stat().st_mode & 0o777 == 0o644


def test_a_file_that_somebody_changed_is_put_right(bench: Bench) -> None:
    bench.export.turn()
    content = bench.hosts.read_text()
    bench.hosts.write_text("mine now")
    bench.json.unlink()
    bench.export.turn()
    assert bench.hosts.read_text() == content
    assert bench.json.exists()


@pytest.mark.parametrize(
    "more",
    [
        {"ready": False},
        {"ready": True, "epoch": Epoch(1, 0)},
        {"ready": True, "epoch": Epoch(1, 9)},
        {"ready": True, "leader": "m2"},
    ],
    ids=["not all heard", "a lower epoch", "one that has not shown itself", "another leader"],
)
def test_who_is_not_to_be_believed_changes_nothing(bench: Bench, more: dict[str, Any]) -> None:
    bench.export.turn()
    content = bench.hosts.read_text()
    bench.told, bench.more = services(), more
    bench.export.turn()
    assert bench.hosts.read_text() == content


def test_files_stay_while_no_leader_answers(bench: Bench) -> None:
    bench.export.turn()
    bench.error = MasterUnavailable("no master answers")
    bench.export.turn()
    assert "10.0.0.1" in bench.hosts.read_text()
    assert not bench.problems.all()


def test_a_file_that_can_not_be_written_is_a_problem_until_it_can(bench: Bench) -> None:
    bench.hosts.mkdir()
    bench.export.turn()
    (problem,) = bench.problems.all()
    assert problem.code == PROBLEM
    assert str(bench.hosts) in problem.message
    assert bench.json.exists(), "the other one is written all the same"
    bench.hosts.rmdir()
    bench.export.turn()
    assert not bench.problems.all()
    assert bench.hosts.exists()


def test_files_that_nobody_asks_for_any_more_are_no_problem(bench: Bench) -> None:
    bench.problems.set(PROBLEM, "a file can't be kept up to date")
    stopping = threading.Event()
    stopping.set()
    bench.export.run(stopping)
    assert [one.code for one in bench.problems.all()] == [PROBLEM]
    EndpointExport(bench, bench.ledger, bench.problems, {}).run(stopping)  # type: ignore[arg-type]
    assert not bench.problems.all()


def test_which_files_are_asked_for(tmp_path: Path) -> None:
    main = tmp_path / "agent.yaml"
    main.write_text("services: {export: {json: /run/x.json}}\n")
    assert files_of(load_agent(str(main)).config) == {Path("/run/x.json"): json_text}
    main.write_text("{}\n")
    assert files_of(load_agent(str(main)).config) == {}
