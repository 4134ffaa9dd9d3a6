"""kill -9 of the agent in the middle of a call to its engine: just before the engine gets it, and just after it was done.

What is left is an intent without outcome; the next agent looks what became of it and records that, before it does anything new.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hullmark.model.audit import Outcome, Record
from tests.cluster import OneHostCluster, wait_until
from tests.e2e.apps import apply_sleeper, processes
from tests.e2e.auditlog import breaks, outcomes, records, unended
from tests.e2e.conftest import IMAGE
from tests.integration.engines import Engine
from tests.integration.turnstile import Turnstile

pytestmark = pytest.mark.one_engine

CONTAINER = "/containers/[^/]+"


class Case(NamedTuple):
    kind: str
    call: str
    done: bool
    """Whether the engine has done it when the agent is killed."""
    outcome: Outcome


CASES = (
    Case("network.create", "POST /networks/create", False, Outcome.FAILURE),
    Case("network.create", "POST /networks/create", True, Outcome.SUCCESS),
    Case("container.create", "POST /containers/create", False, Outcome.FAILURE),
    Case("container.create", "POST /containers/create", True, Outcome.SUCCESS),
    Case("container.start", f"POST {CONTAINER}/start", False, Outcome.FAILURE),
    Case("container.start", f"POST {CONTAINER}/start", True, Outcome.SUCCESS),
    Case("container.stop", f"POST {CONTAINER}/stop", False, Outcome.UNKNOWN),
    Case("container.stop", f"POST {CONTAINER}/stop", True, Outcome.SUCCESS),
    Case("container.remove", f"DELETE {CONTAINER}", False, Outcome.FAILURE),
    Case("container.remove", f"DELETE {CONTAINER}", True, Outcome.SUCCESS),
)


@pytest.fixture
def turnstile(engine: Engine, tmp_path: Path) -> Iterator[Turnstile]:
    with Turnstile(Path(engine.socket.partition("://")[2]), tmp_path / "engine.sock") as made:
        yield made


@pytest.mark.timeout(300)
def test_what_was_in_the_middle_is_told_by_the_next_start(
    engine: Engine, turnstile: Turnstile, tmp_path: Path
) -> None:
    engine.load_image(IMAGE)
    with OneHostCluster(tmp_path / "c", turnstile.socket) as cluster:
        log = cluster.folder / "agent-audit"
        for number, case in enumerate(CASES):
            app = f"app{number}"
            if case.kind in ("container.stop", "container.remove"):
                apply_sleeper(cluster, IMAGE, name=app)
            turnstile.stop_at(case.call, done=case.done)
            if case.kind in ("container.stop", "container.remove"):
                cluster.hullmark("rm", "--no-wait", app)
            else:
                apply_sleeper(cluster, IMAGE, name=app, wait=False)
            assert turnstile.caught.wait(20), f"{case}: no such call came"
            intent = _killed_at(cluster, log, case, app)
            turnstile.let_go()
            cluster.agent.start()
            _told(log, intent, case)
            _goes_on(cluster, app, runs=case.kind not in ("container.stop", "container.remove"))
        wait_until(lambda: not unended(records(log)), "nothing is left open")
        assert breaks(log) == []
        cluster.stop()
        cluster.remove_containers()


def _killed_at(cluster: OneHostCluster, log: Path, case: Case, app: str) -> Record:
    """The one intent that is open then."""
    cluster.agent.kill()
    (found,) = unended(records(log))
    entry = found.entry
    assert entry.kind == case.kind, case
    assert entry.fields["app"] == app
    return found


def _told(log: Path, intent: Record, case: Case) -> None:
    wait_until(lambda: outcomes(records(log), intent.seq), f"{case}: its outcome is recorded")
    found = records(log)
    (told,) = outcomes(found, intent.seq)
    assert told.entry.outcome is case.outcome, (case, told.entry.reason)
    assert told.entry.fields["looked_afterwards"] == "yes"
    between = [one.entry for one in found if intent.seq < one.seq < told.seq]
    assert not [one for one in between if one.kind.startswith(("container.", "image."))], case


def _goes_on(cluster: OneHostCluster, app: str, *, runs: bool) -> None:
    wait_until(
        lambda: bool(processes(cluster, app)) is runs,
        f"{app} {'runs' if runs else 'is gone'} in the end",
        40,
    )
