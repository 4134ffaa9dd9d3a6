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
    """`done`: whether the engine has done it when the agent is killed. `removed`: the case is in the removal of its app,
    which runs by then; else in its making."""

    app: str
    kind: str
    call: str
    done: bool
    outcome: Outcome
    removed: bool = False


CREATE, START, STOP, REMOVE = (
    ("container.create", "POST /containers/create"),
    ("container.start", f"POST {CONTAINER}/start"),
    ("container.stop", f"POST {CONTAINER}/stop"),
    ("container.remove", f"DELETE {CONTAINER}"),
)
CASES = (
    Case("a", *CREATE, False, Outcome.FAILURE),
    Case("b", *CREATE, True, Outcome.SUCCESS),
    Case("c", *START, False, Outcome.FAILURE),
    Case("d", *START, True, Outcome.SUCCESS),
    Case("a", *STOP, False, Outcome.UNKNOWN, removed=True),
    Case("b", *STOP, True, Outcome.SUCCESS, removed=True),
    Case("c", *REMOVE, False, Outcome.FAILURE, removed=True),
    Case("d", *REMOVE, True, Outcome.SUCCESS, removed=True),
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
        for case in CASES:
            turnstile.stop_at(case.call, done=case.done)
            if case.removed:
                cluster.hullmark("rm", "--no-wait", case.app)
            else:
                apply_sleeper(cluster, IMAGE, name=case.app, wait=False)
            assert turnstile.caught.wait(20), f"{case}: no such call came"
            intent = _killed_at(cluster, log, case)
            turnstile.let_go()
            cluster.agent.start()
            _told(log, intent, case)
            _goes_on(cluster, case)
        wait_until(lambda: not unended(records(log)), "nothing is left open")
        assert breaks(log) == []
        cluster.stop()
        cluster.remove_containers()


def _killed_at(cluster: OneHostCluster, log: Path, case: Case) -> Record:
    """The intent that is open then; beside it the removal of a former app's network may be."""
    cluster.agent.kill()
    left = unended(records(log))
    (found,) = [one for one in left if one.entry.kind != "network.remove"]
    assert (found.entry.kind, found.entry.fields["app"]) == (case.kind, case.app), case
    return found


def _told(log: Path, intent: Record, case: Case) -> None:
    wait_until(lambda: outcomes(records(log), intent.seq), f"{case}: its outcome is recorded")
    found = records(log)
    (told,) = outcomes(found, intent.seq)
    assert told.entry.outcome is case.outcome, (case, told.entry.reason)
    assert told.entry.fields["looked_afterwards"] == "yes"
    between = [one.entry for one in found if intent.seq < one.seq < told.seq]
    assert not [one for one in between if one.kind.startswith(("container.", "image."))], case


def _goes_on(cluster: OneHostCluster, case: Case) -> None:
    def done() -> bool:
        if not case.removed:
            return bool(processes(cluster, case.app))
        return not [name for name in cluster.containers() if name.startswith(f"{case.app}.")]

    wait_until(done, f"{case}: what was asked for is done in the end", 40)
